"""One prediction of a colorizer, or the mean of several; resizing is held against Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from koala_face.colorizer.prediction import PredictionError, make_prediction, of_any_size
from koala_face.colorizer.quick_layers import quick_layers
from koala_face.models import NETWORKS, build_colorizer

SIZE, DIM = 32, 4


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(3)
    return build_colorizer(DIM, SIZE)


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(0)
    portraits = random.random((2, SIZE, SIZE, 1)).astype("float32")
    return portraits, random.random((2, DIM)).astype("float32")


def resized(images, size):
    """Each channel of (B, H, W, C), by Pillow."""
    pictures = [
        [
            Image.fromarray(np.ascontiguousarray(image[..., channel])).resize(
                (size, size), Image.Resampling.BICUBIC
            )
            for channel in range(image.shape[-1])
        ]
        for image in images
    ]
    return np.stack([np.stack([np.asarray(one) for one in row], axis=-1) for row in pictures])


def ask(model, size, inputs):
    """A network with the weights of `model` for portraits of another size: its ab, halved."""
    other = build_colorizer(DIM, size)
    other.set_weights(model.get_weights())
    ab = np.asarray(other([resized(inputs[0], size), inputs[1]], training=False))
    return ab.reshape(len(ab), size // 2, 2, size // 2, 2, 2).mean(axis=(2, 4))


@pytest.mark.parametrize("name", NETWORKS)
def test_asked_once_it_is_the_network(name, inputs):
    model = build_colorizer(DIM, SIZE, network=name)
    expected = model(inputs, training=False)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(make_prediction(model)(*inputs), expected, atol=1e-6)


@pytest.mark.parametrize("size", [8, 24, 40])
def test_quick_layers_stand_for_the_widest_of_the_tables(size):
    """Table I's last two, Table III's first three, both upsamplings; 3 positions fill no tiles."""
    model = build_colorizer(DIM, size)
    quick = quick_layers(model)
    assert set(quick) == {
        *("encoder_conv4", "encoder_conv5", "fusion", "fusion_conv1", "decoder_upsampling1"),
        *("decoder_conv1", "decoder_conv2", "decoder_upsampling2", "decoder_conv3"),
    }
    random = np.random.default_rng(1)
    for name, before, reduction in (
        *(("encoder_conv4", None, 8), ("encoder_conv5", None, 8)),
        *(("decoder_conv1", "decoder_upsampling1", 8), ("decoder_conv2", None, 4)),
        ("decoder_conv3", "decoder_upsampling2", 4),
    ):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, random.normal(size=bias.shape)])
        shape = 2, size // reduction, size // reduction, kernel.shape[2]
        x = tf.constant(random.normal(size=shape), "float32")
        expected = layer(x if before is None else model.get_layer(before)(x))
        seen = x if before is None else quick[before](x, None)
        np.testing.assert_allclose(quick_layers(model)[name](seen, None), expected, atol=2e-5)


def test_the_fusion_meets_the_embedding_once():
    model = build_colorizer(DIM, SIZE)
    layer = model.get_layer("fusion_conv1")
    random = np.random.default_rng(1)
    kernel = random.normal(size=(1, 1, 256 + DIM, 256))
    layer.set_weights([kernel, random.normal(size=256)])
    x, embedding = (tf.constant(random.normal(size=s), "float32") for s in ((2, 4, 4, 256), (2, 4)))
    repeated = np.broadcast_to(embedding[:, None, None], (2, 4, 4, DIM))
    expected = layer(np.concatenate([x, repeated], axis=-1))
    quick = quick_layers(model)
    given = quick["fusion_conv1"](quick["fusion"](x, embedding), embedding)
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_layers_stay_where_they_are_the_better_way(monkeypatch):
    tf.keras.mixed_precision.set_global_policy("float64")
    try:
        assert quick_layers(build_colorizer(DIM, SIZE)) == {}
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    model = build_colorizer(DIM, SIZE)
    assert quick_layers(tf.keras.Model(model.inputs, model.outputs, name="another")) == {}
    assert quick_layers(model)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert quick_layers(model) == {}


@pytest.mark.parametrize(("scale", "size"), [(0.5, 16), (0.75, 24), (1.5, 48), (0.85, 24)])
def test_at_a_scale_the_portrait_is_resized_and_so_is_ab(model, inputs, scale, size):
    """To the nearest multiple of 8."""
    given = np.asarray(make_prediction(model, scales=(scale,))(*inputs))
    halved = resized(ask(model, size, inputs), SIZE // 2)
    assert np.ptp(halved) > 0.01
    np.testing.assert_allclose(given, halved.repeat(2, axis=1).repeat(2, axis=2), atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_asked_at_another_size_with_its_own_weights(name, inputs):
    """As a network built for that size, whose first weights are others, with these set."""
    model = build_colorizer(DIM, SIZE, network=name)
    other = build_colorizer(DIM, 16, network=name)
    other.set_weights(model.get_weights())
    seen = resized(inputs[0], 16)
    given = of_any_size(model)([seen, inputs[1]])
    assert np.ptp(given) > 0.01
    np.testing.assert_allclose(given, other([seen, inputs[1]], training=False), atol=1e-6)


def test_several_scales_give_the_mean(model, inputs):
    small, whole = (make_prediction(model, scales=(scale,))(*inputs) for scale in (0.5, 1.0))
    both = make_prediction(model, scales=(0.5, 1.0))(*inputs)
    assert np.abs(small - whole).max() > 0.01
    np.testing.assert_allclose(both, (small + whole) / 2, atol=1e-6)


def test_mirrored_each_scale_is_mirrored(model, inputs):
    predict = make_prediction(model, mirrored=True, scales=(0.5, 1.0))
    turned = predict(inputs[0][:, :, ::-1], inputs[1])[:, :, ::-1]
    np.testing.assert_allclose(turned, predict(*inputs), atol=1e-5)


@pytest.mark.parametrize("scales", [(), (0.4,), (1.0, 2.1), (float("nan"),), (1.0,) * 6])
def test_scales_out_of_range(model, scales):
    with pytest.raises(PredictionError, match="1 to 5 scales of 0.5 to 2.0"):
        make_prediction(model, scales=scales)


def test_another_network_has_one_size(inputs):
    luminance = tf.keras.Input((SIZE, SIZE, 1), name="luminance")
    embedding = tf.keras.Input((DIM,), name="embedding")
    ab = tf.keras.layers.Conv2D(2, 3, padding="same")(luminance)
    other = tf.keras.Model([luminance, embedding], ab)
    assert make_prediction(other)(*inputs).shape == (2, SIZE, SIZE, 2)
    with pytest.raises(PredictionError, match="network that koala_face built"):
        make_prediction(other, scales=(0.5,))
