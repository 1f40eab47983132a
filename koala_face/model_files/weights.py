"""The weights in a model file: the layout of Keras 2, which every Keras reads.

A group per layer, a dataset per weight, and the order of both in attributes. Reading is
strict: a file holds the network's weights and no others, in their shapes, stored whole in
the file itself, and finite.
"""

import itertools
from collections.abc import Callable

import h5py
import numpy as np
import tensorflow as tf

from koala_face.foundation import hdf5
from koala_face.foundation.errors import KoalaFaceError

keras = tf.keras

# `keras_version` of the files: their notation is that of Keras 2.10, whoever wrote them.
NOTATION = "2.10.0"
ROOT = "model_weights"
# Names of a group that are looked at; the network has 31 layers.
MOST_NAMES = 1000


class ModelWeightsError(KoalaFaceError):
    """A weight is missing, is one too many, has another shape or is no number."""


def write_weights(file: h5py.File, model: keras.Model) -> None:
    """Write the weights of every layer of `model` into an open file."""
    group = file.create_group(ROOT)
    group.attrs["keras_version"] = NOTATION
    group.attrs["backend"] = "tensorflow"
    group.attrs["layer_names"] = [layer.name for layer in model.layers]
    for layer in model.layers:
        names = [f"{layer.name}/{name}" for name in _weight_names(layer)]
        layer_group = group.create_group(layer.name)
        layer_group.attrs["weight_names"] = names
        for name, value in zip(names, layer.get_weights(), strict=True):
            layer_group.create_dataset(name, data=value)


def read_weights(file: h5py.File, model: keras.Model) -> None:
    """Set the weights of every layer of `model` from an open file, by name.

    Raises:
        ModelWeightsError: names the layer or weight that is missing, that the network has
            not, that lies in another file or in pieces, has another shape or holds NaN or
            infinity.
    """
    root = _find(file, ROOT)
    _check_names(root, [layer.name for layer in model.layers])
    for layer in model.layers:
        names = _weight_names(layer)
        group = _find(root, layer.name)
        _check_names(group, [layer.name] if names else [])
        if names:
            group = _find(group, layer.name)
            _check_names(group, names)
            shapes = [tuple(weight.shape) for weight in layer.weights]
            pairs = zip(names, shapes, strict=True)
            layer.set_weights([_read(group, name, shape) for name, shape in pairs])


def strengthen(model: keras.Model, factor: float) -> None:
    """Multiply the network's ab by a factor, within its weights.

    The factor goes into the last convolution, before the tanh: exact for weak colours, less
    for strong ones, and never beyond the range of a* and b*.
    """
    last = model.get_layer("decoder_conv5")
    last.set_weights([factor * weight for weight in last.get_weights()])


def _weight_names(layer) -> list[str]:
    """`conv1/kernel:0` of Keras 2 and `kernel` of Keras 3 as `kernel:0`."""
    return [weight.name.split("/")[-1].split(":")[0] + ":0" for weight in layer.weights]


def _check_names(group: h5py.Group, names: list[str]) -> None:
    found = list(itertools.islice(group, MOST_NAMES))
    if missing := [name for name in names if name not in found]:
        raise ModelWeightsError(
            f"Expected {group.name}/{missing[0]}, a part of the network. "
            "Received: a file without it."
        )
    if extra := [name for name in found if name not in names]:
        raise ModelWeightsError(
            f"Expected of {group.name} no more than the network has. "
            f"Received: {extra[0][:80]!r} besides, of another network."
        )


def _find(
    group: h5py.Group, name: str, find: Callable[[h5py.Group, str], h5py.HLObject] = hdf5.find
) -> h5py.HLObject:
    """An item of a group, as `hdf5.find` or `hdf5.find_plain` give it."""
    try:
        return find(group, name)
    except ValueError as error:
        raise ModelWeightsError(
            f"Expected {group.name}/{name} whole, in the file itself. "
            f"Received: a file without it ({error})."
        ) from error


def _read(group: h5py.Group, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One float32 weight; nothing of it is read before its shape and place are known."""
    dataset, path = _find(group, name, hdf5.find_plain), f"{group.name}/{name}"
    if dataset.shape != shape or dataset.dtype != np.float32:
        raise ModelWeightsError(
            f"Expected the weight {path} as float32 of shape {shape}. "
            f"Received: {dataset.dtype} of shape {dataset.shape}."
        )
    value = dataset[()]
    if not np.isfinite(value).all():
        raise ModelWeightsError(
            f"Expected finite numbers in the weight {path}. Received: NaN or infinity. "
            "Its training went wrong: take an earlier file, or train with a lower learning rate."
        )
    return value
