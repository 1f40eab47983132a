"""What a `model_config` from a stranger may hold, checked before anything of it is built.

JSON can name functions and classes to call, and Keras calls them while it builds: every
old Keras any `Lambda`, and Keras 3.0 to 3.11.2 too (CVE-2025-9905). So a file is held
against `model_layers.LAYERS`, key by key and value by value.
"""

from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.layers import LAYERS, is_name


class ModelConfigError(KoalaFaceError):
    """A network with a part that is not on the list of what the project's models use."""


def check_layer_classes(config) -> None:
    """Check that each layer's class is in `LAYERS`, whoever wrote the file.

    Raises:
        ModelConfigError: names the first layer and class that is not.
    """
    layers = config.get("config", {}) if isinstance(config, dict) else None
    layers = layers.get("layers") if isinstance(layers, dict) else None
    if not isinstance(layers, list) or config.get("class_name") not in ("Functional", "Model"):
        found = config.get("class_name") if isinstance(config, dict) else config
        raise ModelConfigError(f"Expected a functional model. Received: {shortened(found)}.")
    for layer in layers:
        name = layer.get("class_name") if isinstance(layer, dict) else layer
        if not isinstance(name, str) or name not in LAYERS:
            label = layer.get("name") if isinstance(layer, dict) else None
            raise ModelConfigError(
                f"Expected layers of the classes {', '.join(LAYERS)}. "
                f"Received: layer {shortened(label)} of class {shortened(name)}."
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
        raise ModelConfigError(f"Expected a model's name. Received: {shortened(graph['name'])}.")
    for layer in graph["layers"]:
        _check_layer(layer)
    names = []
    for layer in graph["layers"]:
        if layer["name"] in names:
            raise ModelConfigError(f"Expected one layer {layer['name']!r}. Received: more.")
        # Only earlier layers: Keras 2 never ends on a graph that has a loop.
        for node in layer["inbound_nodes"]:
            _check_tensors(node, names, [{}], f"layer {layer['name']!r}")
        names.append(layer["name"])
    for end in ("input_layers", "output_layers"):
        _check_tensors(model_ends(graph[end]), names, [], end)


def _check_layer(layer) -> None:
    """One layer: its keys, its settings, and the number of its uses."""
    kind = layer["class_name"]
    label = f"layer {shortened(layer.get('name'))} ({kind})"
    _expect_keys(layer, {"class_name", "config", "name", "inbound_nodes"}, label)
    _expect_keys(layer["config"], set(LAYERS[kind]), label)
    for key, allowed in LAYERS[kind].items():
        value = layer["config"][key]
        if not allowed(value):
            raise ModelConfigError(
                f"Expected of {label} a {key} that the project's models use. "
                f"Received: {key} = {shortened(value)}."
            )
    if layer["name"] != layer["config"]["name"]:
        raise ModelConfigError(f"Expected one name. Received: {label} with another in its config.")
    nodes = layer["inbound_nodes"]
    if not isinstance(nodes, list) or len(nodes) != (kind != "InputLayer"):
        raise ModelConfigError(f"Expected {label} to be used once. Received: {shortened(nodes)}.")


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
            f"Expected of {label} connections [layer, 0, 0] from layers before it. "
            f"Received: {shortened(tensors)}."
        )


def _expect_keys(found, keys: set, label: str) -> None:
    if not isinstance(found, dict):
        raise ModelConfigError(f"Expected settings of {label}. Received: {shortened(found)}.")
    if extra := {key: found[key] for key in found if key not in keys}:
        key, value = next(iter(extra.items()))
        raise ModelConfigError(
            f"Expected of {label} no more than {', '.join(sorted(keys))}. "
            f"Received: {shortened(key)} = {shortened(value)}."
        )
    if missing := keys - set(found):
        raise ModelConfigError(f"Expected {', '.join(sorted(missing))} of {label}, which has none.")


def shortened(value) -> str:
    """A value from a stranger, as text of bounded length."""
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."


def model_ends(tensors) -> list:
    """`input_layers` or `output_layers` as a list of [layer, 0, 0]."""
    single = isinstance(tensors, list) and tensors and isinstance(tensors[0], str)
    return [tensors] if single else tensors
