"""Model files: what they hold, that they come back whole, and that nothing strange is built."""

import dataclasses
import json
import os
import threading

import h5py
import numpy as np
import pytest
import tensorflow as tf
from support.sample_models import (
    DESCRIPTION,
    DIM,
    SIZE,
    model_of_all_layers,
    predict,
    sample_colorizer,
    sample_inputs,
)

import koala_face
from koala_face.model_files.files import ModelFileError, load_model, save_model
from koala_face.model_files.portable import LAYERS, ModelConfigError, portable_config
from koala_face.models import build_colorizer

keras = tf.keras


@pytest.fixture(scope="module")
def colorizer():
    return sample_colorizer()


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory, colorizer):
    """A saved colorizer; copy it before you change it."""
    path = tmp_path_factory.mktemp("models") / "model.h5"
    save_model(colorizer, path, DESCRIPTION)
    return path


@pytest.fixture
def model_file(tmp_path, whole_file):
    """A saved colorizer of the test's own."""
    path = tmp_path / "model.h5"
    path.write_bytes(whole_file.read_bytes())
    return path


def change_config(path, change):
    """Apply `change` to the JSON of `model_config` in place."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


def layer_config(config, name):
    """The entry of a layer in `model_config`."""
    return next(layer for layer in config["config"]["layers"] if layer["name"] == name)


def test_a_model_comes_back_as_it_was(colorizer, whole_file):
    model, description = load_model(whole_file)
    assert description == DESCRIPTION
    inputs = sample_inputs(colorizer)
    expected = predict(colorizer, inputs)
    assert expected.std() > 0.01, "a flat output would hide wrong weights"
    np.testing.assert_allclose(predict(model, inputs), expected, atol=1e-6)


def test_h5py_alone_reads_what_a_model_needs(whole_file):
    with h5py.File(whole_file, "r") as file:
        attributes = dict(file.attrs)
    assert attributes["koala_face_backbone"] == "facenet"
    assert attributes["koala_face_layer"] == "embeddings"
    assert attributes["koala_face_preprocessing"] == "(RGB - 127.5) / 128"
    assert attributes["koala_face_embedding_dim"] == DIM
    assert attributes["koala_face_size"] == SIZE
    assert attributes["koala_face_luminance_scale"] == 100.0
    assert attributes["koala_face_ab_scale"] == 128.0
    assert not attributes["koala_face_mirrored"]
    assert attributes["koala_face_scales"].tolist() == [1.0]
    assert json.loads(attributes["koala_face_training"])["scores"] == {"mse": 368.57}
    assert attributes["koala_face_version"] == koala_face.__version__


def test_a_file_holds_neither_optimizer_nor_loss(tmp_path, whole_file):
    model = sample_colorizer()
    model.compile(optimizer="adam", loss="mse")
    save_model(model, tmp_path / "compiled.h5", DESCRIPTION)
    with h5py.File(tmp_path / "compiled.h5", "r") as file:
        assert set(file) == {"model_weights"}
        assert "training_config" not in file.attrs
    # The same bytes, compiled or not: nothing of the moment is in a file.
    assert (tmp_path / "compiled.h5").read_bytes() == whole_file.read_bytes()


def test_the_config_is_in_the_notation_of_keras_2_10(whole_file):
    """The spellings that Keras 2.10 writes and needs, transcribed from a file that it wrote."""
    with h5py.File(whole_file, "r") as file:
        config = json.loads(file.attrs["model_config"])
    assert layer_config(config, "luminance") == {
        "class_name": "InputLayer",
        "config": {
            "batch_input_shape": [None, SIZE, SIZE, 1],
            "dtype": "float32",
            "name": "luminance",
        },
        "name": "luminance",
        "inbound_nodes": [],
    }
    convolution = layer_config(config, "encoder_conv1")
    assert convolution["inbound_nodes"] == [[["luminance", 0, 0, {}]]]
    assert convolution["config"]["kernel_initializer"] == {
        "class_name": "GlorotUniform",
        "config": {"seed": None},
    }
    assert layer_config(config, "encoder_norm1")["config"]["axis"] == -1
    assert layer_config(config, "fusion")["inbound_nodes"] == [
        [["encoder_norm5", 0, 0, {}], ["fusion_reshape", 0, 0, {}]]
    ]
    assert config["config"]["output_layers"] == ["ab", 0, 0]


def test_every_listed_layer_comes_back(tmp_path):
    model = model_of_all_layers()
    assert {type(layer).__name__ for layer in model.layers} == set(LAYERS)
    save_model(model, tmp_path / "all.h5", DESCRIPTION)
    inputs = sample_inputs(model)
    again = keras.models.load_model(str(tmp_path / "all.h5"), compile=False)
    np.testing.assert_allclose(predict(again, inputs), predict(model, inputs), atol=1e-6)
    with pytest.raises(ModelFileError, match=r"all\.h5.*luminance"):
        load_model(tmp_path / "all.h5")


def test_mixed_precision_is_saved_in_float32(tmp_path):
    image = keras.Input((4, 4, 1), name="image")
    layer = keras.layers.Conv2D(2, 1, dtype="mixed_float16", name="half")
    config = portable_config(keras.Model(image, layer(image)))
    assert layer_config(config, "half")["config"]["dtype"] == "float32"


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: keras.layers.Lambda(lambda x: x * 2, name="twice"), "'twice' of class Lambda"),
        (lambda: keras.layers.Conv2D(1, 1, activation="gelu"), "gelu"),
        (lambda: keras.layers.Conv2D(1, 1, kernel_regularizer="l2"), "kernel_regularizer"),
        (lambda: keras.layers.Conv2D(1, 1, kernel_initializer="orthogonal"), "Orthogonal"),
        (lambda: keras.layers.Conv2D(1, 1, dtype="float64"), "float64"),
    ],
)
def test_what_not_every_keras_knows_is_not_written(tmp_path, layer, named):
    image = keras.Input((4, 4, 1), name="image")
    model = keras.Model(image, layer()(image))
    with pytest.raises(ModelFileError, match=named):
        save_model(model, tmp_path / "model.h5", DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_used_twice_is_not_written(tmp_path):
    image = keras.Input((4, 4, 1), name="image")
    layer = keras.layers.Conv2D(1, 1, name="shared")
    with pytest.raises(ModelFileError, match="shared.* used once"):
        save_model(keras.Model(image, layer(layer(image))), tmp_path / "model.h5", DESCRIPTION)


def test_a_failed_write_leaves_the_file_before_it(model_file, colorizer, monkeypatch):
    before = model_file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        save_model(colorizer, model_file, DESCRIPTION)
    assert model_file.read_bytes() == before
    assert list(model_file.parent.iterdir()) == [model_file]


def test_a_folder_that_is_missing_is_named(tmp_path, colorizer):
    with pytest.raises(ModelFileError, match="nowhere"):
        save_model(colorizer, tmp_path / "nowhere" / "model.h5", DESCRIPTION)


def test_no_file(tmp_path):
    with pytest.raises(ModelFileError, match=r"none\.h5 \(No such file"):
        load_model(tmp_path / "none.h5")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    """Opening a pipe waits for one who writes into it: for ever."""
    pipe = tmp_path / "pipe.h5"
    os.mkfifo(pipe)
    refused = []

    def load():
        for path in (pipe, tmp_path, "/dev/zero", "null\0byte.h5"):
            with pytest.raises(ModelFileError) as error:
                load_model(path)
            refused.append(str(error.value))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(20)
    assert len(refused) == 4
    assert "pipe.h5" in refused[0]


def test_not_hdf5(tmp_path):
    path = tmp_path / "photo.h5"
    path.write_bytes(b"\xff\xd8\xff\xe0 a JPEG")
    with pytest.raises(ModelFileError, match=r"HDF5 file.*photo\.h5"):
        load_model(path)


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.999])
def test_a_truncated_file(model_file, part):
    content = model_file.read_bytes()
    model_file.write_bytes(content[: max(10, int(len(content) * part))])
    with pytest.raises(ModelFileError, match=r"model\.h5, which is cut off"):
        load_model(model_file)


def test_a_file_of_weights_alone(model_file):
    with h5py.File(model_file, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(ModelFileError, match=r"model\.h5 is not loaded.*model_config"):
        load_model(model_file)


def test_a_config_that_is_no_json(model_file):
    with h5py.File(model_file, "r+") as file:
        file.attrs["model_config"] = "{" * 100_000
    with pytest.raises(ModelFileError, match=r"model\.h5 is not loaded.*JSON"):
        load_model(model_file)


def test_a_model_of_another_kind(tmp_path):
    """A harmless .h5 that Keras itself wrote."""
    image = keras.Input((4, 4, 1), name="image")
    model = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(portable_config(model))
    with pytest.raises(ModelFileError, match=r"other\.h5.*koala_face_backbone.*another kind"):
        load_model(tmp_path / "other.h5")


def test_a_description_of_another_size(model_file):
    with h5py.File(model_file, "r+") as file:
        file.attrs["koala_face_size"] = 24
    with pytest.raises(ModelFileError, match="None, 24, 24, 1"):
        load_model(model_file)


@pytest.mark.parametrize("name", ["mirrored", "scales", "network"])
def test_a_file_from_before_the_mean_of_predictions_is_asked_once(model_file, name):
    with h5py.File(model_file, "r+") as file:
        del file.attrs[f"koala_face_{name}"]
    assert load_model(model_file)[1] == DESCRIPTION


@pytest.mark.parametrize("scales", [1.0, "three", ["a", "b"]])
def test_scales_that_are_no_list_of_numbers(model_file, scales):
    with h5py.File(model_file, "r+") as file:
        file.attrs["koala_face_scales"] = scales
    with pytest.raises(ModelFileError, match="koala_face_scales"):
        load_model(model_file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "16"),
        ("size", 16.5),
        ("size", [16, 16]),
        ("size", 2**20),
        ("size", -8),
        ("embedding_dim", "8"),
        ("embedding_dim", 10**9),
        ("embedding_dim", 0),
        ("mirrored", "False"),
        ("mirrored", 0),
        ("scales", [1.0, np.nan]),
        ("scales", np.ones(1000)),
        ("ab_scale", np.inf),
        ("luminance_scale", "100"),
        ("backbone", 7),
        ("layer", h5py.Empty("f")),
        ("training", "[1, 2]"),
        ("training", '"text"'),
        ("training", "{" * 100_000),
        ("training", '{"mean_ab": "warm"}'),
        ("training", '{"mean_ab": [1]}'),
        ("training", '{"mean_ab": [1, 1e999]}'),
        ("training", '{"mean_ab": [1, ' + "9" * 400 + "]}"),
        ("training", '{"command": ["rm"]}'),
        ("training", '{"scores": {"mse": NaN}}'),
        ("version", 1.0),
    ],
)
def test_an_attribute_of_another_kind_is_named(model_file, name, value):
    with h5py.File(model_file, "r+") as file:
        file.attrs[f"koala_face_{name}"] = value
    with pytest.raises(ModelFileError, match=rf"model\.h5 is not loaded.*koala_face_{name}"):
        load_model(model_file)


def test_a_description_of_another_kind_is_not_written():
    with pytest.raises(ModelFileError, match="koala_face_training.*finite"):
        dataclasses.replace(DESCRIPTION, training={"scores": {"mse": float("nan")}})
    with pytest.raises(ModelFileError, match="multiple of 8"):
        dataclasses.replace(DESCRIPTION, size=100)


KERNEL = "model_weights/encoder_conv1/encoder_conv1/kernel:0"


@pytest.mark.parametrize("missing", ["model_weights", "model_weights/decoder_conv5", KERNEL])
def test_missing_weights(model_file, missing):
    with h5py.File(model_file, "r+") as file:
        del file[missing]
    with pytest.raises(ModelFileError, match=r"model\.h5.*without it"):
        load_model(model_file)


def test_a_wrong_shape(model_file):
    with h5py.File(model_file, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = np.zeros((3, 3, 1, 32), "float32")
    with pytest.raises(ModelFileError, match=r"model\.h5.*\(3, 3, 1, 64\).*\(3, 3, 1, 32\)"):
        load_model(model_file)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(model_file, value):
    with h5py.File(model_file, "r+") as file:
        file[KERNEL][0, 0, 0, 5] = value
    with pytest.raises(ModelFileError, match=r"model\.h5.*finite.*encoder_conv1/kernel"):
        load_model(model_file)


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        ("fusion_reshape", "target_shape", [7, 7, 7]),
        # Each photograph would come out black, or wrong in every other Keras, without a word.
        ("encoder_norm1", "epsilon", float("nan")),
        ("encoder_norm1", "epsilon", -1.0),
        ("fusion_norm1", "epsilon", 0.1),
        ("decoder_norm1", "momentum", float("nan")),
        ("decoder_conv5", "activation", "linear"),
        ("encoder_conv1", "strides", [1, 1]),
        ("encoder_conv1", "use_bias", False),
    ],
)
def test_a_config_that_computes_something_else(model_file, layer, key, value):
    def change(config):
        layer_config(config, layer)["config"][key] = value

    change_config(model_file, change)
    with pytest.raises(ModelFileError, match=rf"model\.h5.*{layer}: {key}"):
        load_model(model_file)


def test_a_frozen_layer_is_the_same_network(tmp_path):
    model = sample_colorizer()
    model.get_layer("encoder_conv1").trainable = False
    save_model(model, tmp_path / "model.h5", DESCRIPTION)
    inputs = sample_inputs(model)
    again, _ = load_model(tmp_path / "model.h5")
    np.testing.assert_array_equal(predict(again, inputs), predict(model, inputs))


def test_another_network_is_named_by_what_it_lacks(tmp_path):
    """A description that fits beside a network that does not."""
    luminance = keras.Input((SIZE, SIZE, 1), name="luminance")
    embedding = keras.Input((DIM,), name="embedding")
    x = keras.layers.Dense(SIZE * SIZE * 2, name="wide")(embedding)
    x = keras.layers.Reshape((SIZE, SIZE, 2), name="ab")(x)
    x = keras.layers.Concatenate(name="both")([luminance, x])
    other = keras.Model([luminance, embedding], x, name="koala_face")
    save_model(other, tmp_path / "other.h5", DESCRIPTION)
    with pytest.raises(ModelFileError, match=r"other\.h5.*the network koala_face.*encoder_conv1"):
        load_model(tmp_path / "other.h5")


def test_a_weight_too_many_is_named(model_file):
    with h5py.File(model_file, "r+") as file:
        file["model_weights/encoder_conv1/encoder_conv1/second:0"] = np.zeros(3, "float32")
    with pytest.raises(ModelFileError, match=r"model\.h5.*encoder_conv1.*'second:0'"):
        load_model(model_file)


def test_a_model_that_is_not_functional():
    with pytest.raises(ModelConfigError, match="functional"):
        portable_config(keras.Sequential([keras.layers.Dense(1)]))


def test_the_ancestor_comes_back_as_it_was_and_names_itself(tmp_path):
    model = build_colorizer(DIM, SIZE, network="deep_koalarization")
    description = dataclasses.replace(DESCRIPTION, network="deep_koalarization")
    save_model(model, tmp_path / "ancestor.h5", description)
    loaded, found = load_model(tmp_path / "ancestor.h5")
    assert found == description
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    plain = keras.models.load_model(tmp_path / "ancestor.h5")
    inputs = [np.full((1, SIZE, SIZE, 1), 0.3, "float32"), np.ones((1, DIM), "float32")]
    np.testing.assert_allclose(plain(inputs), model(inputs), atol=1e-6)


def test_an_unknown_network_is_named(model_file):
    with h5py.File(model_file, "r+") as file:
        file.attrs["koala_face_network"] = "unet"
    with pytest.raises(ModelFileError, match=r"koala_face_network.*deep_koalarization.*'unet'"):
        load_model(model_file)
