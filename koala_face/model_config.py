"""The one form of `model_config` that every Keras reads, and the check before it is read.

An .h5 says what its network is in JSON. Keras 2 and Keras 3 write that JSON differently,
and neither reads all of the other's. `portable_config` writes the part that they share:
functional models in the notation of Keras 2.10, flat, each layer used once, with the
settings of `model_layers.LAYERS`.

The same list guards the way back: JSON can name functions and classes to call, so
`check_config` holds a file against it before anything of the file is built.
"""

from collections.abc import Mapping

from koala_face.errors import KoalaFaceError
from koala_face.model_layers import INITIALIZERS, LAYERS, is_name


class ModelConfigError(KoalaFaceError):
    """A network with a part that is not on the list of what the project's models use."""


# Settings of one Keras alone that may be left out whatever they are: they do not change
# what a trained network computes.
FORGOTTEN = ("seed", "renorm_momentum", "renorm_clipping")


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
        "input_layers": _tensor_list(config["input_layers"]),
        "output_layers": _tensor_list(config["output_layers"]),
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
                f"{', '.join(LAYERS[kind])}. Received: {key} = {_short(value)}."
            )
    nodes = [_portable_node(node, name) for node in layer["inbound_nodes"]]
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
    if rank is None and hasattr(layer, "get_output_at"):
        rank = len(layer.get_output_at(0).shape)
    return axis - rank if rank and isinstance(axis, int) and axis == rank - 1 else axis


def _portable_node(node, name: str) -> list:
    """One use of a layer: Keras 3's {"args", "kwargs"} or Keras 2's list, as Keras 2's."""
    if isinstance(node, dict):
        args, kwargs = node["args"], node["kwargs"]
        tensors = _keras_tensors(args)
    else:
        tensors = [tensor[:3] for tensor in node]
        kwargs = {key: value for tensor in node for key, value in tensor[3].items()}
    if given := {key: value for key, value in kwargs.items() if value is not None}:
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
    raise ModelConfigError(f"Expected layers called with tensors alone. Received: {_short(value)}.")


def _tensor_list(tensors) -> list:
    """The ends of a model, [layer, 0, 0] each, as a flat list."""
    if isinstance(tensors, list) and tensors and isinstance(tensors[0], str):
        return [tensors]
    return tensors


def check_layer_classes(config) -> None:
    """Check that each layer's class is in `LAYERS`, whoever wrote the file.

    Raises:
        ModelConfigError: names the first layer and class that is not.
    """
    layers = config.get("config", {}) if isinstance(config, dict) else None
    layers = layers.get("layers") if isinstance(layers, dict) else None
    if not isinstance(layers, list) or config.get("class_name") not in ("Functional", "Model"):
        found = config.get("class_name") if isinstance(config, dict) else config
        raise ModelConfigError(f"Expected a functional model. Received: {_short(found)}.")
    for layer in layers:
        name = layer.get("class_name") if isinstance(layer, dict) else layer
        if not isinstance(name, str) or name not in LAYERS:
            label = layer.get("name") if isinstance(layer, dict) else None
            raise ModelConfigError(
                f"Expected layers of the classes {', '.join(LAYERS)}. "
                f"Received: layer {_short(label)} of class {_short(name)}."
            )


def check_config(config) -> None:
    """Hold a `model_config` against the list; nothing is built.

    Args:
        config: JSON values, as `portable_config` gives them.

    Raises:
        ModelConfigError: names the first layer class, setting, activation, initializer,
            module or connection that is not on the list.
    """
    check_layer_classes(config)
    _expect_keys(config, {"class_name", "config"}, "the model")
    graph = config["config"]
    _expect_keys(graph, {"name", "layers", "input_layers", "output_layers"}, "the model")
    if not is_name(graph["name"]):
        raise ModelConfigError(f"Expected a model's name. Received: {_short(graph['name'])}.")
    for layer in graph["layers"]:
        _check_layer(layer)
    names = [layer["name"] for layer in graph["layers"]]
    if len(set(names)) < len(names):
        raise ModelConfigError("Expected each layer's name once.")
    for layer in graph["layers"]:
        for node in layer["inbound_nodes"]:
            _check_tensors(node, names, [{}], f"layer {layer['name']!r}")
    for end in ("input_layers", "output_layers"):
        _check_tensors(graph[end], names, [], end)


def _check_layer(layer) -> None:
    """One layer: its keys, its settings, and the number of its uses."""
    kind = layer["class_name"]
    label = f"layer {_short(layer.get('name'))} ({kind})"
    _expect_keys(layer, {"class_name", "config", "name", "inbound_nodes"}, label)
    _expect_keys(layer["config"], set(LAYERS[kind]), label)
    for key, allowed in LAYERS[kind].items():
        value = layer["config"][key]
        if not allowed(value):
            raise ModelConfigError(
                f"Expected of {label} a {key} that the project's models use. "
                f"Received: {key} = {_short(value)}."
            )
    if layer["name"] != layer["config"]["name"]:
        raise ModelConfigError(f"Expected one name. Received: {label} with another in its config.")
    nodes = layer["inbound_nodes"]
    if not isinstance(nodes, list) or len(nodes) != (kind != "InputLayer"):
        raise ModelConfigError(f"Expected {label} to be used once. Received: {_short(nodes)}.")


def _check_tensors(tensors, names, end, label) -> None:
    """A list of [layer, 0, 0] + `end`, all of known layers."""
    well_formed = isinstance(tensors, list) and tensors
    if not well_formed or not all(
        isinstance(tensor, list)
        and tensor[1:] == [0, 0, *end]
        and isinstance(tensor[0], str)
        and tensor[0] in names
        for tensor in tensors
    ):
        raise ModelConfigError(
            f"Expected of {label} connections [layer, 0, 0]. Received: {_short(tensors)}."
        )


def _expect_keys(found, keys: set, label: str) -> None:
    if not isinstance(found, dict):
        raise ModelConfigError(f"Expected settings of {label}. Received: {_short(found)}.")
    if extra := {key: found[key] for key in found if key not in keys}:
        key, value = next(iter(extra.items()))
        raise ModelConfigError(
            f"Expected of {label} no more than {', '.join(sorted(keys))}. "
            f"Received: {_short(key)} = {_short(value)}."
        )
    if missing := keys - set(found):
        raise ModelConfigError(f"Expected {', '.join(sorted(missing))} of {label}, which has none.")


def _short(value) -> str:
    """A value from a stranger, as text of bounded length."""
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."
