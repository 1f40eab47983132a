"""Weights out of the .h5 files that Keras has written since 2015, read with h5py alone.

Keras loads such a file in the order of its layers, or by name while it silently
skips what it does not find, and Keras 3 no longer reads names with "/". This
reader is strict: every layer must be in the file, in its shape.
"""

from contextlib import contextmanager

import h5py
import numpy as np

from koala_face.backbones.weight_files import WeightsError, broken


@contextmanager
def open_saved(path, file):
    """Open a saved .h5; what h5py cannot read becomes a WeightsError.

    Yields the group that holds the layers: the root of a file of weights, or
    `model_weights` of a whole model.
    """
    try:
        with h5py.File(path, "r") as saved:
            yield saved.get("model_weights", saved)
    except (OSError, KeyError, RuntimeError) as error:
        raise broken(file, path, f"a whole HDF5 file of {file.about}", str(error)) from error


def fill_by_name(model, path, file) -> None:
    """Set every layer of `model` but `preprocessing` from the layer of the same name.

    Args:
        model: the network to fill.
        path: an .h5 that Keras wrote.
        file: its row of `weight_files`, for errors.

    Raises:
        WeightsError: a layer is not in the file, or has other shapes there.
    """
    with open_saved(path, file) as saved:
        names = text_attribute(saved, "layer_names")
        for layer in weighted_layers(model):
            fill_layer(layer, find_group(saved, layer.name, names, path, file), path, file)


def check_shapes(shapes, path, file) -> None:
    """Check a file's layers by name without building the network.

    Args:
        shapes: layer name to the shapes of its weights.
        path: an .h5 that Keras wrote.
        file: its row of `weight_files`, for errors.

    Raises:
        WeightsError: a layer is not in the file, or has other shapes there.
    """
    with open_saved(path, file) as saved:
        names = text_attribute(saved, "layer_names")
        for name, expected in shapes.items():
            group = find_group(saved, name, names, path, file)
            found = [group[weight].shape for weight in text_attribute(group, "weight_names")]
            if found != expected:
                raise wrong_layers(path, file, f"{name} of shapes {expected}", f"{found}")


def weighted_layers(model) -> list:
    """The layers of a descriptor that a file of weights fills, in order."""
    return [layer for layer in model.layers if layer.weights and layer.name != "preprocessing"]


def find_group(saved, name: str, names: list[str], path, file):
    """The group of one layer, which must be there."""
    if name not in names:
        found = f"layers {', '.join(names[:8])}, ..." if names else "no layers"
        raise wrong_layers(path, file, f"a layer {name}", found)
    return saved[name]


def fill_layer(layer, group, path, file, scale: float = 1.0) -> None:
    """Set one layer from its group in the file, multiplied by `scale`."""
    datasets = [group[name] for name in text_attribute(group, "weight_names")]
    found = [dataset.shape for dataset in datasets]
    expected = [tuple(weight.shape) for weight in layer.weights]
    if found != expected:
        raise wrong_layers(path, file, f"{layer.name} of shapes {expected}", f"{found}")
    layer.set_weights([read(dataset) * np.float32(scale) for dataset in datasets])


def read(dataset) -> np.ndarray:
    """A dataset as float32."""
    return dataset[()].astype("float32", copy=False)


def text_attribute(group, name: str) -> list[str]:
    """An attribute that lists names; Keras splits a long one into `name0`, `name1`, ..."""
    parts = [name] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(f"{name}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def wrong_layers(path, file, expected: str, found: str) -> WeightsError:
    """The error for a file of another network."""
    return WeightsError(
        f"Expected the weights of {file.backbone}, {file.name}, with {expected}. "
        f"Received: {path} with {found}. Next: {file.command}, or name the right file by --weights."
    )
