"""Weights files made to do harm, and mutated ones: a WeightsError, never a traceback, no hang."""

import os

import h5py
import numpy as np
import pytest
import tensorflow as tf
from support import crafted_hdf5
from support.weights_server import saved_weights

from koala_face.backbones import frozen_graph, saved_layers, weight_files
from koala_face.backbones.weight_files import VGGFACE_WEIGHTS, WeightsError

SHAPES = {"fc": [(100, 1000), (1000,)]}
# Mutations tried; more shows more.
COUNT = int(os.environ.get("KOALA_FACE_FUZZ", "100"))


@pytest.fixture
def saved(tmp_path):
    saved_weights(tmp_path)
    return tmp_path / "made.h5"


@pytest.fixture
def model():
    portrait = tf.keras.Input((100,))
    return tf.keras.Model(portrait, tf.keras.layers.Dense(1000, name="fc")(portrait))


def use(path, model) -> None:
    """All that a descriptor or a download does with a file."""
    path = weight_files.locate_file(VGGFACE_WEIGHTS, path)
    weight_files.weights_sha256(path)
    saved_layers.check_shapes(SHAPES, path, VGGFACE_WEIGHTS)
    saved_layers.fill_by_name(model, path, VGGFACE_WEIGHTS)


def test_the_file_is_sound(saved, model):
    use(saved, model)
    with h5py.File(saved) as file:
        assert np.array_equal(model.get_layer("fc").get_weights()[0], file["fc/fc/kernel:0"])


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("name", ["fc/fc/kernel:0", "fc/fc/bias:0"])
@pytest.mark.parametrize("craft", crafted_hdf5.CRAFTS, ids=lambda craft: craft.__name__)
def test_crafted_weights_are_refused(saved, model, craft, name):
    with h5py.File(saved, "r+") as file:
        craft(file, name)
    with pytest.raises(WeightsError, match="made.h5"):
        use(saved, model)


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("name", ["fc", "model_weights"])
@pytest.mark.parametrize(
    "craft",
    [
        crafted_hdf5.remove,
        crafted_hdf5.link_out,
        crafted_hdf5.link_nowhere,
        crafted_hdf5.link_in_a_circle,
        crafted_hdf5.make_scalar,
    ],
    ids=lambda craft: craft.__name__,
)
def test_crafted_groups_are_refused(saved, model, craft, name):
    with h5py.File(saved, "r+") as file:
        if name == "model_weights":  # a whole model's file
            file.move("fc", name)
            file.attrs["layer_names"] = []
        if craft is crafted_hdf5.make_scalar:
            del file[name]
            file[name] = 2.0
        craft(file, name)
    with pytest.raises(WeightsError, match="made.h5"):
        use(saved, model)


@pytest.mark.parametrize("value", crafted_hdf5.ATTRIBUTES, ids=str)
@pytest.mark.parametrize("attribute", ["layer_names", "weight_names"])
def test_a_list_of_names_of_another_type_is_refused(saved, model, attribute, value):
    with h5py.File(saved, "r+") as file:
        (file if attribute == "layer_names" else file["fc"]).attrs[attribute] = value
    with pytest.raises(WeightsError, match="made.h5"):
        use(saved, model)


def test_names_of_layers_that_steer_a_terminal_are_escaped(saved, model):
    with h5py.File(saved, "r+") as file:
        file.attrs["layer_names"] = [b"\x1b[2J"]
    with pytest.raises(WeightsError) as error:
        use(saved, model)
    assert r"layers \x1b[2J" in str(error.value)


@pytest.mark.parametrize("kind", ["folder", "pipe", "no HDF5", "nothing"])
def test_what_is_no_hdf5_file(tmp_path, model, kind):
    path = tmp_path / "made.h5"
    if kind == "folder":
        (path / VGGFACE_WEIGHTS.name).mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"no HDF5" * 100 if kind == "no HDF5" else b"")
    with pytest.raises(WeightsError, match="made.h5"):
        use(path, model)


@pytest.mark.parametrize("shape", [[1 << 20, 1 << 20], [-5], [0, 1 << 62]])
def test_a_graph_that_says_more_than_it_holds_is_refused(tmp_path, shape):
    """One number that stands for terabytes."""
    node = tf.compat.v1.NodeDef(name="InceptionResnetV1/a/weights", op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    tensor = node.attr["value"].tensor
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.float_val.append(1.0)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    path = tmp_path / "graph_final.pb"
    path.write_bytes(tf.compat.v1.GraphDef(node=[node]).SerializeToString())
    with pytest.raises(WeightsError, match="graph_final.pb"):
        frozen_graph.read_constants(path)


def test_mutated_weights_end_in_named_errors_only(saved, model):
    content, errors, sound = saved.read_bytes(), 0, 0
    path = saved.with_name("mutated-made.h5")
    for mutated in crafted_hdf5.mutations(content, COUNT, seed=0):
        path.write_bytes(mutated)
        try:
            use(path, model)
            sound += 1
        except WeightsError:
            errors += 1
    assert errors > 0
    assert sound > 0
