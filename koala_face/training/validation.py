"""The validation of a network between epochs, with batch norm statistics of its weights."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from koala_face.data import pipeline
from koala_face.data.portraits import Portraits
from koala_face.training.batch_norm import make_reestimate
from koala_face.training.fast_forward import quickest
from koala_face.training.losses import mse_loss

keras = tf.keras

# Training portraits over which the statistics are measured: ten steps of the paper's.
STATISTICS_PORTRAITS = 500
# `fast_forward` takes XLA some 20 CPU seconds longer to compile for this, and wins them back on
# this many pixels: 160 portraits of 256x256.
REPAID_PIXELS = 160 * 256**2


class Validation:
    """What is measured of a network after each epoch.

    Args:
        model: the network of Section II.D whose error counts.
        portraits: those to validate on.
        batch_size: of its passes, and of the training batches for the statistics.
        epochs, steps_per_epoch: of the run, which is how often all of it is done.
        compiled: by XLA.
    """

    def __init__(
        self,
        model: keras.Model,
        portraits: Portraits,
        batch_size: int,
        epochs: int,
        steps_per_epoch: int,
        compiled: bool = True,
    ):
        self.portraits, self.batch_size = portraits, batch_size
        self.statistics_batches = statistics_batches(batch_size, steps_per_epoch)
        passes = 2 * len(portraits) + self.statistics_batches * batch_size
        pixels = epochs * passes * math.prod(model.inputs[0].shape[1:3])
        network = quickest(model, compiled and pixels > REPAID_PIXELS)
        self.reestimate = make_reestimate(model, network, compiled)
        self.batch_error = make_batch_error(network, compiled)

    def error(self, stop_if_asked: Callable[[], None] = lambda: None) -> float:
        """The mean squared error over all values of all portraits, in squared units of ab/128.

        Args:
            stop_if_asked: called before each batch; may raise KeyboardInterrupt.
        """
        order, total = np.arange(len(self.portraits)), 0.0
        for inputs, ab in pipeline.batches(self.portraits, order, self.batch_size):
            stop_if_asked()
            total += float(self.batch_error(*inputs, ab)) * len(ab)
        return total / len(self.portraits)


def make_batch_error(
    network: Callable[..., tf.Tensor], compiled: bool = True
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function of (luminance, embedding, ab) that gives a batch's mean squared error.

    Args:
        network: a model, or what `fast_forward.quickest` puts in its place.
    """

    @tf.function(autograph=False, jit_compile=compiled or None)
    def batch_error(luminance, embedding, ab):
        predicted = tf.cast(network([luminance, embedding], training=False), tf.float32)
        return mse_loss(luminance, predicted, ab)

    return batch_error


def statistics_batches(batch_size: int, steps_per_epoch: int) -> int:
    """How many training batches to measure the statistics over: an epoch's at most."""
    return min(math.ceil(STATISTICS_PORTRAITS / batch_size), steps_per_epoch)
