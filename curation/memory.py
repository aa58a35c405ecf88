"""A file of strangers may not take more memory than it is allowed: a small file can ask a decoder for frames
of gigabytes.

The limit is one of the kernel on the address space of the worker, set anew for each row above what the worker
holds already. An allocation that passes it fails at once, in whatever library asks for it, and the row gets
the reason; no other process is harmed. Only Linux says how large a process is now; elsewhere there is no
limit.
"""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATM = Path("/proc/self/statm")
REFUSED = re.compile(r"alloc|insufficient memory|out of memory|cannot allocate", re.IGNORECASE)


@contextmanager
def at_most(gigabytes: float) -> Iterator[None]:
    """Within the block this process may take `gigabytes` more than it has; 0 for no limit.

    Raises:
        ValueError: it asked for more.
    """
    if not gigabytes or not STATM.exists():
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    allowed = _size() + round(gigabytes * 2**30)
    if before[1] != resource.RLIM_INFINITY:
        allowed = min(allowed, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (allowed, before[1]))
    try:
        yield
    except Exception as error:  # each library has words of its own for memory that it was refused
        if not isinstance(error, MemoryError) and not REFUSED.search(str(error)):
            raise
        raise ValueError(
            f"it needs more than {gigabytes:g} GB of memory (files.memory_gb); its frames may be made to harm"
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _size() -> int:
    """Bytes of address space of this process."""
    return int(STATM.read_text().split()[0]) * resource.getpagesize()
