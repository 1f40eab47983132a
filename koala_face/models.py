"""The colorization network of Section II.D: encoder, fusion and decoder; and its ancestor.

The three tables stand below as the paper prints them, row by row, and the
builders read them. Each hidden convolution is followed by batch normalization
(Section II.F.1), after its activation as that section words it: "normalize the
activations of the previous layer". The tanh output is not normalized.

The paper calls its network similar to Deep Koalarization's (Baldassarre, González Morín,
Rodés-Guirao, arXiv:1712.03400) "except for slight changes". That one's tables follow, for the
same builders, and the networks on the way from it to the paper's, a change each.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face.foundation.errors import KoalaFaceError

keras = tf.keras

# The encoder halves its input three times (Section II.D.1): N/2^3 x M/2^3.
REDUCTION = 8


class SizeError(KoalaFaceError, ValueError):
    """A size that the tables cannot halve and double three times."""


class Conv(NamedTuple):
    """A row `Conv` of Tables I-III."""

    filters: int
    kernel: int
    stride: int
    activation: str


class Upsampling(NamedTuple):
    """A row `Upsamp` of Table III: twice the height and width, nearest neighbour."""

    factor: int = 2


class Network(NamedTuple):
    """A network's tables, and what its source says of the rest.

    `centred`: its luminance runs from -1 to 1, not from 0 to 1; its first layer sees to that,
    so that every network takes L*/100 and gives a*/128, b*/128. `batch_size`, `learning_rate`
    and `epochs` are the source's own recipe; None where it is silent.
    """

    name: str
    encoder: tuple
    fusion: tuple
    decoder: tuple
    batch_norm: bool
    centred: bool
    batch_size: int | None
    learning_rate: float | None
    epochs: int | None


# Table I, encoder.
ENCODER = (
    Conv(64, 3, 2, "relu"),
    Conv(128, 3, 2, "relu"),
    Conv(256, 3, 2, "relu"),
    Conv(512, 3, 1, "relu"),
    Conv(256, 3, 1, "relu"),
)

# Table II, fusion: the row `Fusion` is `fuse` below.
FUSION = (Conv(256, 1, 1, "relu"),)

# Table III, decoder.
DECODER = (
    Upsampling(),
    Conv(128, 3, 1, "relu"),
    Conv(64, 3, 1, "relu"),
    Upsampling(),
    Conv(32, 3, 1, "relu"),
    Conv(16, 3, 1, "relu"),
    Conv(2, 2, 1, "tanh"),
    Upsampling(),
)


PAPER = Network(
    "koala_face",
    *(ENCODER, FUSION, DECODER),
    batch_norm=True,  # II.F.1
    centred=False,  # the paper is silent on how L* is scaled: our choice
    batch_size=50,  # II.F
    learning_rate=None,  # II.F.2 names Adam alone
    epochs=21,  # II.F
)

# Deep Koalarization, Table 1 and Section 3; its code agrees. Every convolution is followed by
# ReLU and nothing else.
DEEP_KOALARIZATION = Network(
    "deep_koalarization",
    encoder=(
        Conv(64, 3, 2, "relu"),
        Conv(128, 3, 1, "relu"),
        Conv(128, 3, 2, "relu"),
        Conv(256, 3, 1, "relu"),
        Conv(256, 3, 2, "relu"),
        Conv(512, 3, 1, "relu"),
        Conv(512, 3, 1, "relu"),
        Conv(256, 3, 1, "relu"),
    ),
    fusion=(Conv(256, 1, 1, "relu"),),
    decoder=(
        Conv(128, 3, 1, "relu"),
        Upsampling(),
        Conv(64, 3, 1, "relu"),
        Conv(64, 3, 1, "relu"),
        Upsampling(),
        Conv(32, 3, 1, "relu"),
        Conv(2, 3, 1, "tanh"),
        Upsampling(),
    ),
    batch_norm=False,
    centred=True,  # Section 3: all three components of a pixel in [-1, 1]
    batch_size=100,  # Section 4
    learning_rate=0.001,  # Section 4, Adam's initial one
    epochs=None,  # Section 4 gives hours, not epochs
)

# From the ancestor to the paper, a change each; the last change, to DECODER and to L* in 0-1,
# makes it the paper's.
NORMALIZED = DEEP_KOALARIZATION._replace(name="dk_normalized", batch_norm=True)
SHORT_ENCODER = NORMALIZED._replace(name="dk_short_encoder", encoder=ENCODER)
EARLY_UPSAMPLING = SHORT_ENCODER._replace(
    name="dk_early_upsampling",
    decoder=(*DECODER[:5], Conv(2, 3, 1, "tanh"), Upsampling()),
)

NETWORKS = {
    network.name: network
    for network in (PAPER, DEEP_KOALARIZATION, NORMALIZED, SHORT_ENCODER, EARLY_UPSAMPLING)
}


def build_colorizer(
    embedding_dim: int = 2622,
    size: int | tuple[int, int] = 256,
    momentum: float = 0.99,
    network: str = PAPER.name,
) -> keras.Model:
    """Build the network of Figure 1, or another of `NETWORKS`, without the descriptor itself.

    The inputs are named `luminance`, (N, M, 1), L*/100 in 0-1, and
    `embedding`, (embedding_dim,), the descriptor's vector. The output `ab` is
    (N, M, 2), a*/128 and b*/128 in -1 to 1. All float32.

    Args:
        embedding_dim: length of the descriptor's vector; VGG-Face gives 2622.
        size: (height N, width M) in pixels, multiples of 8; a number is both. The
            paper's is 256 (II.B).
        momentum: of the moving statistics of batch normalization; Keras's
            default, on which the paper is silent.
        network: a name in `NETWORKS`.

    Raises:
        SizeError: for a size that the encoder cannot halve three times.
        ValueError: for an empty embedding or an unknown network.
    """
    height, width = (size, size) if np.ndim(size) == 0 else size
    check_size(height)
    check_size(width)
    if embedding_dim <= 0:
        raise ValueError(f"Expected a positive embedding_dim. Received: {embedding_dim}.")
    luminance = keras.Input((height, width, 1), name="luminance")
    embedding = keras.Input((embedding_dim,), name="embedding")
    tables = find_network(network)
    momentum = momentum if tables.batch_norm else None
    features = luminance
    if tables.centred:
        features = keras.layers.Rescaling(2.0, offset=-1.0, name="luminance_centred")(luminance)
    features = encode(features, tables.encoder, momentum)
    features = fuse(features, embedding, tables.fusion, momentum)
    ab = decode(features, tables.decoder, momentum)
    return keras.Model([luminance, embedding], ab, name=network)


def find_network(name: str) -> Network:
    """The tables of a network.

    Raises:
        ValueError: lists the names in `NETWORKS`.
    """
    if name not in NETWORKS:
        raise ValueError(f"Expected a network out of {', '.join(NETWORKS)}. Received: {name!r}.")
    return NETWORKS[name]


def check_size(size: int) -> None:
    """Refuse a height or width that Tables I and III cannot halve and double three times.

    Raises:
        SizeError: names a size that fits.
    """
    if size <= 0 or size % REDUCTION:
        raise SizeError(
            f"Expected a size that is a positive multiple of {REDUCTION}, because the encoder "
            "halves the portrait three times and the decoder doubles it three times. "
            f"Received: size={size}. Try size={max(REDUCTION, round(size / 8) * REDUCTION)}."
        )


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of a network's convolutions, for one portrait and forward."""
    return sum(
        math.prod((*layer.output.shape[1:3], *layer.kernel.shape))
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    )


