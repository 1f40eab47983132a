"""A TensorBoard log of a run, on request; it needs the extra `tensorboard`."""

import tensorflow as tf

from koala_face.foundation.errors import KoalaFaceError


class TensorBoardError(KoalaFaceError):
    """TensorBoard is not installed."""


class TensorBoardLog:
    """Writes each epoch's numbers; `tensorboard --logdir FOLDER` shows them."""

    def __init__(self, folder):
        try:
            import tensorboard  # noqa: F401  tf.summary needs it and fails late without
        except ImportError as error:
            raise TensorBoardError(
                "--tensorboard needs the package tensorboard, which is not installed. "
                "Run: pip install tensorboard"
            ) from error
        self.writer = tf.summary.create_file_writer(str(folder))

    def write(self, row: dict) -> None:
        """Log a row of the history at its epoch."""
        with self.writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name != "epoch":
                    tf.summary.scalar(name, value)
        self.writer.flush()
