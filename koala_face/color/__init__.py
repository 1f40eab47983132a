"""CIE L*a*b* colour (Section II.A), in TensorFlow ops.

sRGB (IEC 61966-2-1) to CIELAB (CIE 15) and back, under illuminant D65 and the
2 degree observer. Every function takes tensors or arrays of any leading shape,
and works alike eagerly, in a `tf.function` and inside `tf.data`.

The conversions are `tf.function`s within: eager ops would take twice the time. `standards` has
the curves and matrices that they are made of, `luminance` L* of arrays from tables.

The network never sees L, a, b in their own units: `scale_luminance`,
`scale_ab` and their inverses are the one place that knows how they are scaled.
"""

import numpy as np
import tensorflow as tf

from koala_face.color.standards import (
    F_FROM_LAB,
    LAB_FROM_F,
    LAB_OFFSET,
    RELATIVE_XYZ_FROM_RGB,
    RGB_FROM_RELATIVE_XYZ,
    XYZ_FROM_RGB,
    as_srgb,
    decode_srgb,
    encode_srgb,
    inverse_lab_curve,
    lab_curve,
)

# L* runs from 0 (black) to 100 (diffuse white); CIE 15.
LUMINANCE_SCALE = 100.0
# Every a*, b* of sRGB lies in [-107.9, 98.3], inside the +-128 of the tanh output.
AB_SCALE = 128.0

# TensorFlow multiplies rows of 8 pixels by a matrix four times faster than rows of one,
# though the matrix repeats along a diagonal of zeros.
PIXELS_IN_A_ROW = 8

# One graph for any size, after the second.
_graph = tf.function(autograph=False, reduce_retracing=True)


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


@_graph
def _rgb_to_lab(rgb):
    return _from_rows(_times(_lab_curve_of_rgb(rgb), LAB_FROM_F), rgb)


@_graph
def _rgb_to_luminance_and_ab(rgb):
    f = _lab_curve_of_rgb(rgb)
    return _from_rows(_times(f, LAB_FROM_F[:1]), rgb), _from_rows(_times(f, LAB_FROM_F[1:]), rgb)


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
