"""CIE L*a*b* colour (Section II.A), in TensorFlow ops.

sRGB (IEC 61966-2-1) to CIELAB (CIE 15) and back, under illuminant D65 and the
2 degree observer. Every function takes tensors or arrays of any leading shape,
and works alike eagerly, in a `tf.function` and inside `tf.data`.

The network never sees L, a, b in their own units: `scale_luminance`,
`scale_ab` and their inverses are the one place that knows how they are scaled.
"""

import numpy as np
import tensorflow as tf

# L* runs from 0 (black) to 100 (diffuse white); CIE 15.
LUMINANCE_SCALE = 100.0
# Every a*, b* of sRGB lies in [-107.9, 98.3], inside the +-128 of the tanh output.
AB_SCALE = 128.0

# Linear sRGB to XYZ and the white point of D65 for the 2 degree observer
# (ITU-R BT.709 primaries, ASTM E308), to the digits that scikit-image uses.
XYZ_FROM_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
RGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_RGB)
D65_WHITE = np.array([0.95047, 1.0, 1.08883])

# CIE 15: f(t) is the cube root above (6/29)^3 and a line through f(0) = 16/116 below.
LAB_THRESHOLD = 0.008856
LAB_SLOPE = 7.787
LAB_OFFSET = 16.0 / 116.0
LAB_THRESHOLD_ROOT = 0.2068966


def rgb_to_lab(rgb) -> tf.Tensor:
    """Convert sRGB to CIELAB.

    Args:
        rgb: (..., 3), uint8 in 0-255 or float in 0-1, gamma-encoded sRGB.

    Returns:
        (..., 3) float32: L* in 0-100, a* and b* in about -108 to 98.

    Raises:
        TypeError: for integers other than uint8, whose range is unknown.
    """
    return xyz_to_lab(linear_to_xyz(decode_srgb(as_unit_float(rgb))))


def lab_to_rgb(lab) -> tf.Tensor:
    """Convert CIELAB to sRGB; colours outside sRGB are clipped by channel.

    Args:
        lab: (..., 3) float: L* in 0-100, a*, b*.

    Returns:
        (..., 3) float32 in 0-1, gamma-encoded sRGB.
    """
    return encode_srgb(tf.clip_by_value(lab_to_linear(lab), 0.0, 1.0))


def lab_to_linear(lab) -> tf.Tensor:
    """Convert CIELAB to linear sRGB, unclipped: outside 0-1 lies outside the gamut."""
    return xyz_to_linear(lab_to_xyz(tf.cast(lab, tf.float32)))


def to_uint8(rgb) -> tf.Tensor:
    """Round sRGB in 0-1 to uint8 in 0-255; values outside are clipped."""
    return tf.cast(tf.round(tf.clip_by_value(rgb, 0.0, 1.0) * 255.0), tf.uint8)


def luminance_to_gray(luminance) -> tf.Tensor:
    """Give the neutral sRGB gray of L*: (...) float in 0-100 to (...) float32 in 0-1."""
    f = (tf.cast(luminance, tf.float32) + 16.0) / 116.0
    return encode_srgb(tf.clip_by_value(_inverse_lab_curve(f), 0.0, 1.0))


def rgb_to_gray(rgb) -> tf.Tensor:
    """Give the neutral sRGB gray that has each pixel's L*.

    L* depends on the relative luminance Y alone and a neutral gray has Y in all
    three linear channels, so the gray of a pixel is its Y, encoded.

    Args:
        rgb: (..., 3), uint8 in 0-255 or float in 0-1, sRGB.

    Returns:
        (...) float32 in 0-1, one channel.
    """
    linear = decode_srgb(as_unit_float(rgb))
    return encode_srgb(_weighted_sum(tf.unstack(linear, axis=-1), XYZ_FROM_RGB[1]))


def scale_luminance(luminance) -> tf.Tensor:
    """L* in 0-100 to the network's 0-1."""
    return luminance / LUMINANCE_SCALE


def unscale_luminance(scaled) -> tf.Tensor:
    """The network's 0-1 to L* in 0-100."""
    return scaled * LUMINANCE_SCALE


def scale_ab(ab) -> tf.Tensor:
    """a*, b* to the network's -1 to 1."""
    return ab / AB_SCALE


def unscale_ab(scaled) -> tf.Tensor:
    """The network's -1 to 1 to a*, b*."""
    return scaled * AB_SCALE


def as_unit_float(rgb) -> tf.Tensor:
    """uint8 in 0-255 or float in 0-1 to float32 in 0-1."""
    rgb = tf.convert_to_tensor(rgb)
    if rgb.dtype == tf.uint8:
        return tf.cast(rgb, tf.float32) / 255.0
    if not rgb.dtype.is_floating:
        raise TypeError(
            f"Expected sRGB as uint8 in 0-255 or as float in 0-1. Received: {rgb.dtype.name}. "
            "Divide by the largest value of your format first."
        )
    return tf.cast(rgb, tf.float32)


def decode_srgb(encoded) -> tf.Tensor:
    """Gamma-encoded sRGB to linear light, both 0-1 (IEC 61966-2-1)."""
    return tf.where(encoded > 0.04045, _power((encoded + 0.055) / 1.055, 2.4), encoded / 12.92)


def encode_srgb(linear) -> tf.Tensor:
    """Linear light to gamma-encoded sRGB, both 0-1 (IEC 61966-2-1)."""
    return tf.where(linear > 0.0031308, 1.055 * _power(linear, 1.0 / 2.4) - 0.055, linear * 12.92)


def linear_to_xyz(linear) -> tf.Tensor:
    """Linear sRGB to XYZ, Y = 1 for white."""
    return _mix(linear, XYZ_FROM_RGB)


def xyz_to_linear(xyz) -> tf.Tensor:
    """XYZ to linear sRGB."""
    return _mix(xyz, RGB_FROM_XYZ)


def xyz_to_lab(xyz) -> tf.Tensor:
    """XYZ to CIELAB, D65."""
    t = xyz / D65_WHITE.astype("float32")
    f = tf.where(t > LAB_THRESHOLD, _power(t, 1.0 / 3.0), LAB_SLOPE * t + LAB_OFFSET)
    x, y, z = tf.unstack(f, axis=-1)
    return tf.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def lab_to_xyz(lab) -> tf.Tensor:
    """CIELAB to XYZ, D65."""
    luminance, a, b = tf.unstack(lab, axis=-1)
    y = (luminance + 16.0) / 116.0
    f = tf.stack([y + a / 500.0, y, y - b / 200.0], axis=-1)
    return _inverse_lab_curve(f) * D65_WHITE.astype("float32")


def _inverse_lab_curve(f) -> tf.Tensor:
    return tf.where(f > LAB_THRESHOLD_ROOT, f * f * f, (f - LAB_OFFSET) / LAB_SLOPE)


def _power(base, exponent: float) -> tf.Tensor:
    """`base ** exponent` for base >= 0; exp and log are vectorised, `tf.pow` is not."""
    return tf.exp(tf.math.log(tf.maximum(base, 1e-12)) * exponent)


def _mix(channels, matrix: np.ndarray) -> tf.Tensor:
    """Multiply the last axis by a 3x3 matrix, as sums: far quicker than an N x 3 product."""
    parts = tf.unstack(channels, axis=-1)
    return tf.stack([_weighted_sum(parts, row) for row in matrix], axis=-1)


def _weighted_sum(channels, weights) -> tf.Tensor:
    red, green, blue = channels
    return red * weights[0] + green * weights[1] + blue * weights[2]
