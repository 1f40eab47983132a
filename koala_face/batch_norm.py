"""Statistics of batch normalization for use, measured instead of averaged along the way.

Training normalizes by the statistics of each batch; use normalizes by moving averages of
them. Those averages (Keras's momentum 0.99) lag behind the weights: in the first hundreds
of steps a network read through them errs more than gray, after the paper's 840 by 7 % too much
in one run and by nothing in another. Here the statistics are measured over whole batches with
the weights as they are ("precise batch norm": Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).
"""

import math

import numpy as np
import tensorflow as tf

from koala_face.recipe import Recipe

keras = tf.keras

# Training portraits over which the statistics are measured: ten steps of the paper's.
PORTRAITS = 500


def statistics_batches(recipe: Recipe) -> int:
    """How many training batches to measure the statistics over: an epoch's at most."""
    return min(math.ceil(PORTRAITS / recipe.batch_size), recipe.steps_per_epoch)


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
