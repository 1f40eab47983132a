"""A trained network as one .h5 file that opens in every Keras, and that says what it needs.

`load_model(path)` of Keras 2.10, of tf-keras and of Keras 3 on TensorFlow, JAX and PyTorch
opens these files without arguments and without this package: `model_config` is written in
the form that all of them read, and the file holds neither an optimizer nor a loss. Its
attributes hold a `ModelDescription`, readable with h5py alone:

    h5py.File("model.h5").attrs["koala_face_backbone"]

`load_model` here reads files from strangers: nothing of a file is built before its
`model_config` has passed the list in `model_layers`, and no weight is taken through a link.
"""

import copy
import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import tensorflow as tf

from koala_face import __version__
from koala_face.color import AB_SCALE, LUMINANCE_SCALE
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import replacing
from koala_face.model_files.check import (
    ModelConfigError,
    check_config,
    check_layer_classes,
    model_ends,
)
from koala_face.model_files.portable import portable_config
from koala_face.model_files.weights import NOTATION, read_weights, write_weights

keras = tf.keras

# One prediction, at the network's own size.
ONCE = (1.0,)
ATTRIBUTE_PREFIX = "koala_face_"
# Attributes that the first files have not, and what holds for those.
LATER = {"mirrored": False, "scales": ONCE}
# How a type of `ModelDescription` is read from an attribute; others read themselves.
READERS = {dict: json.loads, tuple: lambda values: tuple(float(value) for value in values)}
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class ModelFileError(KoalaFaceError):
    """A model file that cannot be written, or that is not safe or not whole."""


@dataclass(frozen=True)
class ModelDescription:
    """What a program needs to know to use a model; the file's `koala_face_...` attributes.

    `backbone` and `layer` name the descriptor of which the model was trained to take the
    vector of `embedding_dim`, `preprocessing` what that descriptor does to RGB in 0-255.
    `size` is the height and width of luminance and ab. The network takes
    L* / `luminance_scale` and gives ab / `ab_scale`. `mirrored` and `scales` say of which
    predictions a portrait's colours are the mean (`prediction.make_prediction`). `training` is
    JSON: the data, the command, the seed, the date, scores.
    """

    backbone: str
    layer: str
    preprocessing: str
    embedding_dim: int
    size: int
    luminance_scale: float = LUMINANCE_SCALE
    ab_scale: float = AB_SCALE
    mirrored: bool = False
    scales: tuple = ONCE
    training: dict = field(default_factory=dict)
    koala_face_version: str = __version__


def save_model(model: keras.Model, path, description: ModelDescription) -> None:
    """Write `model` so that every Keras opens it; beside `path` first, then renamed over it.

    Args:
        model: a flat functional model of the layers in `model_layers.LAYERS`. Its
            optimizer and loss are not written.
        path: the .h5 file; one that is there is replaced at once or not at all.
        description: becomes the file's attributes.

    Raises:
        ModelFileError: names the layer that not every Keras knows, or the folder that
            cannot be written.
    """
    path = Path(path)
    try:
        config = portable_config(model)
    except ModelConfigError as error:
        raise ModelFileError(f"{path} is not written. {error}") from error
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            _write_attributes(file, config, description)
            write_weights(file.create_group("model_weights"), model)
    except OSError as error:
        raise ModelFileError(
            f"Expected a place where {path} can be written. Received: {error}. "
            "Choose another folder, or free some space."
        ) from error


