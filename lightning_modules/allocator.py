"""Memory that a step frees stays in the process for the next one: what CUDA's caching allocator does on GPUs.

glibc hands large blocks back to the kernel at once and gets them anew, zeroed, page by page, in every step.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of <malloc.h>
NEVER = 2**31 - 1  # bytes of free memory at which the heap would shrink


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks; False where the C library is another one."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
