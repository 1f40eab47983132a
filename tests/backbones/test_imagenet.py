"""Inception-ResNet-v2 and VGG19 against keras_applications 1.0.8, run on Keras 2."""

import shutil

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from koala_face import backbones
from koala_face.backbones import imagenet
from koala_face.backbones.downloads import verify
from koala_face.backbones.proof import MissingAuthorityError, run_authority
from koala_face.backbones.weight_files import INCEPTION_RESNET_V2_WEIGHTS

# keras.io/api/applications, "Parameters": 55.9M and 143.7M; exactly, by `summary()` in the
# documentation of each. Ours holds 12 more, the preprocessing.
PARAMETERS = {"inception_resnet_v2": 55_873_736, "vgg19": 143_667_240}


@pytest.fixture(scope="module", params=["vgg19", "inception_resnet_v2"])
def network(request, tmp_path_factory, astronaut):
    """Its name, what keras_applications gives, and ours with the weights that it saved."""
    folder = tmp_path_factory.mktemp(request.param)
    backbone = backbones.find_backbone(request.param)
    try:
        authority = run_authority(request.param, folder, astronaut, backbone.input_size)
    except MissingAuthorityError as error:
        pytest.skip(str(error))
    yield request.param, authority, backbones.build_descriptor(backbone, authority.weights_path)
    shutil.rmtree(folder)  # up to 575 MB


def test_same_probabilities(network):
    name, authority, descriptor = network
    probabilities = descriptor(authority.pictures, training=False).numpy()
    expected = authority.outputs["predictions"]
    assert probabilities.shape == expected.shape == (1, 1000)
    assert expected.std() > 0.3 * expected.mean(), "too even to compare"
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
    assert descriptor.count_params() == PARAMETERS[name] + 12


def test_the_logits_are_what_the_softmax_is_computed_from(network):
    name, authority, _ = network
    backbone = backbones.find_backbone(name, "logits")
    assert backbone.embedding_dim == 1000
    descriptor = backbones.build_descriptor(backbone, authority.weights_path)
    logits = descriptor(authority.pictures, training=False).numpy()
    expected = authority.outputs["logits"]
    assert logits.shape == expected.shape == (1, 1000)
    assert np.ptp(expected) > 1, "too even to compare"
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    odds = np.exp(logits - logits.max())
    np.testing.assert_allclose(odds / odds.sum(), authority.outputs["predictions"], atol=1e-6)
    assert descriptor.count_params() == PARAMETERS[name] + 12


def test_the_layer_below_the_top(network):
    """What a tuned descriptor's head stands on."""
    name, authority, _ = network
    layer, dim = {"vgg19": ("fc2", 4096), "inception_resnet_v2": ("avg_pool", 1536)}[name]
    backbone = backbones.find_backbone(name, layer)
    assert backbone.embedding_dim == dim
    descriptor = backbones.build_descriptor(backbone, authority.weights_path)
    features = descriptor(authority.pictures, training=False).numpy()
    expected = authority.outputs[layer]
    assert features.shape == expected.shape == (1, dim)
    assert expected.std() > 0.1 * expected.mean(), "too even to compare"
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-5 * expected.max())
    assert descriptor.count_params() == PARAMETERS[name] + 12 - (dim + 1) * 1000


def test_same_preprocessing(network):
    _, authority, descriptor = network
    first = tf.keras.Model(descriptor.input, descriptor.get_layer("preprocessing").output)
    preprocessed = first(authority.pictures).numpy()
    np.testing.assert_allclose(preprocessed, authority.outputs["preprocessed"], rtol=0, atol=1e-4)


def test_standard_layers_under_stable_names(network):
    """What another Keras can load: no Lambda, no class of keras.applications's own."""
    name, _, descriptor = network
    assert not descriptor.trainable_weights
    for layer in descriptor.layers:
        assert isinstance(layer, getattr(tf.keras.layers, layer.__class__.__name__))
        assert layer.__class__.__name__ != "Lambda"
    if name == "inception_resnet_v2":
        assert descriptor.get_layer("conv2d_1").kernel.shape == (3, 3, 3, 32)
        assert isinstance(descriptor.get_layer("block8_10"), tf.keras.layers.Add)


@pytest.mark.parametrize("shapes", [[(4, 3)], [(4, 3), (3, 2)], [(4, 3), (2, 3), (3,)]])
def test_another_networks_file_is_refused(tmp_path, shapes):
    """Inception-ResNet-v2's layers have no names of their own: their number and shapes decide."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(3), tf.keras.layers.Dense(3)])
    model.build((None, 4))
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as saved:
        saved.attrs["layer_names"] = [f"layer{n}" for n, _ in enumerate(shapes)]
        for n, shape in enumerate(shapes):
            group = saved.create_group(f"layer{n}")
            group.attrs["weight_names"] = ["kernel:0"]
            group["kernel:0"] = np.zeros(shape, "float32")
    with pytest.raises(backbones.WeightsError, match="weights of inception_resnet_v2"):
        imagenet.fill_in_order(model.layers, path, INCEPTION_RESNET_V2_WEIGHTS)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["vgg19", "inception_resnet_v2"])
def test_the_published_file_as_keras_itself_loads_it(name, astronaut):
    """`python -m koala_face weights --download vgg19,inception_resnet_v2` fetches them."""
    backbone = backbones.find_backbone(name)
    path = backbones.locate_weights(backbone)
    verify(backbone.weights_file, path)
    size = backbone.input_size
    pictures = np.asarray(Image.fromarray(astronaut).resize((size, size)), "float32")[None]
    module = getattr(tf.keras.applications, name)
    network = {"vgg19": "VGG19", "inception_resnet_v2": "InceptionResNetV2"}[name]
    keras_model = getattr(module, network)(weights=str(path))
    expected = keras_model(module.preprocess_input(pictures.copy()), training=False).numpy()
    ours = backbones.build_descriptor(backbone, path)(pictures, training=False).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