def load_model(path) -> tuple[keras.Model, ModelDescription]:
    """Read a colorizer that `save_model` wrote; nothing of it runs before it is checked.

    Args:
        path: the .h5 file.

    Returns:
        The model, not compiled: `luminance`, (size, size, 1), and `embedding`,
        (embedding_dim,), to ab, (size, size, 2); and its description.

    Raises:
        ModelFileError: for a file that is missing, cut off, not HDF5, of another kind, that
            holds a layer or function that is not on the list, or that lacks a weight or has
            one of another shape, NaN or infinite. Names the file and the part.
    """
    path = Path(path)
    with _opened(path) as file:
        try:
            config = _read_config(file)
            check_layer_classes(config)
            description = read_description(file)
            check_config(config)
            _check_ends(config, description)
            model = keras.Model.from_config(copy.deepcopy(config["config"]))
            _check_output(model, description)
            read_weights(file, model)
        except KoalaFaceError as error:
            raise ModelFileError(f"{path} is not loaded. {error}") from error
        except (OSError, KeyError, RuntimeError) as error:
            raise ModelFileError(f"{path} is damaged: {error}. Fetch or train it anew.") from error
        except (ValueError, TypeError) as error:
            raise ModelFileError(
                f"{path} is not loaded: its layers do not fit together. {error}"
            ) from error
    return model, description


def read_description(file) -> ModelDescription:
    """The description in an open `h5py.File`.

    Raises:
        ModelFileError: for a file that koala_face did not write.
    """
    values = {}
    for row in dataclasses.fields(ModelDescription):
        value = file.attrs.get(_attribute(row.name), LATER.get(row.name))
        try:
            if value is None:
                raise TypeError("no such attribute")
            values[row.name] = READERS.get(row.type, row.type)(value)
        except (TypeError, ValueError) as error:
            raise ModelFileError(
                f"Expected a model of koala_face, with the attribute {_attribute(row.name)}. "
                f"Received: {value!r}. It is a model of another kind: train one with "
                "python -m koala_face.train."
            ) from error
    return ModelDescription(**values)


def _attribute(name: str) -> str:
    return ATTRIBUTE_PREFIX + name.removeprefix(ATTRIBUTE_PREFIX)


def _write_attributes(file, config: dict, description: ModelDescription) -> None:
    file.attrs["keras_version"] = NOTATION
    file.attrs["backend"] = "tensorflow"
    file.attrs["model_config"] = json.dumps(config)
    for row in dataclasses.fields(description):
        value = getattr(description, row.name)
        file.attrs[_attribute(row.name)] = json.dumps(value) if row.type is dict else value


def _opened(path: Path) -> h5py.File:
    """Open an HDF5 file to read."""
    try:
        with open(path, "rb") as file:
            signature = file.read(len(HDF5_SIGNATURE))
    except OSError as error:
        raise ModelFileError(
            f"Expected a model file. Received: {path} ({error.strerror})."
        ) from error
    if signature != HDF5_SIGNATURE:
        raise ModelFileError(
            f"Expected an HDF5 file. Received: {path}, which begins with {signature!r}."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ModelFileError(
            f"Expected a whole HDF5 file. Received: {path}, which is cut off or damaged "
            f"({error}). Fetch it again."
        ) from error


def _read_config(file) -> dict:
    """`model_config` as JSON values."""
    text = file.attrs.get("model_config")
    if not isinstance(text, (str, bytes)):
        raise ModelFileError(
            "Expected the attribute model_config, which says what the network is. Received: a "
            "file without it, perhaps of weights alone. Save the whole model."
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"Expected model_config in JSON. Received: {error}.") from error


def _check_ends(config: dict, description: ModelDescription) -> None:
    """The inputs are those of a colorizer as it is described."""
    size, dim = description.size, description.embedding_dim
    expected = {"luminance": [None, size, size, 1], "embedding": [None, dim]}
    shapes = {
        layer["name"]: layer["config"].get("batch_input_shape")
        for layer in config["config"]["layers"]
    }
    found = {name: shapes[name] for name, _, _ in model_ends(config["config"]["input_layers"])}
    if found != expected:
        raise ModelFileError(
            f"Expected a colorizer with the inputs {expected}. Received: {found}. "
            "An exported model, with its descriptor inside, opens with keras.models.load_model."
        )


def _check_output(model, description: ModelDescription) -> None:
    expected = [(None, description.size, description.size, 2)]
    found = [tuple(output.shape) for output in model.outputs]
    if found != expected:
        raise ModelFileError(f"Expected one output ab, {expected[0]}. Received: {found}.")
