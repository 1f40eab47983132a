"""Multiply-adds of the network, counted off the tables: per portrait, forward."""

from koala_face import models
from koala_face.training import fast_forward

# A step costs a forward pass and twice as much backward: by the inputs and by the kernels.
PASSES = 3


def multiply_adds(size: int = 256, embedding_dim: int = 2622) -> int:
    """Multiply-adds of Tables I-III as they stand."""
    return models.multiply_adds(models.build_colorizer(embedding_dim, size))


def fast_multiply_adds(size: int = 256, embedding_dim: int = 2622) -> int:
    """Multiply-adds of the matrix products that `fast_forward.fast_forward` makes of them."""
    total = 0
    for outputs, row, channels, upsampled in _convolutions(size, embedding_dim):
        scheme = fast_forward.scheme_of(row, channels, upsampled)
        if row is models.FUSION[0]:
            local = channels - embedding_dim
            total += row.filters * (outputs * local + embedding_dim)
        elif scheme is None:
            total += outputs * row.filters * row.kernel**2 * channels
        else:
            tiles = outputs // len(scheme.outputs) ** 2
            total += tiles * len(scheme.inputs) ** 2 * row.filters * channels
    return total


def step_flops(forward: int, portraits: int) -> int:
    """Additions and multiplications of a training step, from the multiply-adds of a portrait."""
    return PASSES * 2 * forward * portraits


def _convolutions(size: int, embedding_dim: int):
    """Each row `Conv`: its output's positions, itself, its input's channels, if upsampled."""
    channels, upsampled = 1, False
    for row in (*models.ENCODER, *models.FUSION, *models.DECODER):
        if isinstance(row, models.Upsampling):
            size, upsampled = size * row.factor, True
            continue
        if row is models.FUSION[0]:
            channels += embedding_dim
        size //= row.stride
        yield size**2, row, channels, upsampled
        channels, upsampled = row.filters, False
