"""How many threads colour photographs, and how many share one operation: one.

The last bits of a sum depend on how many threads share it. So each operation has one thread, and
the cores are filled with photographs side by side, and with the tiles of large ones.
"""

import functools
import logging
import os
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)


def use_single_threads(side_by_side: int | None = None) -> None:
    """Let TensorFlow and NumPy compute each operation in one thread, `side_by_side` at a time.

    For a program's start: a TensorFlow that has worked already keeps what it has. BLAS's own
    threads would spin between NumPy's products on the cores that colour other photographs.
    """
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, "blas")

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(side_by_side or count_cores())
    except RuntimeError:
        log.debug("TensorFlow runs already, in threads of its own choice")


@functools.lru_cache
def tile_threads() -> ThreadPoolExecutor:
    """The threads for tiles of all photographs in work, as many as TensorFlow's `side_by_side`."""
    import tensorflow as tf

    side_by_side = tf.config.threading.get_inter_op_parallelism_threads() or count_cores()
    return ThreadPoolExecutor(side_by_side, "tiles")


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
