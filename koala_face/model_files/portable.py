"""The one form of `model_config` that every Keras reads.

An .h5 says what its network is in JSON. Keras 2 and Keras 3 write that JSON differently,
and neither reads all of the other's. `portable_config` writes the part that Keras 2.10,
tf-keras 2.21 and Keras 3 share: functional models in the notation of Keras 2.10, flat, each
layer used once, with the settings of `LAYERS`.
"""

import reprlib
from collections.abc import Mapping

import tensorflow as tf

from koala_face.foundation.errors import KoalaFaceError

keras = tf.keras

NAMED = ("name", "trainable", "dtype")
AFFINE = ("activation", "use_bias", "kernel_initializer", "bias_initializer")
POOLING = (*NAMED, "pool_size", "padding", "strides", "data_format")
GLOBAL_POOLING = (*NAMED, "data_format", "keepdims")
# Layer class to its settings that every Keras knows.
LAYERS = {
    "InputLayer": ("batch_input_shape", "dtype", "name"),
    "Conv2D": (
        *(*NAMED, "filters", "kernel_size", "strides", "padding", "data_format"),
        *("dilation_rate", "groups", *AFFINE),
    ),
    "BatchNormalization": (
        *(*NAMED, "axis", "momentum", "epsilon", "center", "scale"),
        *("beta_initializer", "gamma_initializer"),
        *("moving_mean_initializer", "moving_variance_initializer"),
    ),
    "Dense": (*NAMED, "units", *AFFINE),
    "Activation": (*NAMED, "activation"),
    "Add": NAMED,
    "Multiply": NAMED,
    "Concatenate": (*NAMED, "axis"),
    "RepeatVector": (*NAMED, "n"),
    "Reshape": (*NAMED, "target_shape"),
    "Permute": (*NAMED, "dims"),
    "Flatten": (*NAMED, "data_format"),
    "Dropout": (*NAMED, "rate"),
    "Rescaling": (*NAMED, "scale", "offset"),
    "UnitNormalization": (*NAMED, "axis"),
    "UpSampling2D": (*NAMED, "size", "data_format", "interpolation"),
    "ZeroPadding2D": (*NAMED, "padding", "data_format"),
    "MaxPooling2D": POOLING,
    "AveragePooling2D": POOLING,
    "GlobalAveragePooling2D": GLOBAL_POOLING,
    "GlobalMaxPooling2D": GLOBAL_POOLING,
}
# Settings of which not every Keras knows every value.
CHOICES = {
    "dtype": ("float32",),
    "data_format": ("channels_last",),
    "interpolation": ("nearest", "bilinear"),
    "activation": ("linear", "relu", "tanh", "sigmoid", "softmax"),
}
# Initializers with their settings. A seed is not kept: the weights are.
INITIALIZERS = {
    "Zeros": (),
    "Ones": (),
    "GlorotUniform": ("seed",),
    "GlorotNormal": ("seed",),
    "HeNormal": ("seed",),
    "HeUniform": ("seed",),
}
# Settings of one Keras alone that may be left out whatever they are: they do not change
# what a trained network computes.
FORGOTTEN = ("seed", "renorm_momentum", "renorm_clipping")
# Call arguments that Keras 3 writes down though nobody gave them.
DEFAULT_CALLS = {"Dropout": {"training": False}}


class ModelConfigError(KoalaFaceError):
    """A network with a part that not every Keras knows."""


def portable_config(model: keras.Model) -> dict:
    """The `model_config` of `model`, the same from every Keras.

    Args:
        model: flat and functional; each layer is used once.

    Returns:
        JSON values: {"class_name": "Functional", "config": {...}}.

    Raises:
        ModelConfigError: names the layer or setting that not every Keras knows.
    """
    config = _as_json(model.get_config())
    if not {"layers", "input_layers", "output_layers"} <= set(config):
        raise ModelConfigError(
            f"Expected a functional keras.Model. Received: {type(model).__name__} {model.name!r}. "
            "Build it with keras.Model(inputs, outputs)."
        )
    portable = {
        "name": config["name"],
        "layers": [_portable_layer(layer, model) for layer in config["layers"]],
        "input_layers": _portable_ends(config["input_layers"]),
        "output_layers": _portable_ends(config["output_layers"]),
    }
    return {"class_name": "Functional", "config": portable}


