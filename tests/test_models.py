"""The network against numbers transcribed again from Tables I-III."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from koala_face import models

# Layer -> (output height, width, channels), parameters; 256x256 input, 2622-d embedding.
# Counted by hand: (kernel area x channels in + 1) x filters.
CONVOLUTIONS = {
    "encoder_conv1": ((128, 128, 64), 640),
    "encoder_conv2": ((64, 64, 128), 73_856),
    "encoder_conv3": ((32, 32, 256), 295_168),
    "encoder_conv4": ((32, 32, 512), 1_180_160),
    "encoder_conv5": ((32, 32, 256), 1_179_904),
    "fusion_conv1": ((32, 32, 256), 737_024),
    "decoder_conv1": ((64, 64, 128), 295_040),
    "decoder_conv2": ((64, 64, 64), 73_792),
    "decoder_conv3": ((128, 128, 32), 18_464),
    "decoder_conv4": ((128, 128, 16), 4_624),
    "decoder_conv5": ((128, 128, 2), 130),
}
OTHERS = {
    "fusion": (32, 32, 2878),
    "decoder_upsampling1": (64, 64, 256),
    "decoder_upsampling2": (128, 128, 64),
    "ab": (256, 256, 2),
}


@pytest.fixture(scope="module")
def colorizer():
    return models.build_colorizer()


def test_convolutions_have_the_tables_shapes_and_parameters(colorizer):
    convolutions = [
        layer for layer in colorizer.layers if isinstance(layer, tf.keras.layers.Conv2D)
    ]
    assert [layer.name for layer in convolutions] == list(CONVOLUTIONS)
    for layer in convolutions:
        shape, parameters = CONVOLUTIONS[layer.name]
        assert tuple(layer.output.shape[1:]) == shape
        assert layer.count_params() == parameters


def test_fusion_and_upsampling_have_the_tables_shapes(colorizer):
    for name, shape in OTHERS.items():
        assert tuple(colorizer.get_layer(name).output.shape[1:]) == shape


@pytest.mark.parametrize(
    ("embedding_dim", "parameters"), [(2622, 3_865_650), (1000, 3_450_418), (512, 3_325_490)]
)
def test_whole_model_has_the_expected_parameters(embedding_dim, parameters):
    assert models.build_colorizer(embedding_dim).count_params() == parameters


def test_strides_and_activations_follow_the_tables(colorizer):
    convolutions = [colorizer.get_layer(name) for name in CONVOLUTIONS]
    assert [layer.strides[0] for layer in convolutions] == [2, 2, 2] + [1] * 8
    assert [layer.kernel_size[0] for layer in convolutions] == [3] * 5 + [1] + [3] * 4 + [2]
    names = [layer.activation.__name__ for layer in convolutions]
    assert names == ["relu"] * 10 + ["tanh"]


def test_hidden_convolutions_are_normalized_after_their_activation(colorizer):
    layers = list(colorizer.layers)
    for name in list(CONVOLUTIONS)[:-1]:
        normalization = colorizer.get_layer(name.replace("conv", "norm"))
        assert normalization.input is colorizer.get_layer(name).output
    normalizations = [
        layer for layer in layers if isinstance(layer, tf.keras.layers.BatchNormalization)
    ]
    assert len(normalizations) == 10
    assert layers[-1].name == "ab"
    assert layers[-2].name == "decoder_conv5"


def test_fusion_repeats_the_embedding_at_every_position():
    model = models.build_colorizer(embedding_dim=5, size=16)
    volume = tf.keras.Model(model.inputs, model.get_layer("fusion").output)
    embedding = np.array([[1, 2, 3, 4, 5]], "float32")
    fused = volume([np.ones((1, 16, 16, 1), "float32"), embedding]).numpy()
    assert fused.shape == (1, 2, 2, 256 + 5)
    for row in range(2):
        for column in range(2):
            np.testing.assert_array_equal(fused[0, row, column, 256:], embedding[0])


def test_upsampling_is_nearest_and_output_is_bounded():
    model = models.build_colorizer(embedding_dim=3, size=16)
    rng = np.random.default_rng(0)
    ab = model([rng.random((2, 16, 16, 1), "float32"), rng.random((2, 3), "float32")]).numpy()
    assert ab.shape == (2, 16, 16, 2)
    assert np.abs(ab).max() <= 1.0
    np.testing.assert_array_equal(ab[:, ::2, ::2], ab[:, 1::2, 1::2])


def test_inputs_are_named_and_ordered(colorizer):
    assert [tensor.name.split(":")[0] for tensor in colorizer.inputs] == ["luminance", "embedding"]


@pytest.mark.parametrize("size", [0, -8, 100, 255])
def test_a_size_that_is_no_multiple_of_8_is_refused(size):
    with pytest.raises(ValueError, match=f"multiple of 8.*Received: size={size}"):
        models.build_colorizer(size=size)


def test_an_empty_embedding_is_refused():
    with pytest.raises(ValueError, match="positive embedding_dim"):
        models.build_colorizer(embedding_dim=0)


# 64 x 96 by hand: the encoder's 8 x 12, doubled three times.
OBLONG = {
    "encoder_conv1": (32, 48, 64),
    "encoder_conv2": (16, 24, 128),
    "encoder_conv3": (8, 12, 256),
    "encoder_conv5": (8, 12, 256),
    "fusion": (8, 12, 261),
    "fusion_conv1": (8, 12, 256),
    "decoder_upsampling1": (16, 24, 256),
    "decoder_conv2": (16, 24, 64),
    "decoder_upsampling2": (32, 48, 64),
    "decoder_conv5": (32, 48, 2),
    "ab": (64, 96, 2),
}


def test_height_and_width_may_differ():
    """Section II.D.1: the input is N x M."""
    model = models.build_colorizer(embedding_dim=5, size=(64, 96))
    assert [tuple(tensor.shape[1:]) for tensor in model.inputs] == [(64, 96, 1), (5,)]
    for name, shape in OBLONG.items():
        assert tuple(model.get_layer(name).output.shape[1:]) == shape
    ab = model([np.zeros((1, 64, 96, 1), "float32"), np.zeros((1, 5), "float32")])
    assert tuple(ab.shape) == (1, 64, 96, 2)


def test_a_number_means_a_square():
    square, sides = (models.build_colorizer(8, size) for size in (32, (32, 32)))
    assert square.get_config() == sides.get_config()
    sides.set_weights(square.get_weights())
    inputs = [
        np.random.default_rng(0).random((1, 32, 32, 1), "float32"),
        np.ones((1, 8), "float32"),
    ]
    np.testing.assert_array_equal(square(inputs), sides(inputs))


@pytest.mark.parametrize("size", [(64, 100), (100, 64), (0, 64)])
def test_each_side_is_a_multiple_of_8(size):
    with pytest.raises(models.SizeError, match="multiple of 8"):
        models.build_colorizer(size=size)


def test_weights_do_not_depend_on_the_size():
    small, large = models.build_colorizer(8, size=16), models.build_colorizer(8, size=64)
    large.set_weights(small.get_weights())
    assert large.count_params() == small.count_params()


# Deep Koalarization, Table 1 and Section 3.3, transcribed again: layer -> side of a 256x256
# portrait's map, channels, parameters.
ANCESTOR = {
    "encoder_conv1": (128, 64, 640),
    "encoder_conv2": (128, 128, 73_856),
    "encoder_conv3": (64, 128, 147_584),
    "encoder_conv4": (64, 256, 295_168),
    "encoder_conv5": (32, 256, 590_080),
    "encoder_conv6": (32, 512, 1_180_160),
    "encoder_conv7": (32, 512, 2_359_808),
    "encoder_conv8": (32, 256, 1_179_904),
    "fusion_conv1": (32, 256, 321_792),
    "decoder_conv1": (32, 128, 295_040),
    "decoder_conv2": (64, 64, 73_792),
    "decoder_conv3": (64, 64, 36_928),
    "decoder_conv4": (128, 32, 18_464),
    "decoder_conv5": (128, 2, 578),
}


def convolutions_of(model):
    return [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Conv2D)]


def test_the_ancestors_convolutions_have_its_tables_shapes_and_parameters():
    model = models.build_colorizer(1000, network="deep_koalarization")
    found = {
        layer.name: (*layer.output.shape[2:], layer.count_params())
        for layer in convolutions_of(model)
    }
    assert found == ANCESTOR
    assert all(
        layer.kernel_size == ((1, 1) if layer.name == "fusion_conv1" else (3, 3))
        for layer in convolutions_of(model)
    )
    assert tuple(model.get_layer("ab").output.shape[1:]) == (256, 256, 2)


@pytest.mark.parametrize(("embedding_dim", "parameters"), [(1000, 6_573_794), (1001, 6_574_050)])
def test_the_whole_ancestor_has_the_expected_parameters(embedding_dim, parameters):
    model = models.build_colorizer(embedding_dim, 32, network="deep_koalarization")
    assert model.count_params() == parameters
    assert not any(isinstance(x, tf.keras.layers.BatchNormalization) for x in model.layers)


def test_the_ancestors_convolutions_end_in_relu_and_the_last_in_tanh():
    model = models.build_colorizer(4, 16, network="deep_koalarization")
    names = [layer.activation.__name__ for layer in convolutions_of(model)]
    assert names == ["relu"] * 13 + ["tanh"]


def test_the_ancestor_sees_luminance_from_minus_one_to_one():
    model = models.build_colorizer(4, 16, network="deep_koalarization")
    kernel = np.zeros((3, 3, 1, 64), "float32")
    kernel[1, 1] = 1.0
    first = model.get_layer("encoder_conv1")
    first.set_weights([kernel, np.zeros(64)])
    part = tf.keras.Model(model.inputs, first.output)
    for luminance, seen in ((0.0, 0.0), (0.5, 0.0), (0.75, 0.5), (1.0, 1.0)):  # after ReLU
        inputs = [np.full((1, 16, 16, 1), luminance, "float32"), np.zeros((1, 4), "float32")]
        assert part(inputs).numpy()[0, 3, 3, 0] == pytest.approx(seen)


def test_each_network_on_the_way_differs_from_the_one_before_in_what_it_says():
    """From the ancestor to the paper: batch norm, encoder, decoder, and at last all of it."""
    names = list(models.NETWORKS)
    assert names[:2] == ["koala_face", "deep_koalarization"]
    way = [models.NETWORKS[name]._replace(name="") for name in names[1:]]
    changed = [
        [field for field in one._fields if getattr(one, field) != getattr(next_, field)]
        for one, next_ in itertools.pairwise(way)
    ]
    assert changed == [["batch_norm"], ["encoder"], ["decoder"]]
    last, paper = way[-1], models.PAPER
    assert (last.encoder, last.fusion, last.batch_norm) == (
        paper.encoder,
        paper.fusion,
        paper.batch_norm,
    )
    assert models.build_colorizer(1000, 16, network="dk_early_upsampling").count_params() == (
        models.build_colorizer(1000, 16).count_params()
        # Table III's 32 -> 16 of 3x3 with its norm and 16 -> 2 of 2x2 against 32 -> 2 of 3x3.
        - (4_624 + 64 + 130)
        + 578
    )


def test_an_unknown_network_is_refused_by_the_names_there_are():
    with pytest.raises(ValueError, match="koala_face, deep_koalarization.*Received: 'vgg'"):
        models.build_colorizer(network="vgg")
