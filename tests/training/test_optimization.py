"""One step of Section II.F by hand."""

import numpy as np
import pytest
import tensorflow as tf
from support.small_network import SMALL

from koala_face import models
from koala_face.models import build_colorizer
from koala_face.training.step import (
    WeightAverage,
    learning_rate_of,
    make_optimizer,
    make_train_step,
)

SIZE = 16


def batch(rng, count=4):
    luminance = rng.random((count, SIZE, SIZE, 1), "float32")
    embedding = rng.random((count, 3), "float32")
    ab = rng.uniform(-1, 1, (count, SIZE, SIZE, 2)).astype("float32")
    return luminance, embedding, ab


@pytest.mark.parametrize(("compiled", "network"), [(False, models.PAPER), (True, SMALL)])
def test_a_step_has_the_mse_as_loss_and_moves_weights_as_adam_does(compiled, network, monkeypatch):
    monkeypatch.setitem(models.NETWORKS, network.name, network)
    model = build_colorizer(3, SIZE, network=network.name)
    optimizer = make_optimizer(model, 0.001)
    luminance, embedding, ab = batch(np.random.default_rng(0))
    predicted = build_copy(model)([luminance, embedding], training=True).numpy()
    before = [variable.numpy() for variable in model.trainable_variables]
    loss = make_train_step(model, optimizer, compiled)(luminance, embedding, ab)
    np.testing.assert_allclose(loss, np.mean((predicted - ab) ** 2), rtol=1e-4)
    # Adam's first step is the learning rate times the gradient's sign, whatever its size.
    moved = np.concatenate(
        [
            np.abs(variable.numpy() - weight).ravel()
            for variable, weight in zip(model.trainable_variables, before, strict=True)
        ]
    )
    assert moved.max() <= 0.001 * 1.001
    assert np.mean(np.isclose(moved, 0.001, rtol=0.02)) > 0.9
    assert int(optimizer.iterations) == 1


def build_copy(model):
    copy = build_colorizer(3, SIZE, network=model.name)
    copy.set_weights(model.get_weights())
    return copy


def test_cosine_schedule_falls_from_the_rate_to_zero():
    steps = 12
    rate = learning_rate_of("cosine", 0.1, steps)
    values = [float(rate(step)) for step in (0, steps // 2, steps)]
    np.testing.assert_allclose(values, [0.1, 0.05, 0.0], atol=1e-7)


def convolves_in_bfloat16():
    """TensorFlow 2.10 does so on a CPU only if it has AVX-512."""

    @tf.function
    def convolve():
        ones = tf.ones((4, SIZE, SIZE, 1), tf.bfloat16)
        return tf.nn.conv2d(ones, tf.ones((3, 3, 1, 64), tf.bfloat16), 2, "SAME")

    try:
        convolve()
    except tf.errors.OpError:
        return False
    return True


def test_mixed_precision_keeps_float32_weights_and_loss():
    if not convolves_in_bfloat16():
        pytest.skip("this TensorFlow has no bfloat16 convolution on this processor")
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = build_colorizer(3, SIZE)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    step = make_train_step(model, make_optimizer(model, 0.001), False)
    loss = step(*batch(np.random.default_rng(0)))
    assert model.get_layer("encoder_conv1").compute_dtype == "bfloat16"
    assert {np.dtype(weight.dtype) for weight in model.get_weights()} == {np.dtype("float32")}
    assert loss.dtype == tf.float32
    assert np.isfinite(float(loss))


def test_the_average_of_weights_by_hand():
    """Decays of min(0.9, t / (t + 9)): 1/10, 2/11, 3/12 for steps 1 to 3."""
    model = build_colorizer(3, SIZE)
    average = WeightAverage(model, 0.9)
    (first, *_) = model.trainable_variables
    expected = first.numpy()
    for step in (1, 2, 3):
        first.assign(first + 1.0)
        average.update()
        decay = step / (step + 9)
        expected = decay * expected + (1 - decay) * first.numpy()
    other = build_colorizer(3, SIZE)
    average.copy_to(other)
    np.testing.assert_allclose(other.trainable_variables[0].numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(
        other.trainable_variables[1].numpy(), model.trainable_variables[1].numpy()
    )


def test_without_averaging_nothing_is_kept():
    model = build_colorizer(3, SIZE)
    average = WeightAverage(model, 0.0)
    other = build_colorizer(3, SIZE)
    before = other.get_weights()
    average.update()
    average.copy_to(other)
    assert not average.weights
    for one, same in zip(before, other.get_weights(), strict=True):
        assert np.array_equal(one, same)
