"""FaceNet's descriptor in plain TensorFlow ops, ready in a third of the time of Keras layers.

Keras makes, fills and traces each of the 134 layers in some milliseconds, for which a single
photograph would wait. Here the tables of `facenet` become the very ops that Keras makes of them,
and give the same bits; `export` and all who want a model take `facenet.build_facenet`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from koala_face.backbones.facenet import NETWORK, SCALES, UP, Conv, Pool, Residual
from koala_face.backbones.frozen_graph import BOTTLENECK, layer_name, read_graph
from koala_face.backbones.preprocessing import pixel_weights
from koala_face.backbones.weight_files import Shapes

if TYPE_CHECKING:
    from koala_face.backbones import Backbone

keras = tf.keras


def facenet_function(
    backbone: Backbone, weights_path: str | os.PathLike
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function, with its weights, of (B, 160, 160, 3) float32 RGB in 0-255 to (B, D) vectors.

    Raises:
        WeightsError: for a file that is not the frozen graph of this network.
    """
    shapes: Shapes = {}
    channels = _collect_shapes(3, NETWORK, "", shapes)
    shapes[BOTTLENECK] = [(channels, 512), (512,)]
    arrays = read_graph(weights_path, shapes, SCALES)
    arrays["preprocessing"] = pixel_weights(backbone)
    weights = {name: [tf.constant(array) for array in pair] for name, pair in arrays.items()}
    mean, unit = keras.layers.GlobalAveragePooling2D(), keras.layers.UnitNormalization()

    def describe(portraits: tf.Tensor) -> tf.Tensor:
        x = _convolve(portraits, weights["preprocessing"])
        x = mean(_apply_rows(x, NETWORK, "", weights))
        if backbone.layer == "avgpool":
            return x
        kernel, bias = weights[BOTTLENECK]
        x = tf.nn.bias_add(tf.matmul(x, kernel), bias)
        return x if backbone.layer == "bottleneck" else unit(x)

    return describe


def _collect_shapes(channels: int, rows: tuple, scope: str, shapes: Shapes) -> int:
    """Note the shapes of the layers of a table's rows; gives the channels that leave them."""
    for row in rows:
        path = scope + row.scope
        if isinstance(row, Conv):
            shapes[layer_name(path)] = [(*row.kernel, channels, row.filters), (row.filters,)]
            channels = row.filters
        elif not isinstance(row, Pool):
            mixed = sum(_collect_shapes(channels, b, path + "/", shapes) for b in row.branches)
            if isinstance(row, Residual):
                shapes[layer_name(path + UP)] = [(1, 1, mixed, channels), (channels,)]
            else:
                channels = mixed
    return channels


def _apply_rows(x: tf.Tensor, rows: tuple, scope: str, weights: dict) -> tf.Tensor:
    """Apply a table's rows in order, as `facenet.apply_rows` does in layers."""
    for row in rows:
        path = scope + row.scope
        if isinstance(row, Conv):
            x = _convolve(x, weights[layer_name(path)], row.stride, row.padding)
            x = tf.nn.relu(x)
        elif isinstance(row, Pool):
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        else:
            mixed = tf.concat([_apply_rows(x, b, path + "/", weights) for b in row.branches], -1)
            if isinstance(row, Residual):
                mixed = x + _convolve(mixed, weights[layer_name(path + UP)])
                mixed = tf.nn.relu(mixed) if row.relu else mixed
            x = mixed
    return x


def _convolve(x: tf.Tensor, weights: list, stride: int = 1, padding: str = "same") -> tf.Tensor:
    kernel, bias = weights
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, padding.upper()), bias)
