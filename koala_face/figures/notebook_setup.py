"""What every notebook begins with: a quiet TensorFlow and a folder of portraits."""

import logging
import os
from pathlib import Path

import matplotlib

from koala_face.foundation.streams import quiet_stderr
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
