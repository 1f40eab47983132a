"""Bring colours outside sRGB in by reducing chroma, at equal L* and hue.

Clipping the channels instead would change lightness and hue: the gray photograph's own
luminance would be lost where the colour is strong.

Colours are (3, N) here, a channel after the other: ops go through them several times faster than
through three interleaved numbers.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from koala_face import color

# Linear light that may pass 0-1 without counting as outside: less than a fifth of an
# 8-bit step at black, where sRGB is steepest (255 * 12.92 * 5e-5).
TOLERANCE = 5e-5
# Halvings of the factor on chroma: chroma ends within 130 / 2^10 = 0.13 of the boundary.
HALVINGS = 10

TO_F, TO_RGB = np.float32(color.F_FROM_LAB), np.float32(color.RGB_FROM_RELATIVE_XYZ)

Convert = Callable[[np.ndarray], np.ndarray]


def convert_in_gamut(finish: Callable[[tf.Tensor], tf.Tensor]) -> Convert:
    """Make the function of CIELAB, (3, N) float32, to linear sRGB and through `finish`, in graphs.

    a* and b* of a colour outside are multiplied by the largest factor in 0-1 that brings it
    in, found by bisection along the line to the neutral gray of the same L*.

    Args:
        finish: what becomes of (3, N) linear sRGB, element by element; what it makes of values
            beyond 0-1 is replaced.
    """
    graph = tf.function(autograph=False, input_signature=[tf.TensorSpec((3, None), tf.float32)])

    @graph
    def convert(lab):
        linear = _multiply(TO_RGB, color.inverse_lab_curve(_multiply(TO_F, lab) + color.LAB_OFFSET))
        return finish(linear), _is_outside(linear)

    @graph
    def convert_outside(lab):
        return finish(_reduce_chroma(lab))

    def convert_all(lab: np.ndarray) -> np.ndarray:
        converted, outside = convert(lab)
        converted, places = np.array(converted), np.flatnonzero(outside)
        if places.size:
            fitted = convert_outside(lab.take(places, axis=1)).numpy()
            for channel, values in zip(converted, fitted, strict=True):
                channel[places] = values
        return converted

    return convert_all


def lab_to_linear_in_gamut(lab: np.ndarray) -> np.ndarray:
    """Convert CIELAB to linear sRGB, by `convert_in_gamut`.

    Args:
        lab: (..., 3) float, L* in 0-100.

    Returns:
        (..., 3) float32 in 0-1, linear light.
    """
    channels = np.moveaxis(np.asarray(lab, np.float32), -1, 0)
    linear = _to_linear(channels.reshape(3, -1)).reshape(channels.shape)
    return np.moveaxis(linear, 0, -1)


_to_linear = convert_in_gamut(lambda linear: tf.clip_by_value(linear, 0.0, 1.0))


def _reduce_chroma(lab) -> tf.Tensor:
    """Colours outside to linear sRGB on the gamut's boundary."""
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
    """Linear sRGB to (N,) bool."""
    return tf.reduce_max(tf.abs(linear - 0.5), axis=0) > 0.5 + TOLERANCE