def encode(
    luminance: tf.Tensor, rows: Sequence[Conv] = ENCODER, momentum: float | None = 0.99
) -> tf.Tensor:
    """Table I: (N, M, 1) luminance to (N/8, M/8, 256) local features."""
    return apply_rows(luminance, rows, "encoder", momentum)


def fuse(
    features: tf.Tensor,
    embedding: tf.Tensor,
    rows: Sequence[Conv] = FUSION,
    momentum: float | None = 0.99,
) -> tf.Tensor:
    """Table II: repeat the embedding at each of the NM/2^6 positions and convolve.

    (N/8, M/8, 256) features and a (D,) embedding make a volume of
    (N/8, M/8, 256 + D), reduced to (N/8, M/8, 256).
    """
    height, width = features.shape[1], features.shape[2]
    dim = embedding.shape[-1]
    repeated = keras.layers.RepeatVector(height * width, name="fusion_repeat")(embedding)
    repeated = keras.layers.Reshape((height, width, dim), name="fusion_reshape")(repeated)
    volume = keras.layers.Concatenate(name="fusion")([features, repeated])
    return apply_rows(volume, rows, "fusion", momentum)


def decode(
    features: tf.Tensor,
    rows: Sequence[Conv | Upsampling] = DECODER,
    momentum: float | None = 0.99,
) -> tf.Tensor:
    """Table III: (N/8, M/8, 256) fused features to (N, M, 2) ab."""
    return apply_rows(features, rows, "decoder", momentum, output_name="ab")


def apply_rows(
    x: tf.Tensor,
    rows: Sequence[Conv | Upsampling],
    part: str,
    momentum: float | None,
    output_name: str | None = None,
) -> tf.Tensor:
    """Apply a table's rows in order; layers are named `part_conv1`, `part_norm1`, ...

    `output_name` names the last row's layer. Rows of one kind count from 1. Without `momentum`
    nothing is normalized.
    """
    convolutions = upsamplings = 0
    for row in rows:
        last = output_name if row is rows[-1] else None
        if isinstance(row, Upsampling):
            upsamplings += 1
            name = last or f"{part}_upsampling{upsamplings}"
            x = keras.layers.UpSampling2D(row.factor, interpolation="nearest", name=name)(x)
            continue
        convolutions += 1
        x = keras.layers.Conv2D(
            row.filters,
            row.kernel,
            strides=row.stride,
            padding="same",
            activation=row.activation,
            name=last or f"{part}_conv{convolutions}",
        )(x)
        if row.activation != "tanh" and momentum is not None:
            x = keras.layers.BatchNormalization(
                momentum=momentum, name=f"{part}_norm{convolutions}"
            )(x)
    return x
