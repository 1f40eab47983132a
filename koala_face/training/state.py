"""What a run needs to go on after a crash: weights, optimizer and its place, on the disk.

The two last savings are kept, each of which is on the disk before an older one goes: a power cut
damages the newest at most, and the one before it leads to the same weights.
"""

import logging
import re
import shutil
from pathlib import Path

import tensorflow as tf

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import flush

keras = tf.keras
log = logging.getLogger(__name__)

# As TensorFlow names the files of a checkpoint, and what it leaves when it is killed.
NAME = re.compile(r"ckpt-(\d+)[._]")
# What TensorFlow raises for a checkpoint that is missing, cut or of other bytes.
UNREADABLE = (tf.errors.OpError, OSError, RuntimeError, ValueError, TypeError, LookupError)


class StateError(KoalaFaceError):
    """A saved state that is whole, but not of this network."""


class State:
    """A run's variables, and the folder that keeps them.

    position: steps trained so far.
    loss_sum: of the steps of the epoch under way.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        average: tf.Module,
    ):
        self.folder = folder
        self.position = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            average=average,
            position=self.position,
            loss_sum=self.loss_sum,
        )
        self._last = 0

    def count(self, loss: tf.Tensor) -> None:
        """Count a step; within the step's graph, so that no interruption comes in between."""
        self.position.assign_add(1)
        self.loss_sum.assign_add(tf.cast(loss, tf.float64))

    def save(self) -> None:
        """Write all variables; when this returns they are safe."""
        before, number = self._last, max([self._last, *self._numbers()]) + 1
        self._checkpoint.write(str(self.folder / f"ckpt-{number}"))
        for path in self.folder.glob(f"ckpt-{number}.*"):
            flush(path)
        flush(self.folder)
        self._last = number
        for path in list(self.folder.iterdir()):
            found = NAME.match(path.name)
            if found and int(found[1]) not in (before, number):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def restore(self) -> bool:
        """Take the values of the newest saving that can be read; whether there is one.

        Raises:
            StateError: if it is of another network, or of another TensorFlow's optimizer.
        """
        for number in sorted(self._numbers(), reverse=True):
            path = str(self.folder / f"ckpt-{number}")
            try:
                _read_all(path)
            except UNREADABLE as error:
                log.warning("%s cannot be read: %s", path, str(error).partition("\n")[0])
                continue
            try:
                self._checkpoint.read(path).assert_existing_objects_matched().expect_partial()
            except (AssertionError, *UNREADABLE) as error:
                raise StateError(
                    f"Expected a state of this network in {path}. Found: {error}. Resume with the "
                    "versions of TensorFlow and Keras that settings.json names."
                ) from error
            self._last = number
            return True
        return False

    def _numbers(self) -> set[int]:
        names = (NAME.match(path.name) for path in self.folder.glob("ckpt-*"))
        return {int(name[1]) for name in names if name}


def _read_all(path: str) -> None:
    """Read every value, checksums and all, before the first of them reaches a variable."""
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)
