"""The one form of `model_config` that every Keras reads.

An .h5 says what its network is in JSON. Keras 2 and Keras 3 write that JSON differently,
and neither reads all of the other's. `portable_config` writes the part that they share:
functional models in the notation of Keras 2.10, flat, each layer used once, with the
settings of `model_layers.LAYERS`.
"""

from collections.abc import Mapping

from koala_face.model_files.check import ModelConfigError, check_config, model_ends, shortened
from koala_face.model_files.layers import INITIALIZERS, LAYERS

# Settings of one Keras alone that may be left out whatever they are: they do not change
# what a trained network computes.
FORGOTTEN = ("seed", "renorm_momentum", "renorm_clipping")
# Call arguments that Keras 3 writes down though nobody gave them.
DEFAULT_CALLS = {"Dropout": {"training": False}}


def portable_config(model) -> dict:
    """The `model_config` of `model`, the same from every Keras.

    Args:
        model: a flat functional `keras.Model`; each layer is used once.

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
    portable = {"class_name": "Functional", "config": portable}
    check_config(portable)
    return portable


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
    if kind not in LAYERS:
        raise ModelConfigError(
            f"Expected layers that every Keras knows: {', '.join(LAYERS)}. "
            f"Received: layer {name!r} of class {kind}. Build it of those."
        )
    config = dict(layer["config"])
    if "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
    if isinstance(config.get("axis"), (int, list)):
        config["axis"] = _negative_axis(config["axis"], model.get_layer(name))
    portable = {}
    for key in LAYERS[kind]:
        if key not in config:
            raise ModelConfigError(f"Expected {key} of layer {name!r} ({kind}), which has none.")
        portable[key] = _portable_value(key, config.pop(key))
    for key, value in config.items():
        # What one Keras alone knows may be left out if it is off.
        if value not in (None, False) and key not in FORGOTTEN:
            raise ModelConfigError(
                f"Expected of layer {name!r} ({kind}) only settings that every Keras knows: "
                f"{', '.join(LAYERS[kind])}. Received: {key} = {shortened(value)}."
            )
    nodes = [_portable_node(node, name, DEFAULT_CALLS.get(kind)) for node in layer["inbound_nodes"]]
    return {"class_name": kind, "config": portable, "name": name, "inbound_nodes": nodes}


def _portable_value(key: str, value):
    """An initializer without its module, a dtype policy as its variables' dtype."""
    if key == "dtype":
        policy = value["config"]["name"] if isinstance(value, dict) else value
        # Mixed precision keeps its variables, and so the file, in float32.
        return "float32" if policy in ("mixed_float16", "mixed_bfloat16") else policy
    if key.endswith("_initializer") and isinstance(value, dict):
        allowed = INITIALIZERS.get(value["class_name"], ())
        return {"class_name": value["class_name"], "config": dict.fromkeys(allowed)}
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


def _portable_ends(tensors) -> list:
    """A single end without a list around it: else Keras 3 warns at each call."""
    tensors = model_ends(tensors)
    return tensors[0] if len(tensors) == 1 else tensors
