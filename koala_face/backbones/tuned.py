"""A descriptor tuned for colour (Section IV): a head with softmax on K targets.

"The output layer of the VGGFace model can be stripped off" and the layer below "fine tuned on
only limited numbers of target features using softmax". A descriptor file holds that head alone,
a Keras model of features to K probabilities, and says of which network's layer the features are;
that network's own weights stay where they were. Such a file may be anybody's: it is read by h5py
alone, and nothing in it is run.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.hdf5 import BROKEN, find, find_plain

if TYPE_CHECKING:
    import tensorflow as tf

# The head's layers, from the features up; a head may lack the hidden one.
HIDDEN, SOFTMAX = "tuned_hidden", "tuned_softmax"
# Beside the weights, where the targets are clusters of colours: their centers, (K, C) float32.
CENTERS = "koala_face_centers"
# Attributes of the file, each with its type; `training` is JSON.
ATTRIBUTES = {
    **dict.fromkeys(("backbone", "layer", "weights_sha256", "targets", "training"), str),
    "classes": int,
}
# A stranger's file must not fill the memory.
LARGEST_BYTES, LARGEST_DIM, LONGEST_TEXT = 2**26, 2**14, 2**16


class DescriptorFileError(KoalaFaceError):
    """A file that is no tuned descriptor, or not whole."""


@dataclass(frozen=True, eq=False)
class Head:
    """What a descriptor file holds.

    name, content: the file's name and its bytes.
    backbone, layer: the network, and the layer of it whose output the head takes.
    weights_sha256: of that network's weights file, "" where it has none.
    targets: what the K classes are: "colors" or "folders".
    layers: kernel and bias of each layer, float32, from the features up; the last has K outputs.
    centers: (K, C) float32, the colours of each cluster; None for other targets.
    training: data, seed, date, accuracy and so on.
    """

    name: str
    content: bytes
    backbone: str
    layer: str
    weights_sha256: str
    targets: str
    classes: int
    training: dict
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    centers: np.ndarray | None

    @functools.cached_property
    def sha256(self) -> str:
        """Names the file in caches and models."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def features(self) -> int:
        """The length of the vector that the head takes."""
        return len(self.layers[0][0])

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The K probabilities, (N, K) float32, of features (N, D)."""
        x = np.asarray(features, "float32")
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0)
        kernel, bias = self.layers[-1]
        x = x @ kernel + bias
        x = np.exp(x - x.max(axis=-1, keepdims=True))
        return x / x.sum(axis=-1, keepdims=True)


def read_head(path: str | os.PathLike) -> Head:
    """Read a descriptor file.

    Raises:
        DescriptorFileError: names the file, and what of it is missing or wrong.
    """
    path = Path(path).expanduser()
    try:
        if not path.is_file():
            raise OSError("is no file" if path.exists() else "does not exist")
        if path.stat().st_size > LARGEST_BYTES:
            raise OSError(f"has more than {LARGEST_BYTES} bytes")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DescriptorFileError(
            f"Expected a descriptor file, as python -m koala_face tune writes it. "
            f"Received: {path}, which {getattr(error, 'strerror', None) or error}."
        ) from error
    return parse_head(content, path.name)


def parse_head(content: bytes, name: str) -> Head:
    """A descriptor file out of its bytes; `name` is the file's.

    Raises:
        DescriptorFileError: names the file, and what of it is missing or wrong.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            facts = {key: _attribute(file, key, kind) for key, kind in ATTRIBUTES.items()}
            training = json.loads(facts.pop("training"))
            if not isinstance(training, dict):
                raise ValueError("koala_face_training is no JSON object")
            layers = _read_layers(file, facts["classes"])
            centers = None
            if facts["targets"] == "colors":
                centers = _read(find_plain(file, CENTERS), (facts["classes"], None))
        return Head(name, content, **facts, training=training, layers=layers, centers=centers)
    except (*BROKEN, RecursionError) as error:
        raise DescriptorFileError(
            f"Expected a whole descriptor file, as python -m koala_face tune writes it. Received: "
            f"{name} ({error}). Tune it anew, or name another file."
        ) from error


