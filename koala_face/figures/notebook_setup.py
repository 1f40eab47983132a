"""What every notebook begins with: a quiet TensorFlow and a folder of portraits."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib

from koala_face.photographs.sample_portraits import write_sample_portraits


def start(
    folder: str | os.PathLike | None = None, scratch: str | os.PathLike = "runs/notebooks"
) -> Path:
    """Load TensorFlow without its remarks, make figures as wide as the page, find the portraits.

    Args:
        folder: of photographs, searched recursively; None takes the two portraits that
            installed packages carry.
        scratch: where those two are written.

    Returns:
        The folder of portraits. Nothing is written into one that was given.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("absl").setLevel(logging.ERROR)  # the converter to LiteRT warns of itself
    with quiet_stderr():
        import tensorflow as tf

        from koala_face.figures.paper import RESOLUTION

        tf.config.list_logical_devices()  # looks for a graphics card, and says so
    matplotlib.rcParams["figure.dpi"] = RESOLUTION
    if folder is not None:
        return Path(folder).expanduser()
    portraits = Path(scratch) / "portraits"
    write_sample_portraits(portraits)
    return portraits


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what compiled code writes to standard error, past Python's own `sys.stderr`."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
