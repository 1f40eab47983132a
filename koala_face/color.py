"""CIE L*a*b* colour (Section II.A), in TensorFlow ops.

sRGB (IEC 61966-2-1) to CIELAB (CIE 15) and back, under illuminant D65 and the
2 degree observer. Every function takes tensors or arrays of any leading shape,
and works alike eagerly, in a `tf.function` and inside `tf.data`.

The conversions are `tf.function`s within: eager ops would take twice the time. The curves of
both standards, powers with a line near zero, stand below them.

The network never sees L, a, b in their own units: `scale_luminance`,
`scale_ab` and their inverses are the one place that knows how they are scaled.
"""

import functools

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

# L* runs from 0 (black) to 100 (diffuse white); CIE 15.
LUMINANCE_SCALE = 100.0
# Every a*, b* of sRGB lies in [-107.9, 98.3], inside the +-128 of the tanh output.
AB_SCALE = 128.0

# Float sRGB may overshoot 0-1 a little where it was resized; values of 0-255 are another unit.
LARGEST_FLOAT = 2.0

# TensorFlow multiplies rows of 8 pixels by a matrix four times faster than rows of one,
# though the matrix repeats along a diagonal of zeros.
PIXELS_IN_A_ROW = 8

# One graph for any size, after the second.
_graph = tf.function(autograph=False, reduce_retracing=True)

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