def write_head(file: h5py.File, facts: dict[str, str | int], centers: np.ndarray | None) -> None:
    """Write what `parse_head` finds beside the weights; `facts` are the `ATTRIBUTES`."""
    for key, kind in ATTRIBUTES.items():
        value = facts[key]
        file.attrs[f"koala_face_{key}"] = np.bytes_(value.encode()) if kind is str else value
    if centers is not None:
        file.create_dataset(CENTERS, data=centers)


def build_head(
    features: int, hidden: int, classes: int, weight_decay: float = 0.0
) -> tf.keras.Model:
    """The head as a network: (features,) to (classes,) probabilities, at first all the same.

    Args:
        hidden: units of the hidden layer, 0 for none.
        weight_decay: factor on the kernels' squares, for training alone.
    """
    import tensorflow as tf

    layers, regularizers = tf.keras.layers, tf.keras.regularizers
    decay = {"kernel_regularizer": regularizers.L2(weight_decay)} if weight_decay else {}
    x = inputs = tf.keras.Input((features,), name="features")
    if hidden:
        x = layers.Dense(hidden, activation="relu", name=HIDDEN, **decay)(x)
    x = layers.Dense(
        classes, activation="softmax", kernel_initializer="zeros", name=SOFTMAX, **decay
    )(x)
    return tf.keras.Model(inputs, x, name="tuned")


def attach(base: tf.keras.Model, head: Head) -> tf.keras.Model:
    """A base network and the head on its output as one flat model."""
    import tensorflow as tf

    x = base.output
    for kernel, bias in head.layers:
        last = kernel is head.layers[-1][0]
        name, activation = (SOFTMAX, "softmax") if last else (HIDDEN, "relu")
        layer = tf.keras.layers.Dense(len(bias), activation=activation, name=name)
        x = layer(x)
        layer.set_weights([kernel, bias])
    return tf.keras.Model(base.inputs[0], x, name="tuned")


def _attribute(file: h5py.File, key: str, kind: type) -> str | int:
    """An attribute of one value; its type is looked at before it is read.

    Texts are stored in place: those of variable length lie in a heap, of which HDF5 reads damaged
    ones beyond the end of the memory.
    """
    name = f"koala_face_{key}"
    if name not in file.attrs:
        raise ValueError(f"it has no attribute {name}")
    stored = file.attrs.get_id(name)
    fits = stored.dtype.kind == {str: "S", int: "i"}[kind] and stored.shape == ()
    if not fits or stored.dtype.itemsize > LONGEST_TEXT:
        raise ValueError(f"{name} is no {kind.__name__} stored in place")
    value = file.attrs[name]
    return value.decode() if kind is str else int(value)


def _read_layers(file: h5py.File, classes: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Kernel and bias of each layer; each takes what the one below gives."""
    root = find(file, "model_weights")
    layers, width = [], None
    for name in (HIDDEN, SOFTMAX):
        if name == HIDDEN and not root.id.links.exists(name.encode()):
            continue
        kernel = _read(find_plain(root, f"{name}/{name}/kernel:0"), (width, None))
        width = kernel.shape[1] if name == HIDDEN else classes
        kernel = _read(kernel, (None, width))
        layers.append((kernel, _read(find_plain(root, f"{name}/{name}/bias:0"), (width,))))
    return tuple(layers)


def _read(dataset: h5py.Dataset | np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """Finite float32 values of a shape; None stands for any number from 1 on."""
    found = dataset.shape
    fits = len(found) == len(shape) and all(
        0 < one <= LARGEST_DIM and expected in (None, one)
        for one, expected in zip(found, shape, strict=True)
    )
    if not fits or dataset.dtype != np.float32:
        raise ValueError(f"values of {dataset.dtype} and shape {found}, not float32 {shape}")
    values = dataset[()]
    if not np.isfinite(values).all():
        raise ValueError("values that are not finite")
    return values
