"""VGG-Face against keras-vggface 0.6, run on Keras 2 in a process of its own."""

import shutil

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.tuned_descriptors import CLASSES, make_head, save_descriptor

from koala_face import backbones
from koala_face.backbones import preprocessing
from koala_face.backbones.downloads import verify
from koala_face.backbones.proof import MissingAuthorityError, run_authority
from koala_face.backbones.saved_layers import check_shapes
from koala_face.backbones.weight_files import VGGFACE_WEIGHTS

# Convolutions and fully connected layers of the VGG16 layout with 2622 outputs, by hand:
# weights 3*3*in*out + out.
PARAMETERS = {
    "fc6": 14_714_688 + 25088 * 4096 + 4096,
    "fc7": 14_714_688 + 25088 * 4096 + 4096 + 4096 * 4096 + 4096,
    "fc8": 14_714_688 + 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 2622 + 2622,
}
PARAMETERS["logits"] = PARAMETERS["fc8"]
PREPROCESSING_PARAMETERS = 12


@pytest.fixture(scope="module")
def authority(tmp_path_factory, astronaut):
    folder = tmp_path_factory.mktemp("vggface")
    try:
        yield run_authority("vggface", folder, astronaut, 224)
    except MissingAuthorityError as error:
        pytest.skip(str(error))
    shutil.rmtree(folder)  # 580 MB


@pytest.mark.parametrize("layer", ["fc6", "fc7", "fc8", "logits"])
def test_same_vectors_as_keras_vggface(authority, layer):
    backbone = backbones.find_backbone("vggface", layer)
    descriptor = backbones.build_descriptor(backbone, authority.weights_path)
    assert descriptor.count_params() == PARAMETERS[layer] + PREPROCESSING_PARAMETERS
    vector = descriptor(authority.pictures, training=False).numpy()
    expected = authority.outputs[layer]
    assert vector.shape == expected.shape == (1, backbone.embedding_dim)
    assert expected.std() > 0.3 * expected.mean(), "too even to compare"
    # Probabilities within 1e-5; hidden values, of hundreds, within 1e-5 of the largest.
    largest = 1.0 if layer == "fc8" else expected.max()
    np.testing.assert_allclose(vector / largest, expected / largest, rtol=0, atol=1e-5)


def test_a_tuned_head_stands_on_fc7(authority, tmp_path):
    """Section IV: the output layer stripped off, a softmax of K in its place."""
    head = make_head(4096)
    kernel, bias = (0.02 * value for value in head.get_weights())
    head.set_weights([kernel, bias])
    path = save_descriptor(
        tmp_path / "x.h5", "vggface", "fc7", weights=authority.weights_path, head=head
    )
    backbone = backbones.find_backbone(f"tuned:{path}")
    assert (backbone.input_size, backbone.embedding_dim) == (224, CLASSES)
    descriptor = backbones.build_descriptor(backbone, authority.weights_path)
    vector = descriptor(authority.pictures, training=False).numpy()[0]
    odds = np.exp(authority.outputs["fc7"][0] @ kernel + bias)
    assert np.ptp(odds / odds.sum()) > 0.01, "too even to compare"
    np.testing.assert_allclose(vector, odds / odds.sum(), rtol=0, atol=1e-4)
    assert descriptor.count_params() == PARAMETERS["fc7"] + 12 + 4096 * CLASSES + CLASSES


def test_preprocessing_is_that_of_keras_vggface(authority):
    backbone = backbones.find_backbone("vggface")
    portrait = preprocessing.portrait_input(backbone)
    first = tf.keras.Model(portrait, preprocessing.preprocess(portrait, backbone))
    preprocessed = first(authority.pictures).numpy()
    np.testing.assert_allclose(preprocessed, authority.outputs["preprocessed"], rtol=0, atol=1e-4)


def test_the_package_has_the_layers_that_a_download_is_checked_for(authority):
    check_shapes(VGGFACE_WEIGHTS.shapes, authority.weights_path, VGGFACE_WEIGHTS)
    assert len(VGGFACE_WEIGHTS.shapes) == 16


def test_a_layer_of_another_shape_is_named(tmp_path):
    """Refused at the first layer that does not fit, by name, with both shapes."""
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1_1"]
        group = file.create_group("conv1_1")
        group.attrs["weight_names"] = [b"conv1_1/kernel:0", b"conv1_1/bias:0"]
        group["conv1_1/kernel:0"] = np.zeros((5, 5, 3, 64), "float32")
        group["conv1_1/bias:0"] = np.zeros(64, "float32")
    backbone = backbones.find_backbone("vggface", "fc6")
    with pytest.raises(backbones.WeightsError, match=r"conv1_1 .*3, 3, 3, 64.*5, 5, 3, 64"):
        backbones.build_descriptor(backbone, path)


def test_a_missing_layer_is_named(tmp_path):
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"block1_conv1"]
    with pytest.raises(backbones.WeightsError, match=r"conv1_1.*weights\.h5.*block1_conv1"):
        backbones.build_descriptor(backbones.find_backbone("vggface", "fc6"), path)


@pytest.mark.weights
def test_the_published_file(astronaut, grace_hopper):
    """`python -m koala_face weights --download vggface` fetches it."""
    backbone = backbones.find_backbone("vggface")
    path = backbones.locate_weights(backbone)
    verify(backbone.weights_file, path)
    pictures = [Image.fromarray(pixels).resize((224, 224)) for pixels in (astronaut, grace_hopper)]
    descriptor = backbones.build_descriptor(backbone, path)
    vectors = descriptor(np.stack(pictures), training=False).numpy()
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=1e-5)
    assert vectors[0].argmax() != vectors[1].argmax(), "two people"
