"""Colour a photograph at its own size and depth from the network's small ab.

The photograph keeps its own L*: only a* and b* come from the network. Work goes by tiles,
on all cores, so that memory does not grow with the photograph beyond its own pixels.
"""

import functools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import DTypeLike

from koala_face import color
from koala_face.color import encode_srgb
from koala_face.color.luminance import gray_to_luminance, rgb_to_luminance
from koala_face.colorizer.gamut import Convert, convert_in_gamut
from koala_face.colorizer.threads import tile_threads
from koala_face.colorizer.upsampling import EDGE_AWARE, Upsampler
from koala_face.photographs.reading import as_eight_bit

# Pixels of a tile: small enough for the processor's caches, large enough for few calls.
TILE_PIXELS = 2**18
TILE_WIDTH = 2**13


def gray_version(pixels: np.ndarray, dtype: DTypeLike = np.uint8) -> np.ndarray:
    """The neutral gray of each pixel's L*, (H, W), of the `dtype` uint8 or that of `pixels`.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16, sRGB.
    """
    dtype = np.dtype(dtype)
    if pixels.ndim == 2:
        return pixels if pixels.dtype == dtype else as_eight_bit(pixels)
    gray = np.empty(pixels.shape[:2], dtype)
    for rows, columns in tiles(*pixels.shape[:2]):
        encoded = _gray_tile(_as_unit_float(pixels[rows, columns])).numpy()
        gray[rows, columns] = np.round(encoded * np.float32(np.iinfo(dtype).max))
    return gray


def luminance_of(pixels: np.ndarray) -> np.ndarray:
    """L* in 0-100 of (H, W) or (H, W, 3) sRGB pixels, uint8 or uint16: (H, W) float32."""
    if pixels.ndim == 2:
        return gray_to_luminance(pixels)
    red, *others = np.moveaxis(pixels, -1, 0)
    if all(np.array_equal(red, other) for other in others):  # as scans of gray prints mostly are
        return gray_to_luminance(red)
    return rgb_to_luminance(pixels)


def color_pixels(
    pixels: np.ndarray,
    luminance: np.ndarray,
    ab: np.ndarray,
    upsampling: str = EDGE_AWARE,
    saturation: float = 1.0,
    dtype: DTypeLike = None,
) -> np.ndarray:
    """Give a photograph the predicted ab, at its own size, with its own luminance.

    Args:
        pixels: (H, W) gray or (H, W, 3) RGB, uint8 or uint16, sRGB.
        luminance: (h, w) float32, L* in 0-100 of the photograph reduced to the size of `ab`.
        ab: (h, w, 2) float32, predicted a*, b*.
        upsampling: "edge-aware" or "plain", see `upsampling`.
        saturation: factor on a* and b*.
        dtype: of the result, uint8 or uint16; without it that of `pixels`.

    Returns:
        (H, W, 3) sRGB; colours outside the gamut have less chroma, not another L* or hue.
    """
    height, width = pixels.shape[:2]
    dtype = np.dtype(dtype or pixels.dtype)
    upsampler = Upsampler(saturation * ab, luminance, height, width, upsampling)
    encode = _tile_encoder(dtype.name)
    colored = np.empty((height, width, 3), dtype)

    def color_tile(part: tuple[slice, slice]) -> None:
        own = luminance_of(pixels[part])
        lab = np.concatenate([own[None], upsampler.tile(own, *part)])
        channels = encode(lab.reshape(3, -1)).reshape(lab.shape)
        np.stack(channels, axis=-1, out=colored[part])

    parts = list(tiles(height, width))
    run = tile_threads().map if len(parts) > 1 else map
    for _ in run(color_tile, parts):
        pass
    return colored


def tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Slices of rows and columns that cover a photograph, column by column of tiles."""
    columns = min(width, TILE_WIDTH)
    rows = max(1, TILE_PIXELS // columns)
    for left in range(0, width, columns):
        for top in range(0, height, rows):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))


def _as_unit_float(tile) -> np.ndarray:
    return tile / np.float32(np.iinfo(tile.dtype).max)


@tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None, 3), tf.float32)])
def _gray_tile(rgb):
    return color.rgb_to_gray(rgb)


@functools.lru_cache
def _tile_encoder(dtype: str) -> Convert:
    """(3, N) float32 CIELAB to (3, N) sRGB of the type."""

    def encode(linear):
        levels = encode_srgb(linear) * float(np.iinfo(dtype).max)
        return tf.cast(tf.round(levels), tf.as_dtype(dtype))

    return convert_in_gamut(encode)
