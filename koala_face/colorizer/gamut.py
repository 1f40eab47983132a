"""Bring colours outside sRGB in by reducing chroma, at equal L* and hue.

Clipping the channels instead would change lightness and hue: the gray photograph's own
luminance would be lost where the colour is strong.
"""

import tensorflow as tf

from koala_face import color

# Linear light that may pass 0-1 without counting as outside: less than a fifth of an
# 8-bit step at black, where sRGB is steepest (255 * 12.92 * 5e-5).
TOLERANCE = 5e-5
# Halvings of the factor on chroma: chroma ends within 130 / 2^10 = 0.13 of the boundary.
HALVINGS = 10


def lab_to_linear_in_gamut(lab: tf.Tensor) -> tf.Tensor:
    """Convert CIELAB to linear sRGB, reducing chroma where the colour lies outside.

    a* and b* of such a colour are multiplied by the largest factor in 0-1 that brings it
    in, found by bisection along the line to the neutral gray of the same L*.

    Args:
        lab: (..., 3) float, L* in 0-100.

    Returns:
        (..., 3) float32 in 0-1, linear light.
    """
    lab = tf.cast(lab, tf.float32)
    linear = color.lab_to_linear(lab)
    places = tf.where(_is_outside(linear))
    outside = tf.gather_nd(lab, places)
    linear = tf.tensor_scatter_nd_update(linear, places, _reduce_chroma(outside))
    return tf.clip_by_value(linear, 0.0, 1.0)


def _reduce_chroma(lab) -> tf.Tensor:
    """(N, 3) colours outside to (N, 3) linear sRGB on the gamut's boundary."""

    def halve(inside, step):
        factor = inside + step
        fits = ~_is_outside(color.lab_to_linear(scale_chroma(lab, factor)))
        return tf.where(fits[:, None], factor, inside), step / 2

    # A loop of the graph: unrolled, ten times the ops keep the first photograph waiting.
    start = (tf.zeros_like(lab[:, :1]), tf.constant(0.5))
    inside, _ = tf.while_loop(lambda *_: True, halve, start, maximum_iterations=HALVINGS)
    return color.lab_to_linear(scale_chroma(lab, inside))


def scale_chroma(lab: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiply a* and b* by `factor`, which broadcasts to (..., 1); L* and hue stay."""
    return tf.concat([lab[..., :1], lab[..., 1:] * factor], axis=-1)


def _is_outside(linear) -> tf.Tensor:
    """(..., 3) linear sRGB to (...) bool."""
    return tf.reduce_any(tf.abs(linear - 0.5) > 0.5 + TOLERANCE, axis=-1)
