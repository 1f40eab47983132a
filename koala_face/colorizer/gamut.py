"""Bring colours outside sRGB in by reducing chroma, at equal L* and hue.

Clipping the channels instead would change lightness and hue: the gray photograph's own
luminance would be lost where the colour is strong.
"""

import numpy as np
import tensorflow as tf

from koala_face import color

# Linear light that may pass 0-1 without counting as outside: less than a fifth of an
# 8-bit step at black, where sRGB is steepest (255 * 12.92 * 5e-5).
TOLERANCE = 5e-5
# Halvings of the factor on chroma: chroma ends within 130 / 2^10 = 0.13 of the boundary.
HALVINGS = 10

TO_F, TO_RGB = np.float32(color.F_FROM_LAB), np.float32(color.RGB_FROM_RELATIVE_XYZ)


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
    linear = channels_to_linear_in_gamut(tf.transpose(tf.reshape(lab, [-1, 3])))
    return tf.reshape(tf.transpose(linear), tf.shape(lab))


def channels_to_linear_in_gamut(lab: tf.Tensor) -> tf.Tensor:
    """As `lab_to_linear_in_gamut`, a channel after the other: (3, N) float32 to (3, N)."""
    linear = _multiply(TO_RGB, color.inverse_lab_curve(_multiply(TO_F, lab) + color.LAB_OFFSET))
    places = tf.where(_is_outside(linear))[:, 0]
    fitted = _reduce_chroma(tf.gather(lab, places, axis=1))
    count = tf.shape(linear, tf.int64)[1]
    in_each_channel = tf.concat([places, places + count, places + 2 * count], axis=0)
    updated = tf.tensor_scatter_nd_update(
        tf.reshape(linear, [-1]), in_each_channel[:, None], tf.reshape(fitted, [-1])
    )
    return tf.clip_by_value(tf.reshape(updated, [3, -1]), 0.0, 1.0)


def _reduce_chroma(lab) -> tf.Tensor:
    """(3, N) colours outside to (3, N) linear sRGB on the gamut's boundary."""
    # CIELAB's f is linear in the factor on chroma.
    gray = TO_F[:, :1] * lab[0] + color.LAB_OFFSET
    chroma = _multiply(TO_F[:, 1:], lab[1:])

    def linear(factor):
        return _multiply(TO_RGB, color.inverse_lab_curve(gray + factor * chroma))

    def halve(inside, step):
        fits = ~_is_outside(linear(inside + step))
        return inside + step * tf.cast(fits, tf.float32), step / 2

    # A loop of the graph: unrolled, ten times the ops keep the first photograph waiting.
    start = (tf.zeros_like(lab[0]), tf.constant(0.5))
    inside, _ = tf.while_loop(lambda *_: True, halve, start, maximum_iterations=HALVINGS)
    return linear(inside)


def _multiply(matrix, channels) -> tf.Tensor:
    with tf.device("/CPU:0"):  # a GPU may do it in less than float32
        return tf.matmul(matrix, channels)


def _is_outside(linear) -> tf.Tensor:
    """(3, N) linear sRGB to (N,) bool."""
    return tf.reduce_max(tf.abs(linear - 0.5), axis=0) > 0.5 + TOLERANCE
