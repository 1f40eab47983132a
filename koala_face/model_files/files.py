"""A trained network as one .h5 file that opens in every Keras, and that says what it needs.

`load_model(path)` of Keras 2.10, of tf-keras and of Keras 3 on TensorFlow, JAX and PyTorch
opens these files without arguments and without this package: `model_config` is written in
the form that all of them read, and the file holds neither an optimizer nor a loss. Its
attributes hold a `ModelDescription`, readable with h5py alone:

    h5py.File("model.h5").attrs["koala_face_backbone"]

`load_model` here reads files from strangers: it builds the network of the tables that the
description names and takes weights alone from the file. Nothing of `model_config` is built.
"""

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import tensorflow as tf

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import replacing
from koala_face.model_files.description import (
    ModelDescription,
    ModelFileError,
    attribute_name,
    parse_json,
    read_attribute,
    read_description,
    write_description,
)
from koala_face.model_files.portable import ModelConfigError, portable_config, shortened
from koala_face.model_files.weights import NOTATION, read_weights, strengthen, write_weights
from koala_face.models import build_colorizer

keras = tf.keras

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# A colorizer has some 13 MB; HDF5 may read a file's longest text whole.
LARGEST_BYTES = 2**28
# Of a file without weights: the file beside it that has them, and the factor on its ab.
BORROWED = (attribute_name("weights_of"), attribute_name("saturation"))
EXPORTED = "An exported model, with its descriptor inside, opens with keras.models.load_model."


def save_model(model: keras.Model, path: str | os.PathLike, description: ModelDescription) -> None:
    """Write `model` so that every Keras opens it; beside `path` first, then renamed over it.

    Args:
        model: flat and functional, of the layers in `portable.LAYERS`. Its optimizer and
            loss are not written.
        path: the .h5 file; one that is there is replaced at once or not at all.
        description: becomes the file's attributes.

    Raises:
        ModelFileError: names the layer that not every Keras knows, or the folder that
            cannot be written.
    """
    save_network(model, path, lambda file: write_description(file, description))


def save_network(
    model: keras.Model, path: str | os.PathLike, describe: Callable[[h5py.File], None]
) -> None:
    """As `save_model`, of any network; `describe` writes what else the open file shall hold."""
    try:
        config = portable_config(model)
    except ModelConfigError as error:
        raise ModelFileError(f"{path} is not written. {error}") from error
    with _writing(path) as file:
        file.attrs["keras_version"] = NOTATION
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(config)
        describe(file)
        write_weights(file, model)


def save_variant(
    path: str | os.PathLike, description: ModelDescription, weights_of: str, saturation: float
) -> None:
    """Write a file without a network: `load_model` takes that of another.

    Args:
        weights_of: name of the file of `save_model`, in the same folder, that has the network.
        saturation: factor on the network's ab (`weights.strengthen`).

    Raises:
        ModelFileError: for a folder that cannot be written.
    """
    with _writing(path) as file:
        write_description(file, description)
        for name, value in zip(BORROWED, (weights_of, float(saturation)), strict=True):
            file.attrs[name] = value


def load_model(path: str | os.PathLike) -> tuple[keras.Model, ModelDescription]:
    """Read a colorizer that `save_model` or `save_variant` wrote.

    Returns:
        The model, not compiled: `luminance`, (size, size, 1), and `embedding`,
        (embedding_dim,), to ab, (size, size, 2); and its description.

    Raises:
        ModelFileError: for a file that is missing, cut off, not HDF5, of another kind or
            network, or that lacks a weight or has one of another shape, NaN or infinite.
            Names the file and the part.
    """
    path = Path(path)
    with _reading(path) as file:
        description = read_description(file)
        source, saturation = _read_borrowed(file)
    model = build_network(description)
    with _reading(path.with_name(source) if source else path) as file:
        _check_config(file, model)
        read_weights(file, model)
    if source:
        strengthen(model, saturation)
    return model, description


def describe_model(path: str | os.PathLike) -> ModelDescription:
    """The description of a model file; its network is neither built nor looked at.

    Raises:
        ModelFileError: as `load_model`.
    """
    with _reading(Path(path)) as file:
        return read_description(file)


