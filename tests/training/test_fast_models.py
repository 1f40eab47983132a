"""The rewritings of winograd.py and fast_forward.py against the tables' layers, in float64."""

import numpy as np
import pytest
import tensorflow as tf

from koala_face import models
from koala_face.foundation import winograd
from koala_face.training import fast_forward

keras = tf.keras

# Each scheme and the input, counted in its window, that meets tap k of output o.
SCHEMES = {
    "winograd": (winograd.WINOGRAD, lambda o, k: o + k),
    "winograd of two": (winograd.WINOGRAD_OF_TWO, lambda o, k: o + k),
    "strided": (winograd.STRIDED, lambda o, k: 2 * o + k),
    # Upsampled position o + k - 1 repeats input (o + k - 1) // 2; the window starts at -1.
    "upsampled": (winograd.UPSAMPLED, lambda o, k: (o + k - 1) // 2 + 1),
}


def float64_model(size: int, embedding_dim: int = 5, network: str = "koala_face"):
    """A network of the tables in float64, no weight of which is left at 0 or 1."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float64")
    try:
        model = models.build_colorizer(embedding_dim, size, 0.75, network)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        spread = 0.7 / np.sqrt(np.prod(weight.shape[:-1])) if len(weight.shape) == 4 else 0.2
        offset = 1.0 if len(weight.shape) == 1 and "bias" not in weight.name else 0.0
        weight.assign(offset + spread * rng.standard_normal(weight.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(rng.uniform(0.5, 2.0, layer.gamma.shape))
    return model


def inputs(batch: int, size: int, embedding_dim: int = 5):
    """Luminance, embedding and ab: float64, of values that a float32 input layer keeps."""
    rng = np.random.default_rng(1)
    arrays = (
        rng.uniform(size=(batch, size, size, 1)),
        rng.uniform(size=(batch, embedding_dim)),
        rng.uniform(-0.5, 0.5, (batch, size, size, 2)),
    )
    return tuple(tf.constant(array.astype("float32").astype("float64")) for array in arrays)


@pytest.mark.parametrize("name", SCHEMES)
def test_scheme_is_the_convolution(name):
    """outputs * taps * inputs picks, for each output and tap, the one input that they meet."""
    scheme, meets = SCHEMES[name]
    tensor = np.einsum("om,mk,mi->oki", scheme.outputs, scheme.taps, scheme.inputs)
    expected = np.zeros_like(tensor)
    for o, k in np.ndindex(expected.shape[:2]):
        expected[o, k, meets(o, k)] = 1.0
    np.testing.assert_allclose(tensor, expected, atol=1e-15)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (10, 6), (4, 14)])
@pytest.mark.parametrize("name", SCHEMES)
def test_bilinear_convolution_equals_conv2d(name, height, width):
    rng = np.random.default_rng(2)
    x = tf.constant(rng.standard_normal((2, height, width, 3)))
    kernel = tf.constant(rng.standard_normal((3, 3, 3, 5)))
    scheme, _ = SCHEMES[name]
    seen = np.repeat(np.repeat(x, 2, axis=1), 2, axis=2) if name == "upsampled" else x
    expected = tf.nn.conv2d(seen, kernel, 2 if name == "strided" else 1, "SAME")
    y = winograd.bilinear_convolution(x, kernel, scheme)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    taps = winograd.prepare_taps(kernel.numpy(), scheme)
    np.testing.assert_allclose(winograd.convolve_prepared(x, taps, scheme), expected, atol=1e-11)


# 24 / 8 = 3 positions fill no whole tile of four.
@pytest.mark.parametrize("size", [16, 24])
@pytest.mark.parametrize("network", ["koala_face", "deep_koalarization"])
def test_same_output_without_training(size, network):
    model = float64_model(size, network=network)
    luminance, embedding, _ = inputs(2, size)
    expected = model([luminance, embedding], training=False)
    ab = fast_forward.fast_forward(model, luminance, embedding)
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(ab, expected, atol=1e-10)


@pytest.mark.parametrize("network", ["koala_face", "deep_koalarization"])
def test_same_output_gradients_and_statistics_in_training(network):
    size, batch = 24, 3
    model = float64_model(size, network=network)
    luminance, embedding, target = inputs(batch, size)
    before = model.get_weights()

    def losses_and_gradients(forward):
        model.set_weights(before)
        with tf.GradientTape() as tape:
            ab = forward()
            loss = tf.reduce_mean(tf.square(ab - target))
        gradients = tape.gradient(loss, model.trainable_variables)
        return ab, gradients, [w.numpy() for w in model.non_trainable_variables]

    table = losses_and_gradients(lambda: model([luminance, embedding], training=True))
    fast = losses_and_gradients(
        lambda: fast_forward.fast_forward(model, luminance, embedding, training=True)
    )
    np.testing.assert_allclose(fast[0], table[0], atol=1e-9)
    for variable, ours, theirs in zip(model.trainable_variables, fast[1], table[1], strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, atol=1e-8 * scale + 1e-12, err_msg=variable.name)
    for variable, ours, theirs in zip(
        model.non_trainable_variables, fast[2], table[2], strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-10, err_msg=variable.name)


def test_float32_error_is_that_of_the_plain_model():
    """Against float64, the rewriting errs no more than a few times what the layers do."""
    size, batch = 32, 4
    exact_model = float64_model(size)
    luminance, embedding, _ = inputs(batch, size)
    exact = exact_model([luminance, embedding], training=False).numpy()
    model = models.build_colorizer(5, size)
    model.set_weights(exact_model.get_weights())
    single = tf.cast(luminance, tf.float32), tf.cast(embedding, tf.float32)
    plain_error = np.abs(model(list(single), training=False).numpy() - exact).max()
    error = np.abs(fast_forward.fast_forward(model, *single).numpy() - exact).max()
    assert 0 < error < max(5 * plain_error, 1e-5)


def test_the_variance_of_a_rarely_active_channel_is_exact():
    """The channels are active at one position in 200; one long float32 sum of them errs by 3e-5."""
    size, batch = 128, 8
    model = models.build_colorizer(5, size)
    luminance, embedding, _ = (tf.cast(t, tf.float32) for t in inputs(batch, size))
    layer, norm = model.get_layer("encoder_conv1"), model.get_layer("encoder_norm1")
    response = np.asarray(tf.nn.conv2d(luminance, layer.kernel, 2, "SAME"), "float64")
    layer.bias.assign(-np.quantile(response, 0.995, axis=(0, 1, 2)))
    norm.momentum = 0.0  # leaves the batch's own statistics
    fast_forward.fast_forward(model, luminance, embedding, training=True)
    active = np.maximum(response + layer.bias.numpy(), 0.0)
    np.testing.assert_allclose(norm.moving_mean, active.mean((0, 1, 2)), rtol=5e-6)
    np.testing.assert_allclose(norm.moving_variance, active.var((0, 1, 2)), rtol=5e-6)


@pytest.mark.slow
def test_compiled_steps_follow_the_plain_model():
    """Three XLA training steps of each, from the same weights: the same losses."""
    size, batch = 64, 4
    model = models.build_colorizer(5, size)
    luminance, embedding, target = (tf.cast(t, tf.float32) for t in inputs(batch, size))
    before = model.get_weights()

    def losses(forward):
        model.set_weights(before)

        @tf.function(jit_compile=True)
        def step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(forward() - target))
            gradients = tape.gradient(loss, model.trainable_variables)
            for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
                variable.assign_sub(0.01 * gradient)
            return loss

        return [float(step()) for _ in range(3)]

    table = losses(lambda: model([luminance, embedding], training=True))
    fast = losses(lambda: fast_forward.fast_forward(model, luminance, embedding, training=True))
    assert table[2] < table[0]
    np.testing.assert_allclose(fast, table, rtol=1e-3)
