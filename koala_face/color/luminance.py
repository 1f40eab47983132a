"""L* of photographs, arrays of uint8 or uint16, from tables of all their levels."""

import functools

import numpy as np
import tensorflow as tf

from koala_face.color.standards import XYZ_FROM_RGB, decode_srgb, lab_curve


def rgb_to_luminance(rgb: np.ndarray) -> np.ndarray:
    """L* in 0-100 alone, of the relative luminance Y alone, in a fifth of the time.

    Args:
        rgb: (..., 3) array, uint8 or uint16, gamma-encoded sRGB.

    Returns:
        (...) float32, as `color.rgb_to_lab` gives it.

    Raises:
        TypeError: for other types, as `gray_to_luminance`.
    """
    red, green, blue = _shares_of_luminance(np.dtype(rgb.dtype).name)
    relative = red[rgb[..., 0]]
    relative += green[rgb[..., 1]]
    relative += blue[rgb[..., 2]]
    return _relative_to_luminance(relative).numpy()


def gray_to_luminance(gray: np.ndarray) -> np.ndarray:
    """Neutral sRGB gray, an array of uint8 or uint16 of any shape, to float32 L* in 0-100."""
    return _luminance_table(np.dtype(gray.dtype).name)[gray]


@functools.lru_cache
def _luminance_table(dtype: str) -> np.ndarray:
    """L* of every gray of the type."""
    return _relative_to_luminance(_shares_of_luminance(dtype).sum(axis=0)).numpy()


@functools.lru_cache
def _shares_of_luminance(dtype: str) -> np.ndarray:
    """What every level of R, G and B gives to Y, white being 1: (3, levels) float32."""
    if dtype not in ("uint8", "uint16"):
        raise TypeError(f"Expected sRGB as uint8 or uint16. Received: {dtype}. Convert it first.")
    levels = np.linspace(0.0, 1.0, np.iinfo(dtype).max + 1, dtype=np.float32)
    linear, unit = decode_srgb(levels)
    return np.outer(XYZ_FROM_RGB[1] / unit, linear).astype(np.float32)


# One graph for any size, after the second.
@tf.function(autograph=False, reduce_retracing=True)
def _relative_to_luminance(relative):
    return 116.0 * lab_curve(relative)