def build_network(description: ModelDescription) -> keras.Model:
    """The network that a description describes, out of `models.NETWORKS`."""
    return build_colorizer(description.embedding_dim, description.size, network=description.network)


def _read_borrowed(file: h5py.File) -> tuple[str | None, float]:
    """The name of the file whose weights this one takes, None for its own; the factor on ab."""
    source, saturation = (read_attribute(file, name) for name in BORROWED)
    if source is None:
        return None, 1.0
    # In this folder alone: a file must not lead to other places of the machine.
    if not isinstance(source, str) or source in ("", "..") or Path(source).name != source:
        raise ModelFileError(
            f"Expected in {BORROWED[0]} a file's name. Received: {shortened(source)}."
        )
    if not isinstance(saturation, float) or not 0 < saturation < float("inf"):
        raise ModelFileError(
            f"Expected in {BORROWED[1]} a number above 0. Received: {shortened(saturation)}."
        )
    return source, saturation


def _check_config(file: h5py.File, model: keras.Model) -> None:
    """What `model_config` says, by which other programs compute, is the network `model`.

    Raises:
        ModelFileError: names the first layer or setting that is another.
    """
    text = read_attribute(file, "model_config")
    if not isinstance(text, (str, bytes)):
        raise ModelFileError(
            "Expected the attribute model_config, which says what the network is. Received: a "
            "file without it, perhaps of weights alone. Save the whole model."
        )
    found, own = _settings(parse_json(text, "model_config")), _settings(portable_config(model))
    for name in {**own, **found}:
        expected, received = own.get(name), found.get(name)
        if expected != received and not (name.endswith(": trainable") and received is False):
            raise ModelFileError(
                f"Expected the network {model.name}, with {name[:100]} = {expected}. "
                f"Received: {shortened(received)}. {EXPORTED}"
            )


def _settings(config: object) -> dict[str, object]:
    """A `model_config` as one dict: "encoder_conv1: filters" to 64, and so on."""
    try:
        parts = []
        for layer in config["config"]["layers"]:
            parts += [(layer["name"], layer), (layer["name"], layer["config"])]
        parts += [("model", config), ("model", {**config["config"], "layers": None})]
        return {
            f"{name}: {key}": value
            for name, part in parts
            for key, value in part.items()
            if key != "config"
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"Expected in model_config a functional model. Received: {shortened(config)}."
        ) from error


@contextlib.contextmanager
def _writing(path: str | os.PathLike) -> Iterator[h5py.File]:
    """A new HDF5 file that takes the place of `path` when the block succeeds."""
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            yield file
    except OSError as error:
        raise ModelFileError(
            f"Expected a place where {path} can be written. Received: {error}. "
            "Choose another folder, or free some space."
        ) from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """An open HDF5 file; each error that its reading ends with names it."""
    _check_file(path)
    try:
        file = h5py.File(path, "r")
    except Exception as error:
        raise ModelFileError(
            f"Expected a whole HDF5 file. Received: {path}, which is cut off or damaged "
            f"({error}). Fetch it again."
        ) from error
    with file:
        try:
            yield file
        except KoalaFaceError as error:
            raise ModelFileError(f"{path} is not loaded. {error}") from error
        except Exception as error:  # h5py raises errors of many kinds for damaged bytes
            raise ModelFileError(f"{path} is damaged: {error}. Fetch or train it anew.") from error


def _check_file(path: Path) -> None:
    """Refuse what is no HDF5 file, without waiting for one that is a pipe."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES:
            raise ModelFileError(
                f"Expected a model file of {LARGEST_BYTES} bytes at most. Received: {path}, which "
                f"is larger or no file at all. {EXPORTED}"
            )
        with open(path, "rb") as file:
            signature = file.read(len(HDF5_SIGNATURE))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise ModelFileError(f"Expected a model file. Received: {path} ({reason}).") from error
    if signature != HDF5_SIGNATURE:
        raise ModelFileError(
            f"Expected an HDF5 file. Received: {path}, which begins with {signature!r}."
        )
