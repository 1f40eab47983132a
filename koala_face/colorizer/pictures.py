"""What people give to be coloured, as a `Photograph`: a file, a Pillow image, an array."""

import os

import numpy as np
from PIL import Image

from koala_face.colorizer.full_size import gray_version
from koala_face.photographs.decoding import Photograph, make_photograph, read_photograph
from koala_face.photographs.metadata import from_pillow
from koala_face.photographs.reading import as_eight_bit, over_white
from koala_face.photographs.samples import (
    Samples,
    samples_of_image,
    scale_to_sixteen_bit,
    split_alpha,
)

# What can be coloured: a path, or a picture in memory.
Picture = str | os.PathLike | Image.Image | np.ndarray
# Channels of a gray photograph saved as colour differ by so little, in 8-bit steps.
GRAY_TOLERANCE = 2


def photograph_of(picture: Picture) -> Photograph:
    """Read a file, or take a Pillow image or an array with all that is kept of a photograph.

    Raises:
        PhotographError: for a file that cannot be read.
        TypeError, ValueError: for an array that is no picture.
    """
    if isinstance(picture, (str, os.PathLike)):
        return read_photograph(picture)
    if isinstance(picture, Image.Image):
        metadata = from_pillow(picture)
        return make_photograph(samples_of_image(picture), metadata)
    samples = _samples_of_array(np.asarray(picture))
    return Photograph(samples.color, samples.alpha, notes=tuple(samples.notes))


def jpeg_of(picture: Picture, photograph: Photograph) -> Picture | None:
    """The path of a photograph that was read from a JPEG file; None for all others."""
    return picture if photograph.format == "JPEG" else None


def opaque_pixels(photograph: Photograph) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 or uint16 of a photograph; what is transparent over white."""
    if photograph.alpha is None:
        return photograph.pixels
    return over_white(as_eight_bit(photograph.pixels), as_eight_bit(photograph.alpha))


def is_colored(pixels: np.ndarray) -> bool:
    """Whether a photograph is in colour already."""
    if pixels.ndim == 2:
        return False
    tolerance = GRAY_TOLERANCE * (int(np.iinfo(pixels.dtype).max) // 255)
    # By rows, so that the differences of a large photograph need no second copy of it; by whole
    # channels, a tenth of the time that NumPy takes along an axis of three.
    for red, green, blue in np.moveaxis(pixels, -1, 1):
        highest = np.maximum(np.maximum(red, green), blue)
        lowest = np.minimum(np.minimum(red, green), blue)
        if (highest - lowest).max() > tolerance:
            return True
    return False


def beside_gray(photograph: Photograph, colored: Photograph) -> Photograph:
    """The gray version of a photograph and, on its right, the coloured one."""
    gray = gray_version(photograph.pixels, photograph.pixels.dtype)
    pixels = np.concatenate([np.stack([gray] * 3, axis=-1), colored.pixels], axis=1)
    alpha = None if colored.alpha is None else np.concatenate([colored.alpha] * 2, axis=1)
    return colored._replace(pixels=pixels, alpha=alpha)


def _samples_of_array(array: np.ndarray) -> Samples:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.shape[2:] not in ((), (2,), (3,), (4,)) or array.ndim < 2 or array.size == 0:
        raise ValueError(
            "Expected a picture of shape (H, W), (H, W, 3) or with alpha, (H, W, 2), (H, W, 4). "
            f"Received: {array.shape}."
        )
    if array.dtype.kind == "f":
        array, _ = scale_to_sixteen_bit(array, 16)
    elif array.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"Expected uint8, uint16 or float in 0-1. Received: {array.dtype}.")
    return split_alpha(array) if array.shape[2:] in ((2,), (4,)) else Samples(array)
