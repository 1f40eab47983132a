"""Files from strangers: planted code is refused by name, and none of it has run."""

import base64
import json
import marshal
import os
import resource
import sys
import time
import zlib

import h5py
import numpy as np
import pytest
from support.sample_models import DESCRIPTION, sample_colorizer

from koala_face.model_files.files import (
    BORROWED,
    ModelFileError,
    load_model,
    save_model,
    save_variant,
)
from koala_face.model_files.portable import LAYERS


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a harmless model file."""
    path = tmp_path_factory.mktemp("models") / "model.h5"
    save_model(sample_colorizer(), path, DESCRIPTION)
    return path.read_bytes()


@pytest.fixture
def planted(tmp_path, content, monkeypatch):
    """A function that plants a change of `model_config`, and one that tells whether it fired."""
    path, witness = tmp_path / "stranger.h5", tmp_path / "fired"
    monkeypatch.setenv("KOALA_FACE_WITNESS", str(witness))
    path.write_bytes(content)

    def plant(change):
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change({layer["name"]: layer for layer in config["config"]["layers"]}, config)
            file.attrs["model_config"] = json.dumps(config)
        return path

    return plant, witness.exists


def payload(x):
    import os

    open(os.environ["KOALA_FACE_WITNESS"], "w").close()
    return x


MARSHALLED = base64.b64encode(marshal.dumps(payload.__code__)).decode()
LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": MARSHALLED, "defaults": None, "closure": None},
}
COMMAND = 'touch "$KOALA_FACE_WITNESS"'


def test_the_payload_would_fire(planted):
    """Without this, the tests below could pass because the payload is broken."""
    _, fired = planted
    code = marshal.loads(base64.b64decode(MARSHALLED))
    type(payload)(code, {"__builtins__": __builtins__})(1)
    assert fired()


def lambda_layer(layers, _):
    layers["encoder_conv2"].update(class_name="Lambda")
    layers["encoder_conv2"]["config"] = {
        "name": "encoder_conv2",
        "function": [MARSHALLED, None, None],
        "function_type": "lambda",
        "output_shape": None,
    }


def custom_class(layers, _):
    layers["encoder_conv2"].update(
        module="os", class_name="system", registered_name=None, config={"command": COMMAND}
    )


def module_beside_a_known_class(layers, _):
    layers["encoder_conv2"].update(module="subprocess", registered_name="subprocess>getoutput")


def lambda_activation(layers, _):
    layers["encoder_conv2"]["config"]["activation"] = LAMBDA


def named_activation(layers, _):
    layers["encoder_conv2"]["config"]["activation"] = "os>system"


def function_as_activation(layers, _):
    layers["encoder_conv2"]["config"]["activation"] = {
        "module": "subprocess",
        "class_name": "function",
        "config": "getoutput",
        "registered_name": "function",
    }


def custom_initializer(layers, _):
    layers["encoder_conv2"]["config"]["kernel_initializer"] = {
        "module": "subprocess",
        "class_name": "Popen",
        "config": {"args": COMMAND, "shell": True},
        "registered_name": None,
    }


def lambda_inside_an_initializer(layers, _):
    layers["encoder_conv2"]["config"]["kernel_initializer"]["config"]["seed"] = LAMBDA


def regularizer(layers, _):
    layers["encoder_conv2"]["config"]["kernel_regularizer"] = LAMBDA


def constraint(layers, _):
    layers["encoder_conv2"]["config"]["bias_constraint"] = {"class_name": "os>system", "config": {}}


def dtype_policy(layers, _):
    layers["encoder_conv2"]["config"]["dtype"] = {
        "module": "builtins",
        "class_name": "eval",
        "config": {"name": COMMAND},
        "registered_name": None,
    }


def nested_model(layers, _):
    layers["encoder_conv2"].update(class_name="Functional", config={"layers": [], "name": "inside"})


def lambda_in_call_arguments(layers, _):
    layers["encoder_conv2"]["inbound_nodes"][0][0][3] = {"training": LAMBDA}


def keras_3_node(layers, _):
    layers["encoder_conv2"]["inbound_nodes"] = [{"args": [LAMBDA], "kwargs": {}}]


def build_config(layers, _):
    layers["encoder_conv2"]["build_config"] = LAMBDA


def custom_model_class(_, config):
    config.update(class_name="Popen", module="subprocess")


def model_keyword(_, config):
    config["config"]["trainable"] = LAMBDA


PLANTS = [
    (lambda_layer, "encoder_conv2: class_name = .*'Lambda'"),
    (custom_class, "encoder_conv2: class_name = .*'system'"),
    (module_beside_a_known_class, "encoder_conv2: module = .*'subprocess'"),
    (lambda_activation, "encoder_conv2: activation.*__lambda__"),
    (named_activation, "encoder_conv2: activation.*'os>system'"),
    (function_as_activation, "encoder_conv2: activation.*subprocess"),
    (custom_initializer, "encoder_conv2: kernel_initializer.*Popen"),
    (lambda_inside_an_initializer, "encoder_conv2: kernel_initializer.*__lambda__"),
    (regularizer, "encoder_conv2: kernel_regularizer"),
    (constraint, "encoder_conv2: bias_constraint"),
    (dtype_policy, "encoder_conv2: dtype.*eval"),
    (nested_model, "encoder_conv2: class_name = .*'Functional'"),
    (lambda_in_call_arguments, "encoder_conv2: inbound_nodes.*training"),
    (keras_3_node, "encoder_conv2: inbound_nodes.*__lambda__"),
    (build_config, "encoder_conv2: build_config"),
    (custom_model_class, "Popen"),
    (model_keyword, "trainable"),
]


@pytest.mark.parametrize(("change", "named"), PLANTS, ids=[change.__name__ for change, _ in PLANTS])
def test_planted_code_is_refused_by_name_and_does_not_run(planted, change, named):
    plant, fired = planted
    path = plant(change)
    with pytest.raises(ModelFileError, match=rf"(?s)stranger\.h5 is not loaded.*{named}"):
        load_model(path)
    assert not fired()


def test_a_training_config_is_never_read(planted):
    """Keras compiles what `training_config` says; here nothing looks at it."""
    plant, fired = planted
    path = plant(lambda layers, config: None)
    with h5py.File(path, "r+") as file:
        loss = {"loss": LAMBDA, "optimizer_config": {"class_name": "os>system", "config": {}}}
        file.attrs["training_config"] = json.dumps(loss)
    model, _ = load_model(path)
    assert getattr(model, "optimizer", None) is None
    assert not fired()


def many_filters(layers, _):
    layers["encoder_conv2"]["config"]["filters"] = 10**8


def doublings(layers, config):
    """30 layers, each with its input twice: 2^30 channels."""
    before = "luminance"
    for number in range(30):
        name = f"double{number}"
        entry = {"class_name": "Concatenate", "name": name, "config": {"name": name, "axis": -1}}
        entry["inbound_nodes"] = [[[before, 0, 0, {}], [before, 0, 0, {}]]]
        config["config"]["layers"].append(entry)
        before = name


def compressed(path):
    """A bias of 64 numbers, in a piece of a few bytes that unpacks to 256 MB."""
    pack = zlib.compressobj(9)
    piece = b"".join(pack.compress(bytes(2**20)) for _ in range(2**8)) + pack.flush()
    with h5py.File(path, "r+") as file:
        group = file["model_weights/encoder_conv1/encoder_conv1"]
        del group["bias:0"]
        options = {"maxshape": (None,), "chunks": (2**26,), "compression": "gzip"}
        made = group.create_dataset("bias:0", (64,), "float32", **options)
        made.id.write_direct_chunk((0,), piece)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (many_filters, "encoder_conv2: filters = 128. Received: 100000000"),
        (doublings, "double0"),
        (compressed, "encoder_conv1/bias:0 whole"),
    ],
)
def test_a_small_file_does_not_fill_the_memory(planted, change, named):
    plant, _ = planted
    path = plant(change if change is not compressed else lambda layers, config: None)
    if change is compressed:
        compressed(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with pytest.raises(ModelFileError, match=rf"stranger\.h5.*{named}"):
        load_model(path)
    assert time.monotonic() - start < 20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 100 * 2**20


def test_a_weight_that_was_never_written_is_refused(planted):
    """HDF5 gives zeros for it."""
    path = planted[0](lambda layers, config: None)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/encoder_conv1/encoder_conv1"]
        del group["bias:0"]
        group.create_dataset("bias:0", (64,), "float32")
    with pytest.raises(ModelFileError, match=r"stranger\.h5.*bias:0 whole"):
        load_model(path)


@pytest.mark.parametrize(
    "kind", ["external link", "soft link", "external storage", "virtual dataset"]
)
def test_weights_outside_the_file_are_not_read(planted, tmp_path, kind):
    """HDF5 can name other files of the machine, and give their bytes as weights."""
    path = planted[0](lambda layers, config: None)
    name = "model_weights/decoder_conv5"
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 2**20)
    with h5py.File(path, "r+") as file:
        bias = "model_weights/encoder_conv1/encoder_conv1/bias:0"
        if kind == "virtual dataset":
            del file[bias]
            layout = h5py.VirtualLayout((64,), "float32")
            layout[:] = h5py.VirtualSource(os.fspath(secret), "secret", (64,), "float32")
            file.create_virtual_dataset(bias, layout)
        elif kind == "external storage":
            del file[bias]
            file.create_dataset(
                bias, (64,), "float32", external=[(os.fspath(secret), 0, h5py.h5f.UNLIMITED)]
            )
        else:
            file.move(name, "elsewhere")
            target = (
                h5py.ExternalLink("other.h5", "/elsewhere")
                if kind == "external link"
                else h5py.SoftLink("/elsewhere")
            )
            file[name] = target
    with pytest.raises(ModelFileError, match=r"stranger\.h5.*in the file itself"):
        load_model(path)


@pytest.mark.parametrize("config", [None, 3, [], "text", {}, {"class_name": "Functional"}])
def test_a_config_of_any_form_is_refused(planted, config):
    path = planted[0](lambda layers, config: None)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelFileError, match="model_config"):
        load_model(path)


def test_the_list_knows_no_layer_that_runs_what_it_is_told():
    """Independent of the table's making: the layers of Keras that call or hold other code."""
    running = {"Lambda", "TimeDistributed", "Wrapper", "Bidirectional", "RNN", "TFSMLayer"}
    assert not running & set(LAYERS)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_never_end_in_another_error(tmp_path, content, seed):
    """A file with bytes changed at random is loaded or refused, whatever they were."""
    random = np.random.default_rng(seed)
    damaged = bytearray(content)
    for place in random.integers(8, min(len(damaged), 40_000), 20):
        damaged[place] = random.integers(256)
    path = tmp_path / "damaged.h5"
    path.write_bytes(damaged)
    try:
        load_model(path)
    except ModelFileError as refused:
        error = refused
    else:
        error = path.name
    assert path.name in str(error)


