"""Measured batch norm statistics against NumPy over all values."""

import numpy as np
import pytest
import tensorflow as tf

from koala_face import models
from koala_face.training.batch_norm import make_reestimate, measure_in_turn
from koala_face.training.fast_forward import quickest
from koala_face.training.validation import statistics_batches

keras = tf.keras


def one_normalization(momentum=0.99):
    """luminance -> batch norm: its statistics are those of the input itself."""
    luminance = keras.Input((4, 4, 1), name="luminance")
    embedding = keras.Input((2,), name="embedding")
    normalized = keras.layers.BatchNormalization(momentum=momentum, name="norm")(luminance)
    repeated = keras.layers.Reshape((4, 4, 1))(keras.layers.RepeatVector(8)(embedding))
    return keras.Model([luminance, embedding], keras.layers.Add()([normalized, repeated]))


def batches(values):
    for value in values:
        yield (tf.constant(value), tf.zeros((len(value), 2))), None


@pytest.mark.parametrize("compiled", [True, False])
def test_statistics_are_those_of_all_batches(compiled):
    model = one_normalization()
    rng = np.random.default_rng(0)
    # Batches of different mean: the variance between them counts too.
    values = [rng.normal(mean, 2.0, (50, 4, 4, 1)).astype("float32") for mean in (-3, 0, 7)]
    make_reestimate(model, model, compiled)(batches(values))
    layer = model.get_layer("norm")
    everything = np.concatenate(values)
    np.testing.assert_allclose(layer.moving_mean.numpy(), everything.mean(), rtol=1e-5)
    # TensorFlow's fused kernel divides by n - 1 within a batch: 799 of 800.
    np.testing.assert_allclose(layer.moving_variance.numpy(), everything.var(), rtol=1e-3)
    assert layer.momentum == 0.99


def test_a_normalized_batch_has_mean_0_and_variance_1():
    model = one_normalization()
    value = np.random.default_rng(1).normal(5.0, 3.0, (64, 4, 4, 1)).astype("float32")
    make_reestimate(model, model)(batches([value]))
    normalized = model([value, np.zeros((64, 2), "float32")], training=False).numpy()
    assert abs(normalized.mean()) < 1e-3
    assert abs(normalized.std() - 1.0) < 2e-3


@pytest.mark.parametrize("rewritten", [False, True])
def test_use_then_equals_training_on_the_same_batch_through_the_whole_network(rewritten):
    model = models.build_colorizer(embedding_dim=3, size=32)
    rng = np.random.default_rng(2)
    luminance = rng.random((64, 32, 32, 1), "float32")
    embedding = rng.random((64, 3), "float32")
    trained = model([luminance, embedding], training=True).numpy()
    before = model([luminance, embedding], training=False).numpy()
    weights = [variable.numpy() for variable in model.trainable_variables]
    make_reestimate(model, quickest(model, compiled=rewritten))([((luminance, embedding), None)])
    after = model([luminance, embedding], training=False).numpy()
    assert np.abs(before - trained).max() > 0.1
    # Equal up to that n - 1, which ten layers pass on.
    assert np.abs(after - trained).mean() < 0.005
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), weight)


def two_normalizations():
    """luminance -> batch norm -> ReLU of what is 3 deviations off -> batch norm."""
    luminance = keras.Input((4, 4, 1), name="luminance")
    embedding = keras.Input((2,), name="embedding")
    first = keras.layers.BatchNormalization(name="first")(luminance)
    rare = keras.layers.ReLU(threshold=3.0)(first)
    return keras.Model([luminance, embedding], keras.layers.BatchNormalization(name="second")(rare))


def test_measured_in_turn_what_is_rare_has_the_variance_that_use_meets():
    """One value of 20 batches is far off. In use it is 17.9 deviations off, by hand: mean 1 / 320
    and variance 1 / 320 - 1 / 320² of one 1 among 320 values. In its own batch of 16 it is 3.9."""
    values = np.zeros((20, 1, 4, 4, 1), "float32")
    values[7, 0, 2, 3] = 1.0
    variance = 1 / 320 - 1 / 320**2
    far = (1 - 1 / 320) / np.sqrt(variance + 1e-3)
    model = two_normalizations()
    measure_in_turn(model, list(batches(values)))
    first, second = model.get_layer("first"), model.get_layer("second")
    np.testing.assert_allclose(first.moving_variance.numpy(), variance, rtol=1e-5)
    np.testing.assert_allclose(second.moving_mean.numpy(), far / 320, rtol=1e-4)
    np.testing.assert_allclose(second.moving_variance.numpy(), far**2 * variance, rtol=1e-4)
    used = model([values[7], np.zeros((1, 2), "float32")], training=False).numpy()
    assert used.max() < 20
    make_reestimate(model, model)(batches(values))
    used = model([values[7], np.zeros((1, 2), "float32")], training=False).numpy()
    assert used.max() > 60  # what whole batches hide comes out multiplied


def test_measured_in_turn_statistics_are_those_of_all_values_of_the_real_network():
    model = models.build_colorizer(embedding_dim=3, size=32)
    rng = np.random.default_rng(4)
    pairs = [
        ((rng.random((n, 32, 32, 1), "float32"), rng.random((n, 3), "float32")), None)
        for n in (8, 8, 5)
    ]
    measure_in_turn(model, pairs)
    for name in ("encoder_norm1", "encoder_norm5", "fusion_norm1", "decoder_norm4"):
        layer = model.get_layer(name)
        reach = keras.Model(model.inputs, layer.input)
        values = np.concatenate([reach(inputs, training=False).numpy() for inputs, _ in pairs])
        values = values.reshape(-1, values.shape[-1]).astype("float64")
        np.testing.assert_allclose(layer.moving_mean.numpy(), values.mean(0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(layer.moving_variance, values.var(0), rtol=1e-3, atol=1e-8)


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        make_reestimate(one_normalization(), network=None)([])
    with pytest.raises(ValueError, match="at least one batch"):
        measure_in_turn(one_normalization(), [])


@pytest.mark.parametrize(
    ("batch_size", "steps", "batches"), [(50, 40, 10), (16, 125, 32), (2, 25, 25)]
)
def test_as_many_portraits_whatever_the_batch_but_an_epoch_at_most(batch_size, steps, batches):
    assert statistics_batches(batch_size, steps) == batches
