"""Descriptor files: read back by themselves, refused by name, and what stands on them."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import tensorflow as tf
from support.crafted_hdf5 import CRAFTS, mutations
from support.tuned_descriptors import CENTERS, CLASSES, make_head, save_descriptor

from koala_face import backbones
from koala_face.backbones.tuned import CENTERS as CENTERS_NAME
from koala_face.backbones.tuned import attach, parse_head, read_head
from koala_face.backbones.weight_files import weights_sha256
from koala_face.foundation.errors import KoalaFaceError

KERNEL = "model_weights/tuned_softmax/tuned_softmax/kernel:0"


@pytest.fixture
def file(tmp_path):
    return save_descriptor(tmp_path / "warm.h5")


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_head_says_what_its_network_predicts(tmp_path, hidden):
    network = make_head(512, hidden=hidden)
    head = read_head(save_descriptor(tmp_path / "x.h5", head=network))
    features = np.random.default_rng(1).normal(size=(4, 512)).astype("float32")
    expected = network.predict(features, verbose=0)
    np.testing.assert_allclose(head(features), expected, atol=1e-5)
    inputs = tf.keras.Input((512,))
    alone = attach(tf.keras.Model(inputs, inputs), head)
    np.testing.assert_allclose(alone(features), expected, atol=1e-5)
    assert expected.std() > 0.05, "too even to compare"
    assert (head.backbone, head.layer, head.classes) == ("none", "zeros", CLASSES)
    np.testing.assert_array_equal(head.centers, CENTERS)
    assert head.sha256 == weights_sha256(tmp_path / "x.h5")


def test_tuned_is_a_descriptor_of_the_softmax(file):
    backbone = backbones.find_backbone(f"tuned:{file}")
    assert (backbone.name, backbone.embedding_dim) == ("tuned:warm.h5", CLASSES)
    assert (backbone.layer, backbone.input_size) == ("zeros", 8)
    assert (backbone.plain_name, backbone.base.name) == ("tuned-warm", "none")
    vectors = backbones.build_descriptor(backbone, None)(np.zeros((2, 8, 8, 3), "float32"))
    bias = backbone.head.layers[-1][1]
    np.testing.assert_allclose(vectors, np.tile(np.exp(bias) / np.exp(bias).sum(), (2, 1)), 1e-5)


def test_a_head_stands_on_a_network_as_one_flat_model(file):
    base = backbones.build_descriptor(backbones.find_backbone("none"), None)
    model = attach(base, read_head(file))
    assert [layer.name for layer in model.layers[-2:]] == ["zeros", "tuned_softmax"]
    assert model.count_params() == base.count_params() + 512 * CLASSES + CLASSES


def test_the_bytes_that_a_model_carries_stand_for_the_file(file, tmp_path):
    content = (tmp_path / "warm.h5").read_bytes()
    (tmp_path / "warm.h5").unlink()
    backbone = backbones.find_backbone("tuned:warm.h5", "zeros", content)
    assert backbone.head.sha256 == parse_head(content, "other").sha256


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tuned:nowhere.h5", "koala_face tune writes it.*nowhere.h5, which does not exist"),
        ("tuned:", "vggface.*tuned:FILE, oracle:FILE.*'tuned:'"),
        ("other:{file}", "vggface.*tuned:FILE"),
    ],
)
def test_a_name_that_is_none_is_refused(name, message, file):
    with pytest.raises(KoalaFaceError, match=message):
        backbones.find_backbone(name.format(file=file))


def test_another_layer_is_refused(file):
    with pytest.raises(backbones.BackboneError, match=r"warm\.h5 without --layer.*fc7"):
        backbones.find_backbone(f"tuned:{file}", "fc7")


def test_a_head_on_other_features_is_refused(tmp_path):
    path = save_descriptor(tmp_path / "wide.h5", head=make_head(600))
    with pytest.raises(backbones.DescriptorFileError, match=r"512 values of none.*on 600"):
        backbones.find_backbone(f"tuned:{path}")


def test_a_tuned_descriptor_is_not_tuned_again(file, tmp_path):
    path = save_descriptor(tmp_path / "twice.h5", backbone=f"tuned:{file}")
    with pytest.raises(backbones.BackboneError, match="tuned:FILE"):
        backbones.find_backbone(f"tuned:{path}")


def test_other_weights_below_the_head_are_refused(tmp_path):
    path = save_descriptor(tmp_path / "x.h5", weights_sha256="ab" * 32)
    backbone = backbones.find_backbone(f"tuned:{path}")
    with pytest.raises(backbones.WeightsError, match=r"abab.*Received: None"):
        backbones.build_descriptor(backbone, None)


@pytest.mark.parametrize("craft", CRAFTS, ids=lambda craft: craft.__name__)
@pytest.mark.parametrize("name", [KERNEL, CENTERS_NAME])
def test_a_file_made_to_do_harm_is_refused(file, craft, name):
    with h5py.File(file, "r+") as opened:
        craft(opened, name)
    with pytest.raises(backbones.DescriptorFileError, match=r"warm\.h5"):
        backbones.find_backbone(f"tuned:{file}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(file, value):
    with h5py.File(file, "r+") as opened:
        opened[KERNEL][0, 0] = value
    with pytest.raises(backbones.DescriptorFileError, match="not finite"):
        read_head(file)


@pytest.mark.parametrize("name", ["backbone", "layer", "targets", "classes", "training"])
@pytest.mark.parametrize("value", [None, 7.5, [1, 2], h5py.Empty("f"), True])
def test_an_attribute_of_another_kind_is_refused(file, name, value):
    with h5py.File(file, "r+") as opened:
        del opened.attrs[f"koala_face_{name}"]
        if value is not None:
            opened.attrs[f"koala_face_{name}"] = value
    with pytest.raises(backbones.DescriptorFileError, match=f"koala_face_{name}"):
        read_head(file)


def test_damaged_bytes_are_refused_or_read(file):
    with open(file, "rb") as opened:
        content = opened.read()
    for mutated in mutations(content, 150, seed=0):
        try:
            parse_head(mutated, "mutated.h5")
        except backbones.DescriptorFileError:
            continue


def test_an_oracle_needs_colours_of_clusters_and_cannot_be_built(file, tmp_path):
    oracle = backbones.find_backbone(f"oracle:{file}")
    assert (oracle.name, oracle.layer, oracle.embedding_dim) == ("oracle:warm.h5", "cluster", 3)
    assert oracle.sees_color
    assert backbones.locate_weights(oracle) is None
    with pytest.raises(backbones.BackboneError, match="true cluster.*evaluate and compare alone"):
        backbones.build_descriptor(oracle, None)
    folders = save_descriptor(tmp_path / "folders.h5", targets="folders")
    with pytest.raises(backbones.BackboneError, match="one of folders.*--targets colors"):
        backbones.find_backbone(f"oracle:{folders}")


def test_finding_a_tuned_descriptor_needs_no_tensorflow(file):
    program = (
        "import sys; from koala_face import backbones as b; "
        f"b.locate_weights(b.find_backbone('tuned:{file}')); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
