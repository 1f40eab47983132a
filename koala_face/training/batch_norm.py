"""Batch norm's statistics, measured with the weights as they are.

Training normalizes by the statistics of each batch; use normalizes by moving averages of
them. Those averages (Keras's momentum 0.99) lag behind the weights: in the first hundreds
of steps a network read through them errs more than gray, after the paper's 840 by 7 % too much
in one run and by nothing in another. `make_reestimate` measures over whole batches instead, in
one pass ("precise batch norm": Wu & Johnson, Rethinking "Batch" in BatchNorm, 2021).

What is rare is measured too small in that way: a batch with the one portrait by night that makes
a channel fire is normalized by that portrait too, all the way down. In use nothing holds it:
each layer multiplies what the last let through, and black comes out violet. `measure_in_turn`
measures each layer behind those above as they will be used, and so meets what use will meet.
"""

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

keras = tf.keras


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
    layers = _batch_norm_layers(model)

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
        _expect_some(count)
        # The variance within batches and that of the batches' means.
        _set_moving_statistics(layers, means / count, squares / count - (means / count) ** 2)

    return reestimate


def measure_in_turn(model: keras.Model, batches: Iterable) -> None:
    """Measure `model`'s batch norm statistics anew and set them in place, layer after layer.

    Each layer's are those of all values that reach it through the layers above as they are used:
    a pass as far as the layer, for each layer. Trainable weights are left alone.

    Args:
        batches: ((luminance, embedding), truth) batches, read once for each layer.

    Raises:
        ValueError: without a single batch.
    """
    for layer in _batch_norm_layers(model):
        reach = tf.function(keras.Model(model.inputs, layer.input), autograph=False)
        total, squares, count = 0.0, 0.0, 0
        for inputs, _ in batches:
            values = np.asarray(reach(inputs, training=False), "float64")
            values = values.reshape(-1, values.shape[-1])
            total, squares = total + values.sum(0), squares + np.square(values).sum(0)
            count += len(values)
        _expect_some(count)
        mean = total / count
        _set_moving_statistics([layer], mean, squares / count - mean**2)


def _batch_norm_layers(model: keras.Model) -> list:
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


def _expect_some(count: int) -> None:
    if not count:
        raise ValueError("Expected at least one batch of training portraits. Received none.")


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
