"""The validation of a network between epochs, and the batch norm statistics that it takes.

Training normalizes by the statistics of each batch; use normalizes by moving averages of
them. Those averages (Keras's momentum 0.99) lag behind the weights: in the first hundreds
of steps a network read through them errs more than gray, after the paper's 840 by 7 % too much
in one run and by nothing in another. Here the statistics are measured over whole batches with
the weights as they are ("precise batch norm": Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).
"""

import math

import numpy as np
import tensorflow as tf

from koala_face.data import pipeline
from koala_face.data.portraits import Portraits
from koala_face.training.losses import mean_squared_error
from koala_face.training.recipe import Recipe
from koala_face.training.step import quickest_forward

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
        recipe: says in which batches, how often and whether by XLA.
    """

    def __init__(self, model: keras.Model, portraits: Portraits, recipe: Recipe):
        self.portraits, self.batch_size = portraits, recipe.batch_size
        passes = 2 * len(portraits) + statistics_batches(recipe) * recipe.batch_size
        pixels = recipe.epochs * passes * model.inputs[0].shape[1] ** 2
        forward = quickest_forward(model, recipe.xla and pixels > REPAID_PIXELS)
        self.reestimate = make_reestimate(model, forward, recipe.xla)
        self.batch_error = make_batch_error(forward, recipe.xla)

    def error(self) -> float:
        """The mean squared error over all values of all portraits, in squared units of ab/128."""
        order = np.arange(len(self.portraits))
        pairs = pipeline.batches(self.portraits, order, self.batch_size)
        errors = [float(self.batch_error(*inputs, ab)) * len(ab) for inputs, ab in pairs]
        return sum(errors) / len(self.portraits)


def make_batch_error(forward, compiled: bool = True):
    """A function of (luminance, embedding, ab) that gives a batch's mean squared error.

    Args:
        forward: of (luminance, embedding, training); see `optimization.quickest_forward`.
    """

    @tf.function(autograph=False, jit_compile=compiled or None)
    def batch_error(luminance, embedding, ab):
        predicted = tf.cast(forward(luminance, embedding, False), tf.float32)
        return mean_squared_error(luminance, predicted, ab)

    return batch_error


def statistics_batches(recipe: Recipe) -> int:
    """How many training batches to measure the statistics over: an epoch's at most."""
    return min(math.ceil(STATISTICS_PORTRAITS / recipe.batch_size), recipe.steps_per_epoch)


def make_reestimate(model: keras.Model, forward, compiled: bool = True):
    """A function that measures `model`'s batch norm statistics anew and sets them in place.

    It takes an iterable of ((luminance, embedding), ab) batches of training portraits, all of
    one batch size; see `statistics_batches`. Trainable weights are left alone. Without a single
    batch it raises ValueError.

    Args:
        forward: `model` as a function of (luminance, embedding, training); see
            `optimization.quickest_forward`.
    """
    layers = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]

    @tf.function(autograph=False, jit_compile=compiled or None)
    def normalize(luminance, embedding):
        forward(luminance, embedding, True)

    def reestimate(batches) -> None:
        momenta = [layer.momentum for layer in layers]
        means, squares, count = 0.0, 0.0, 0
        try:
            for layer in layers:
                layer.momentum = 0.0  # one pass leaves exactly the batch's own statistics
            for (luminance, embedding), _ in batches:
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
