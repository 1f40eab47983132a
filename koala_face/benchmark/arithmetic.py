"""Multiply-adds of the network, counted off the tables: per portrait, forward."""

import math
from collections.abc import Iterator

from koala_face import models
from koala_face.training import fast_forward

# A step costs a forward pass and twice as much backward: by the inputs and by the kernels.
PASSES = 3


def multiply_adds(size: int = 256, embedding_dim: int = 2622) -> int:
    """Multiply-adds of Tables I-III as they stand."""
    return models.multiply_adds(models.build_colorizer(embedding_dim, size))


def fast_multiply_adds(size: int = 256, embedding_dim: int = 2622) -> int:
    """Multiply-adds of the matrix products that `fast_forward.fast_forward` makes of them."""
    convolutions = sum(map(math.prod, matrix_products(size)))
    return convolutions + embedding_dim * models.FUSION[0].filters


def matrix_products(size: int = 256) -> Iterator[tuple[int, int, int, int]]:
    """Each convolution of `fast_forward` for a portrait as `count` products of matrices.

    Yields:
        count, and that an (m, k) by a (k, n) matrix: m positions, k and n channels. A convolution
        that is not rewritten counts as one product over all taps.
    """
    for outputs, row, channels, upsampled in _convolutions(size):
        scheme = fast_forward.scheme_of(row, channels, upsampled)
        if scheme is None:
            yield 1, outputs, row.kernel**2 * channels, row.filters
        else:
            tiles = outputs // len(scheme.outputs) ** 2
            yield len(scheme.inputs) ** 2, tiles, channels, row.filters


def step_flops(forward: int, portraits: int) -> int:
    """Additions and multiplications of a training step, from the multiply-adds of a portrait."""
    return PASSES * 2 * forward * portraits


def _convolutions(size: int):
    """Each row `Conv`: its output's positions, itself, its input's channels, if upsampled.

    The fusion without the embedding, which meets one product of vectors a portrait.
    """
    channels, upsampled = 1, False
    for row in (*models.ENCODER, *models.FUSION, *models.DECODER):
        if isinstance(row, models.Upsampling):
            size, upsampled = size * row.factor, True
            continue
        size //= row.stride
        yield size**2, row, channels, upsampled
        channels, upsampled = row.filters, False
