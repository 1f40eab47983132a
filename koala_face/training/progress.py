"""What one sees of a run: a bar, the time it will take and, on request, a TensorBoard log."""

import datetime
import logging
import os
import time
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from koala_face.foundation.errors import KoalaFaceError

log = logging.getLogger(__name__)

# The first steps are slower: they compile.
UNMEASURED_STEPS = 2


class Progress:
    """A bar for each epoch, and once the time that all steps will take."""

    def __init__(self, epochs: int, steps_per_epoch: int):
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.estimated = False

    def start(self, batches: Iterable, step: int) -> tqdm:
        """The batches of what is left of an epoch, from a step of the run on, beside a bar."""
        self._started = self._step = step
        epoch, begun = divmod(step, self.steps_per_epoch)
        self._bar = tqdm(
            batches,
            desc=f"epoch {epoch + 1}/{self.epochs}",
            total=self.steps_per_epoch,
            initial=begun,
            unit="step",
            disable=None,
            leave=False,
        )
        return self._bar

    def show(self, loss: float) -> None:
        """Take note of a step and its loss."""
        self._bar.set_postfix(loss=f"{loss:.5f}")
        self._step += 1
        done = self._step - self._started
        if done == UNMEASURED_STEPS:
            self._clock = time.monotonic()
        elif done == UNMEASURED_STEPS + 1 and not self.estimated:
            self._estimate(time.monotonic() - self._clock)

    def _estimate(self, seconds_per_step: float) -> None:
        """Say how long the steps left will take, without the validations between them."""
        left = self.epochs * self.steps_per_epoch - self._step
        duration = datetime.timedelta(seconds=round(left * seconds_per_step))
        log.info(
            "%.2f s a step: about %s for the %d steps left, validation not counted.",
            *(seconds_per_step, duration, left),
        )
        self.estimated = True


class TensorBoardError(KoalaFaceError):
    """TensorBoard is not installed."""


class TensorBoardLog:
    """Writes each epoch's numbers; `tensorboard --logdir FOLDER` shows them. Needs that package."""

    def __init__(self, folder: str | os.PathLike):
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


def estimate_seconds(multiply_adds: int) -> float:
    """Seconds of training on this processor, to within a factor of two.

    Steps reach about the speed of a matrix product (see the benchmark), once forward and twice
    backward.

    Args:
        multiply_adds: of the tables, forward, for all portraits that are seen.
    """
    return 3 * multiply_adds / multiply_adds_a_second()


def multiply_adds_a_second(side: int = 1024) -> float:
    """What this processor does in a float32 matrix product; the best of three."""
    matrix, seconds = np.ones((side, side), np.float32), []
    for _ in range(3):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return side**3 / min(seconds)
