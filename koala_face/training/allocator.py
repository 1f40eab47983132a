"""The C library's allocator, told to keep memory between the steps of training.

A step takes and frees large buffers, gigabytes of them at 256x256. glibc gives such memory back to
the system at once, which then clears it anew, page by page, for the next step: a fifth of the time.
"""

import ctypes
import sys

# Parameters of mallopt, as glibc's malloc.h numbers them.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_MAX = -4

# What the heap grows by, so that it grows seldom.
TOP_PAD = 200 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, for its next allocations, until it ends.

    Returns:
        Whether that could be done: False where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # Large blocks come from the heap, not from maps of their own, and the heap never shrinks.
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, TOP_PAD))
    taken = [mallopt(parameter, value) for parameter, value in settings]
    return all(taken)