def test_a_graph_with_a_loop_is_refused(planted):
    """Keras 2 would look for its beginning for ever."""

    def loop(layers, _):
        layers["encoder_conv2"]["inbound_nodes"] = [[["encoder_conv4", 0, 0, {}]]]

    with pytest.raises(ModelFileError, match="encoder_conv4"):
        load_model(planted[0](loop))


@pytest.mark.parametrize(
    ("source", "saturation", "named"),
    [
        ("../secret/model.h5", 1.3, "weights_of"),
        ("/etc/passwd", 1.3, "weights_of"),
        ("", 1.3, "weights_of"),
        ("..", 1.3, "weights_of"),
        (7, 1.3, "weights_of"),
        ("stranger.h5", 0.0, "saturation"),
        ("stranger.h5", "1.3", "saturation"),
        ("stranger.h5", np.nan, "saturation"),
        ("variant.h5", 1.3, "model_config"),
        ("nowhere.h5", 1.3, "nowhere.h5"),
    ],
)
def test_borrowed_weights_lie_in_the_same_folder(planted, source, saturation, named):
    """A file may lead to no other place of the machine, and not to itself."""
    path = planted[0](lambda layers, config: None).with_name("variant.h5")
    save_variant(path, DESCRIPTION, "stranger.h5", 1.3)
    with h5py.File(path, "r+") as file:
        file.attrs[BORROWED[0]], file.attrs[BORROWED[1]] = source, saturation
    with pytest.raises(ModelFileError, match=named):
        load_model(path)


def test_borrowed_weights_are_made_stronger(planted):
    path = planted[0](lambda layers, config: None).with_name("variant.h5")
    save_variant(path, DESCRIPTION, "stranger.h5", 1.5)
    plain, stronger = (load_model(path.with_name(name))[0] for name in ("stranger.h5", path.name))
    for one, other in zip(plain.weights, stronger.weights, strict=True):
        factor = 1.5 if "decoder_conv5" in getattr(one, "path", one.name) else 1.0
        np.testing.assert_array_equal(factor * np.asarray(one), np.asarray(other))
