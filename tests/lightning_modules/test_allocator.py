"""Freed memory is used again instead of being asked of the kernel anew."""

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys
from lightning_modules.allocator import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def use_once(size=64 << 20):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)

if sys.argv[1] == "kept":
    assert keep_freed_memory()
use_once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use_once()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told to keep memory")
def test_a_block_freed_and_taken_again_costs_no_page_faults():
    faults = {
        way: int(subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, check=True).stdout)
        for way in ("kept", "given back")
    }
    assert faults["kept"] < faults["given back"] / 10