def _as_json(value):
    """Keras's own containers and NumPy's numbers as plain lists, dicts and numbers."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return value.item() if hasattr(value, "item") else value


def _portable_layer(layer: dict, model) -> dict:
    """One entry of `get_config()["layers"]` in the shared notation."""
    kind, name = layer["class_name"], layer["config"].get("name")
    if kind not in LAYERS or "/" in name:
        raise ModelConfigError(
            f"Expected layers that every Keras knows, without / in their names: "
            f"{', '.join(LAYERS)}. Received: layer {name!r} of class {kind}. Build it of those."
        )
    if len(layer["inbound_nodes"]) != (kind != "InputLayer"):
        raise ModelConfigError(f"Expected layer {name!r} ({kind}) to be used once. Received: more.")
    config = dict(layer["config"])
    if "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
    if isinstance(config.get("axis"), (int, list)):
        config["axis"] = _negative_axis(config["axis"], model.get_layer(name))
    portable = {key: _portable_value(key, config.pop(key, None), name) for key in LAYERS[kind]}
    for key, value in config.items():
        # What one Keras alone knows may be left out if it is off.
        if value not in (None, False) and key not in FORGOTTEN:
            raise ModelConfigError(
                f"Expected of layer {name!r} ({kind}) only settings that every Keras knows: "
                f"{', '.join(LAYERS[kind])}. Received: {key} = {shortened(value)}."
            )
    nodes = [_portable_node(node, name, DEFAULT_CALLS.get(kind)) for node in layer["inbound_nodes"]]
    return {"class_name": kind, "config": portable, "name": name, "inbound_nodes": nodes}


def _portable_value(key: str, value, name: str):
    """A setting's value; an initializer without its module, a dtype policy as its variables'."""
    known = CHOICES.get(key, (value,))
    if key == "dtype":
        policy = value["config"]["name"] if isinstance(value, dict) else value
        # Mixed precision keeps its variables, and so the file, in float32.
        value = "float32" if policy in ("mixed_float16", "mixed_bfloat16") else policy
    if key.endswith("_initializer"):
        known = INITIALIZERS
        value = value["class_name"] if isinstance(value, dict) else value
    if value is None or value not in known:
        raise ModelConfigError(
            f"Expected of layer {name!r} a {key} that every Keras knows"
            f"{'' if key not in CHOICES else ': ' + ', '.join(known)}. "
            f"Received: {key} = {shortened(value)}."
        )
    if key.endswith("_initializer"):
        return {"class_name": value, "config": dict.fromkeys(INITIALIZERS[value])}
    return value


def _negative_axis(axis, layer) -> int:
    """The last axis as -1, however a Keras counts it: [3], 3 and -1 are one."""
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    spec = getattr(layer, "input_spec", None)
    rank = getattr(spec, "ndim", None)
    if rank is None:
        output = getattr(layer, "output", None)
        rank = None if output is None else len(output.shape)
    return axis - rank if rank and isinstance(axis, int) and axis == rank - 1 else axis


def _portable_node(node, name: str, defaults) -> list:
    """One use of a layer: Keras 3's {"args", "kwargs"} or Keras 2's list, as Keras 2's."""
    if isinstance(node, dict):
        args, kwargs = node["args"], node["kwargs"]
        tensors = _keras_tensors(args)
    else:
        tensors = [tensor[:3] for tensor in node]
        kwargs = {key: value for tensor in node for key, value in tensor[3].items()}
    given = {key: value for key, value in kwargs.items() if value is not None}
    if given and given != defaults:
        raise ModelConfigError(
            f"Expected layer {name!r} to be called with tensors alone. Received: {given}. "
            "Keras versions store such arguments differently."
        )
    return [[*tensor, {}] for tensor in tensors]


def _keras_tensors(value) -> list:
    """The [layer, node, tensor] of every Keras 3 tensor in nested call arguments, in order."""
    if isinstance(value, list):
        return [tensor for item in value for tensor in _keras_tensors(item)]
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return [value["config"]["keras_history"]]
    raise ModelConfigError(
        f"Expected layers called with tensors alone. Received: {shortened(value)}."
    )


def _portable_ends(tensors: list) -> list:
    """A single end without a list around it: else Keras 3 warns at each call."""
    return tensors[0] if len(tensors) == 1 else tensors


def shortened(value: object) -> str:
    """A value as text of bounded length and depth, whoever made it."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)
