"""The two standards: sRGB (IEC 61966-2-1) and CIELAB (CIE 15), their curves and matrices."""

import numpy as np
import tensorflow as tf

# CIE 15: f(t) is the cube root above (6/29)^3 and a line below, to scikit-image's digits.
LAB_THRESHOLD = 0.008856
LAB_SLOPE = 7.787
LAB_OFFSET = 16.0 / 116.0
LAB_THRESHOLD_ROOT = LAB_THRESHOLD ** (1.0 / 3.0)
# IEC 61966-2-1: ((encoded + 0.055) / 1.055) ^ 2.4 above 0.04045, encoded / 12.92 below.
SRGB_OFFSET = 0.055
SRGB_EXPONENT = 2.4
SRGB_SLOPE = 12.92
ENCODED_THRESHOLD = 0.04045
LINEAR_THRESHOLD = 0.0031308

# Float sRGB may overshoot 0-1 a little where it was resized; values of 0-255 are another unit.
LARGEST_FLOAT = 2.0

# Linear sRGB to XYZ and the white point of D65 for the 2 degree observer
# (ITU-R BT.709 primaries, ASTM E308), to the digits that scikit-image uses.
XYZ_FROM_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
D65_WHITE = np.array([0.95047, 1.0, 1.08883])
# CIELAB looks at X/Xn, Y/Yn, Z/Zn.
RELATIVE_XYZ_FROM_RGB = XYZ_FROM_RGB / D65_WHITE[:, None]
RGB_FROM_RELATIVE_XYZ = np.linalg.inv(RELATIVE_XYZ_FROM_RGB)

# L* = 116 f(Y) - 16, a* = 500 (f(X) - f(Y)), b* = 200 (f(Y) - f(Z)), of f less 16/116.
LAB_FROM_F = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
F_FROM_LAB = np.linalg.inv(LAB_FROM_F)


def decode_srgb(rgb: np.ndarray | tf.Tensor) -> tuple[tf.Tensor, float]:
    """Gamma-encoded sRGB, uint8 in 0-255 or float in 0-1, to linear light (IEC 61966-2-1).

    Returns the light, float32 in 0 to `unit`, and `unit`: whoever multiplies by a matrix
    next divides the matrix by it, instead of every pixel.
    """
    rgb = as_srgb(rgb)
    white = 255.0 if rgb.dtype == tf.uint8 else 1.0
    unit = (white * (1.0 + SRGB_OFFSET)) ** SRGB_EXPONENT
    light = _power_above_line(
        tf.cast(rgb, tf.float32) + white * SRGB_OFFSET,
        threshold=white * (ENCODED_THRESHOLD + SRGB_OFFSET),
        exponent=SRGB_EXPONENT,
        slope=unit / (white * SRGB_SLOPE),
    )
    return light, unit


def encode_srgb(linear: tf.Tensor) -> tf.Tensor:
    """Linear light to gamma-encoded sRGB, 0-1 and clipped to it (IEC 61966-2-1)."""
    gain = 1.0 + SRGB_OFFSET
    curve = _power_above_line(linear, LINEAR_THRESHOLD, 1.0 / SRGB_EXPONENT, SRGB_SLOPE / gain)
    return tf.clip_by_value(gain * curve - SRGB_OFFSET, 0.0, 1.0)


def lab_curve(relative: tf.Tensor) -> tf.Tensor:
    """X/Xn, Y/Yn or Z/Zn to CIELAB's f of it, less `LAB_OFFSET`: 0 for black."""
    return _power_above_line(relative, LAB_THRESHOLD, 1.0 / 3.0, LAB_SLOPE, LAB_OFFSET)


def inverse_lab_curve(f: tf.Tensor) -> tf.Tensor:
    """CIELAB's f to X/Xn, Y/Yn or Z/Zn."""
    root = tf.maximum(f, LAB_THRESHOLD_ROOT)
    line = (tf.minimum(f, LAB_THRESHOLD_ROOT) - LAB_THRESHOLD_ROOT) / LAB_SLOPE
    return root * root * root + line


def as_srgb(rgb: np.ndarray | tf.Tensor) -> tf.Tensor:
    """sRGB as a tensor, uint8 in 0-255 or float in 0-1.

    Raises:
        TypeError: for other integers.
        ValueError: for floats of another range; in a graph, which has no values yet, they pass.
    """
    rgb = tf.convert_to_tensor(rgb)
    if rgb.dtype != tf.uint8 and not rgb.dtype.is_floating:
        raise TypeError(
            f"Expected sRGB as uint8 in 0-255 or as float in 0-1. Received: {rgb.dtype.name}. "
            "Divide by the largest value of your format first."
        )
    if tf.executing_eagerly() and rgb.dtype.is_floating and tf.size(rgb):
        largest = float(tf.reduce_max(tf.abs(rgb)))
        if largest > LARGEST_FLOAT:
            raise ValueError(
                f"Expected float sRGB in 0-1. Received: values up to {largest:g}. "
                "Divide by 255 first, or pass uint8."
            )
    return rgb


def _power_above_line(t, threshold: float, exponent: float, slope: float, less: float = 0.0):
    """`t ** exponent` above `threshold`, the line of `slope` that meets it below; minus `less`.

    A difference, whose second part is `less` above the threshold, because `tf.where` costs
    more than all of it; and exp and log, because `tf.pow` is not vectorised.
    """
    above = tf.maximum(t, threshold)
    return tf.exp(tf.math.log(above) * exponent) - ((above - t) * slope + less)
