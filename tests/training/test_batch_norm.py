"""Measured batch norm statistics against NumPy over all values."""

import numpy as np
import pytest
import tensorflow as tf

from koala_face import models
from koala_face.training.fast_forward import quickest
from koala_face.training.validation import make_reestimate, statistics_batches

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


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        make_reestimate(one_normalization(), network=None)([])


@pytest.mark.parametrize(
    ("batch_size", "steps", "batches"), [(50, 40, 10), (16, 125, 32), (2, 25, 25)]
)
def test_as_many_portraits_whatever_the_batch_but_an_epoch_at_most(batch_size, steps, batches):
    assert statistics_batches(batch_size, steps) == batches
