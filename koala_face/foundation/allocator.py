"""The C library's allocator, told to keep memory that is asked for again at once.

A step of training takes and frees large buffers, gigabytes of them at 256x256. glibc gives such
memory back to the system at once, which then clears it anew, page by page, for the next step: a
fifth of the time. Where photographs are coloured glibc finds by itself that it pays to keep up to
64 MiB; a worker that Dask starts is told not to look, which costs it a third of its time.
"""

import ctypes
import sys

# Parameters of mallopt, as glibc's malloc.h numbers them.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_MMAP_MAX = -4

# What the heap grows by, so that it grows seldom.
TOP_PAD = 200 * 2**20


# Where glibc's own adaptation ends: blocks from which on each has a map of its own.
LARGEST_HEAP_BLOCK = 32 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, for its next allocations, until it ends.

    Returns:
        Whether that could be done: False where the C library is not glibc.
    """
    # Large blocks come from the heap, not from maps of their own, and the heap never shrinks.
    return _set((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, TOP_PAD))


def keep_as_glibc_would() -> bool:
    """Keep as much freed memory as a process that sets nothing comes to keep.

    For one that was started with MALLOC_TRIM_THRESHOLD_, which ends glibc's adaptation.

    Returns:
        As `keep_freed_memory`.
    """
    return _set((M_MMAP_THRESHOLD, LARGEST_HEAP_BLOCK), (M_TRIM_THRESHOLD, 2 * LARGEST_HEAP_BLOCK))


def _set(*settings: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    taken = [mallopt(parameter, value) for parameter, value in settings]
    return all(taken)
