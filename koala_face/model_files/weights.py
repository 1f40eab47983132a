"""The weights in a model file: the layout of Keras 2, which every Keras reads.

A group per layer, a dataset per weight, and the order of both in attributes. Reading is
strict: every layer's weights must lie in the file itself, in their shapes, and be finite.
"""

import h5py
import numpy as np

from koala_face.foundation.errors import KoalaFaceError

# `keras_version` of the files: their notation is that of Keras 2.10, whoever wrote them.
NOTATION = "2.10.0"


class ModelWeightsError(KoalaFaceError):
    """A weight is missing, has another shape or is no number."""


def write_weights(group, model) -> None:
    """Write the weights of every layer of the keras.Model `model` into an empty HDF5 group."""
    group.attrs["keras_version"] = NOTATION
    group.attrs["backend"] = "tensorflow"
    group.attrs["layer_names"] = [layer.name for layer in model.layers]
    for layer in model.layers:
        names = [f"{layer.name}/{_short_name(weight)}:0" for weight in layer.weights]
        layer_group = group.create_group(layer.name)
        layer_group.attrs["weight_names"] = names
        for name, value in zip(names, layer.get_weights(), strict=True):
            layer_group.create_dataset(name, data=value)


def read_weights(file, model) -> None:
    """Set the weights of every layer of `model` from an open `h5py.File`, by name.

    Raises:
        ModelWeightsError: names the layer and weight that is missing, lies in another file,
            has another shape or holds NaN or infinity.
    """
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            path = f"model_weights/{layer.name}/{layer.name}/{_short_name(weight)}:0"
            values.append(_read(file, path, tuple(weight.shape)))
        layer.set_weights(values)


def _short_name(weight) -> str:
    """`conv1/kernel:0` of Keras 2 and `kernel` of Keras 3 as `kernel`."""
    return weight.name.split("/")[-1].split(":")[0]


def _read(file, path: str, shape: tuple) -> np.ndarray:
    """One float32 weight."""
    dataset = _follow(file, path)
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


def _follow(file, path: str):
    """Walk to a dataset without following any link out of the file.

    HDF5 can point to other files of the machine, as a link or as a dataset's storage.
    """
    item = file
    for name in path.split("/"):
        link = item.get(name, getlink=True) if isinstance(item, h5py.Group) else None
        if link is None:
            raise ModelWeightsError(f"Expected the weight {path}. Received: a file without it.")
        if not isinstance(link, h5py.HardLink):
            raise ModelWeightsError(
                f"Expected the weight {path} in the file itself. "
                f"Received: a link, {type(link).__name__}, at {name!r}."
            )
        item = item[name]
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        raise ModelWeightsError(f"Expected the weight {path} in the file itself.")
    return item
