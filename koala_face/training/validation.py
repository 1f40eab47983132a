"""The validation of a network between epochs, and the batch norm statistics that it takes.

Training normalizes by the statistics of each batch; use normalizes by moving averages of
them. Those averages (Keras's momentum 0.99) lag behind the weights: in the first hundreds
of steps a network read through them errs more than gray, after the paper's 840 by 7 % too much
in one run and by nothing in another. Here the statistics are measured over whole batches with
the weights as they are ("precise batch norm": Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from koala_face.data import pipeline
from koala_face.data.portraits import Portraits
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


def make_reestimate(
    model: keras.Model, network: Callable[..., tf.Tensor], compiled: bool = True
) -> Callable[[Iterable], None]:
    """A function that measures `model`'s batch norm statistics anew and sets them in place.

    It takes an iterable of ((luminance, embedding), ab) batches of training portraits, all of
    one batch size; see `statistics_batches`. Trainable weights are left alone. Without a single
    batch it raises ValueError. Its second argument is called before each; see `interrupts`.

    Args:
        network: `model`, or what `fast_forward.quickest` puts in its place.
    """
    layers = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]

    @tf.function(autograph=False, jit_compile=compiled or None)
    def normalize(luminance, embedding):
        network([luminance, embedding], training=True)

    def reestimate(batches: Iterable, stop_if_asked: Callable[[], None] = lambda: None) -> None:
        if not layers:
            return  # a network without batch normalization, as the ancestor's
        momenta = [layer.momentum for layer in layers]
        means, squares, count = 0.0, 0.0, 0
        try:
            for layer in layers:
                layer.momentum = 0.0  # one pass leaves exactly the batch's own statistics
            for (luminance, embedding), _ in batches:
                stop_if_asked()
                normalize(luminance, embedding)
                mean, variance = _moving_statistics(layers)
                means, squares, count = means + mean, squares + variance + mean**2, count + 1
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
        if not count:
            raise ValueError("Expected at least one batch of training portraits. Received none.")
        # The variance within batches and that of the batches' means.
        _set_moving_statistics(layers, means / count, squares / count - (means / count) ** 2)

    return reestimate


def _moving_statistics(layers):
    """All layers' moving means and variances, each one long float64 vector."""
    means = np.concatenate([np.asarray(layer.moving_mean, "float64") for layer in layers])
    variances = np.concatenate([np.asarray(layer.moving_variance, "float64") for layer in layers])
    return means, variances


def _set_moving_statistics(layers, means, variances) -> None:
    start = 0
    for layer in layers:
        stop = start + layer.moving_mean.shape[0]
        layer.moving_mean.assign(means[start:stop].astype("float32"))
        layer.moving_variance.assign(np.maximum(variances[start:stop], 0.0).astype("float32"))
        start = stop
