"""Weights out of the .h5 files that Keras has written since 2015, read with h5py alone.

Keras loads such a file in the order of its layers, or by name while it silently
skips what it does not find, and Keras 3 no longer reads names with "/". This
reader is strict: every layer must be in the file, in its shape, stored plainly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import numpy as np

from koala_face.backbones.weight_files import Shapes, WeightsError, WeightsFile, broken
from koala_face.foundation.hdf5 import BROKEN, find, find_plain

if TYPE_CHECKING:
    import tensorflow as tf


@contextmanager
def open_saved(path: str | os.PathLike, file: WeightsFile) -> Iterator[h5py.Group]:
    """Open a saved .h5; what h5py cannot read becomes a WeightsError.

    Yields the group that holds the layers: the root of a file of weights, or
    `model_weights` of a whole model.
    """
    try:
        with h5py.File(path, "r") as saved:
            whole_model = saved.id.links.exists(b"model_weights")
            yield find(saved, "model_weights") if whole_model else saved
    except BROKEN as error:
        raise broken(file, path, f"a whole HDF5 file of {file.about}", str(error)) from error


def fill_by_name(model: tf.keras.Model, path: str | os.PathLike, file: WeightsFile) -> None:
    """Set every layer of `model` but `preprocessing` from the layer of the same name.

    Args:
        model: the network to fill.
        path: an .h5 that Keras wrote.
        file: its row of `weight_files`, for errors.

    Raises:
        WeightsError: a layer is not in the file, or has other shapes there.
    """
    with open_saved(path, file) as saved:
        for layer in weighted_layers(model):
            fill_layer(layer, read_layer(saved, layer.name, path, file), path, file)


def check_shapes(shapes: Shapes, path: str | os.PathLike, file: WeightsFile) -> None:
    """Check a file's layers by name without building the network.

    Args:
        shapes: layer name to the shapes of its weights.
        path: an .h5 that Keras wrote.
        file: its row of `weight_files`, for errors.

    Raises:
        WeightsError: a layer is not in the file, or has other shapes there.
    """
    with open_saved(path, file) as saved:
        for name, expected in shapes.items():
            check_layer(name, expected, read_layer(saved, name, path, file), path, file)


def weighted_layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """The layers of a descriptor that a file of weights fills, in order."""
    return [layer for layer in model.layers if layer.weights and layer.name != "preprocessing"]


def read_layer(
    saved: h5py.Group, name: str, path: str | os.PathLike, file: WeightsFile
) -> list[h5py.Dataset]:
    """The weights of one layer, which must be there; they stay in the file."""
    names = text_attribute(saved, "layer_names")
    if name not in names:
        found = f"layers {', '.join(names[:8])}, ..." if names else "no layers"
        raise wrong_layers(path, file, f"a layer {name}", found)
    weight_names = text_attribute(find(saved, name), "weight_names")
    return [find_plain(saved, f"{name}/{weight}") for weight in weight_names]


def check_layer(
    name: str,
    expected: list[tuple[int, ...]],
    datasets: list[h5py.Dataset],
    path: str | os.PathLike,
    file: WeightsFile,
) -> None:
    """Refuse weights of other shapes, and of another type than floating point."""
    found = [dataset.shape for dataset in datasets]
    if found != expected:
        raise wrong_layers(path, file, f"{name} of shapes {expected}", f"{found}")
    types = [str(dataset.dtype) for dataset in datasets if dataset.dtype.kind != "f"]
    if types:
        raise wrong_layers(path, file, f"{name} of floating point", ", ".join(types))


def fill_layer(
    layer: tf.keras.layers.Layer,
    datasets: list[h5py.Dataset],
    path: str | os.PathLike,
    file: WeightsFile,
    scale: float = 1.0,
) -> None:
    """Set one layer to the values of its datasets, multiplied by `scale`."""
    expected = [tuple(weight.shape) for weight in layer.weights]
    check_layer(layer.name, expected, datasets, path, file)
    arrays = [np.asarray(dataset, "float32") for dataset in datasets]
    # A product is a copy, of 400 MB in VGG's first full layer.
    layer.set_weights(arrays if scale == 1 else [np.float32(scale) * array for array in arrays])


def text_attribute(group: h5py.Group, name: str) -> list[str]:
    """An attribute that lists names; Keras splits a long one into `name0`, `name1`, ..."""
    parts = [name] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(f"{name}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def wrong_layers(
    path: str | os.PathLike, file: WeightsFile, expected: str, found: str
) -> WeightsError:
    """The error for a file of another network."""
    return WeightsError(
        f"Expected the weights of {file.backbone}, {file.name}, with {expected}. "
        f"Received: {path} with {found}. Next: {file.command}, or name the right file by --weights."
    )