def rgb_to_lab(rgb: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Convert sRGB to CIELAB.

    Args:
        rgb: (..., 3), uint8 in 0-255 or float in 0-1, gamma-encoded sRGB.

    Returns:
        (..., 3) float32: L* in 0-100, a* and b* in about -108 to 98.

    Raises:
        TypeError, ValueError: for integers other than uint8 and for floats beyond 0-1, whose
            range is unknown.
    """
    return _rgb_to_lab(as_srgb(rgb))


def rgb_to_luminance_and_ab(rgb: np.ndarray | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `rgb_to_lab`, in less time than that and cutting it: L* (..., 1) and a*, b* (..., 2)."""
    return _rgb_to_luminance_and_ab(as_srgb(rgb))


def rgb_to_luminance(rgb: np.ndarray) -> np.ndarray:
    """L* in 0-100 alone, of the relative luminance Y alone, in a fifth of the time.

    Args:
        rgb: (..., 3) array, uint8 or uint16, gamma-encoded sRGB.

    Returns:
        (...) float32, as `rgb_to_lab` gives it.
    """
    red, green, blue = _shares_of_luminance(np.dtype(rgb.dtype).name)
    relative = red[rgb[..., 0]]
    relative += green[rgb[..., 1]]
    relative += blue[rgb[..., 2]]
    return _relative_to_luminance(relative).numpy()


def lab_to_rgb(lab: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Convert CIELAB to sRGB; colours outside sRGB are clipped by channel.

    Args:
        lab: (..., 3) float: L* in 0-100, a*, b*.

    Returns:
        (..., 3) float32 in 0-1, gamma-encoded sRGB.
    """
    return _lab_to_rgb(tf.cast(lab, tf.float32))


def lab_to_linear(lab: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Convert CIELAB to linear sRGB, unclipped: outside 0-1 lies outside the gamut."""
    lab = tf.cast(lab, tf.float32)
    return _from_rows(_linear_of_lab(_to_rows(lab)), lab)


def scaled_lab_to_rgb(luminance: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """As `lab_to_rgb`, of what the network sees and gives; for a loss that XLA compiles.

    Plain ops of the shapes that come in: gradients flow, but a graph of it takes more time.

    Args:
        luminance: (..., 1) float32, L*/100.
        ab: (..., 2) float32, a*/128 and b*/128.

    Returns:
        (..., 3) float32 in 0-1, gamma-encoded sRGB.
    """
    lab = (unscale_luminance(luminance[..., 0]), *tf.unstack(unscale_ab(ab), axis=-1))
    xyz = [inverse_lab_curve(f + LAB_OFFSET) for f in _weighted_sums(F_FROM_LAB, lab)]
    return encode_srgb(tf.stack(_weighted_sums(RGB_FROM_RELATIVE_XYZ, xyz), axis=-1))


def to_uint8(rgb: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Round sRGB in 0-1 to uint8 in 0-255; values outside are clipped."""
    return tf.cast(tf.round(tf.clip_by_value(rgb, 0.0, 1.0) * 255.0), tf.uint8)


def luminance_to_gray(luminance: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Give the neutral sRGB gray of L*: (...) float in 0-100 to (...) float32 in 0-1."""
    return _luminance_to_gray(tf.cast(luminance, tf.float32))


def rgb_to_gray(rgb: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Give the neutral sRGB gray that has each pixel's L*.

    L* depends on the relative luminance Y alone and a neutral gray has Y in all
    three linear channels, so the gray of a pixel is its Y, encoded.

    Args:
        rgb: (..., 3), uint8 in 0-255 or float in 0-1, sRGB.

    Returns:
        (...) float32 in 0-1, one channel.
    """
    return _rgb_to_gray(as_srgb(rgb))


def gray_to_luminance(gray: np.ndarray) -> np.ndarray:
    """Neutral sRGB gray, an array of uint8 or uint16 of any shape, to float32 L* in 0-100."""
    return _luminance_table(np.dtype(gray.dtype).name)[gray]


def scale_luminance(luminance: np.ndarray | tf.Tensor) -> tf.Tensor:
    """L* in 0-100 to the network's 0-1."""
    return luminance / LUMINANCE_SCALE


def unscale_luminance(scaled: np.ndarray | tf.Tensor) -> tf.Tensor:
    """The network's 0-1 to L* in 0-100."""
    return scaled * LUMINANCE_SCALE


def scale_ab(ab: np.ndarray | tf.Tensor) -> tf.Tensor:
    """a*, b* to the network's -1 to 1."""
    return ab / AB_SCALE


def unscale_ab(scaled: np.ndarray | tf.Tensor) -> tf.Tensor:
    """The network's -1 to 1 to a*, b*."""
    return scaled * AB_SCALE


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


@functools.lru_cache
def _luminance_table(dtype: str) -> np.ndarray:
    """L* of every gray of the type."""
    return rgb_to_lab(np.stack([_levels(dtype)] * 3, axis=-1))[..., 0].numpy()


@functools.lru_cache
def _shares_of_luminance(dtype: str) -> np.ndarray:
    """What every level of R, G and B gives to Y, white being 1: (3, levels) float32."""
    linear, unit = decode_srgb(_levels(dtype))
    return np.outer(XYZ_FROM_RGB[1] / unit, linear).astype(np.float32)


def _levels(dtype: str) -> np.ndarray:
    return np.linspace(0.0, 1.0, np.iinfo(dtype).max + 1, dtype=np.float32)


@_graph
def _rgb_to_lab(rgb):
    return _from_rows(_times(_lab_curve_of_rgb(rgb), LAB_FROM_F), rgb)


@_graph
def _rgb_to_luminance_and_ab(rgb):
    f = _lab_curve_of_rgb(rgb)
    return _from_rows(_times(f, LAB_FROM_F[:1]), rgb), _from_rows(_times(f, LAB_FROM_F[1:]), rgb)


@_graph
def _relative_to_luminance(relative):
    return 116.0 * lab_curve(relative)


@_graph
def _lab_to_rgb(lab):
    return encode_srgb(lab_to_linear(lab))


@_graph
def _luminance_to_gray(luminance):
    return encode_srgb(inverse_lab_curve((luminance + 16.0) / 116.0))


@_graph
def _rgb_to_gray(rgb):
    linear, unit = decode_srgb(_to_rows(rgb))
    relative = _times(linear, XYZ_FROM_RGB[1:2] / unit)
    return _from_rows(encode_srgb(relative), rgb)[..., 0]


def _lab_curve_of_rgb(rgb) -> tf.Tensor:
    linear, unit = decode_srgb(_to_rows(rgb))
    xyz = _times(linear, RELATIVE_XYZ_FROM_RGB / unit)
    return lab_curve(xyz)


def _linear_of_lab(rows) -> tf.Tensor:
    xyz = inverse_lab_curve(_times(rows, F_FROM_LAB) + LAB_OFFSET)
    return _times(xyz, RGB_FROM_RELATIVE_XYZ)


def _weighted_sums(matrix: np.ndarray, channels) -> list[tf.Tensor]:
    """Multiply a matrix by the vector of three channels."""
    return [
        sum(float(w) * channel for w, channel in zip(row, channels, strict=True)) for row in matrix
    ]


def _to_rows(pixels) -> tf.Tensor:
    """(..., 3) to (M, 24): pixels side by side, zeros after the last."""
    # Nothing is copied where no zeros are needed, and nothing where `_from_rows` cuts them.
    flat, width = tf.reshape(pixels, [-1]), 3 * PIXELS_IN_A_ROW
    return tf.reshape(tf.pad(flat, [[0, -tf.size(flat) % width]]), [-1, width])


def _from_rows(rows, pixels) -> tf.Tensor:
    """(M, 8 C) to (..., C), of the leading shape of `pixels`, which the rows were made of."""
    channels = rows.shape[-1] // PIXELS_IN_A_ROW
    shape = tf.concat([tf.shape(pixels)[:-1], [channels]], axis=0)
    return tf.reshape(tf.reshape(rows, [-1])[: tf.reduce_prod(shape)], shape)


def _times(rows: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """Multiply each pixel by a matrix, on the CPU: a GPU may do it in less than float32."""
    wide = np.kron(np.eye(PIXELS_IN_A_ROW), matrix.T).astype("float32")
    with tf.device("/CPU:0"):
        return tf.matmul(rows, wide)
