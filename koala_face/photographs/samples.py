"""The samples of a decoded file, told apart into colour and alpha, at 8 or 16 bits.

Colour is (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK where 0 is no ink; alpha is
(H, W) or None. Both are uint8 or uint16 over the whole range of the type.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

# Pillow's rarer modes, and the one that loses nothing.
PLAIN_MODES = {"1": "L", "La": "LA", "RGBa": "RGBA"}


class Samples(NamedTuple):
    """Colour and alpha as above, and notes on how they were scaled."""

    color: np.ndarray
    alpha: np.ndarray | None = None
    notes: Sequence[str] = ()


def samples_of_image(image: Image.Image, depth: int = 8) -> Samples:
    """Take a loaded Pillow image apart.

    Args:
        depth: bits per sample in the file, in which a PNG states its transparent gray.
    """
    key = image.info.get("transparency")
    if image.mode == "F":
        samples, notes = scale_to_sixteen_bit(np.asarray(image), 32)
        return Samples(samples, None, notes)
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow scales such files to 16 bits, in 32-bit integers.
        return Samples(np.clip(np.asarray(image), 0, 65535).astype(np.uint16))
    if image.mode in ("P", "PA"):
        clear = key is not None or image.mode == "PA" or image.palette.mode == "RGBA"
        image = image.convert("RGBA" if clear else "RGB")
        key = None
    mode = PLAIN_MODES.get(image.mode, image.mode)
    if mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        mode = "RGB"
    samples = np.array(image if mode == image.mode else image.convert(mode))
    if mode in ("LA", "RGBA"):
        return split_alpha(samples)
    if key is None or mode == "CMYK":
        return Samples(samples)
    return Samples(samples, key_to_alpha(samples, np.asarray(key) * 255 // (2**depth - 1)))


def scale_to_sixteen_bit(samples: np.ndarray, bits: int) -> tuple[np.ndarray, list[str]]:
    """Scale any unsigned or float samples to uint16 in 0-65535; gives notes as well.

    Floats are taken as gamma-encoded, 0-1; if they pass 2, as 0-255 or 0-65535, and what
    lies outside is clipped. Signed integers count from 0 up.
    """
    kind = samples.dtype.kind
    if kind == "u" and bits == 16:
        return samples.astype(np.uint16), []
    if kind in "ui":
        largest = 2**bits - 1 if kind == "u" else 2 ** (bits - 1) - 1
        scaled = np.clip(samples, 0, largest) * (65535.0 / largest)
        return np.round(scaled).astype(np.uint16), [
            f"its {bits}-bit samples were scaled to 16 bits"
        ]
    if kind != "f":
        raise ValueError(f"samples of type {samples.dtype}")
    samples = np.nan_to_num(samples.astype(np.float32), nan=0.0)
    largest = next((top for top in (1.0, 255.0, 65535.0) if samples.max() <= max(top, 2.0)), None)
    if largest is None:
        raise ValueError(f"float samples up to {samples.max():g}; expected 0-1, 0-255 or 0-65535")
    scaled = np.clip(samples / largest, 0.0, 1.0) * 65535.0
    note = f"its float samples were read as 0-{largest:g} and scaled to 16 bits"
    return np.round(scaled).astype(np.uint16), [note]


def split_alpha(samples: np.ndarray) -> Samples:
    """(H, W, 2) or (H, W, 4) to gray or RGB and the alpha behind it."""
    color = samples[..., 0] if samples.shape[2] == 2 else samples[..., :3]
    return Samples(np.ascontiguousarray(color), np.ascontiguousarray(samples[..., -1]))


def key_to_alpha(samples: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Alpha of a picture in which one gray or one colour is transparent."""
    clear = samples == key
    if samples.ndim == 3:
        clear = clear.all(axis=-1)
    return np.where(clear, 0, np.iinfo(samples.dtype).max).astype(samples.dtype)


def divide_by_alpha(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo premultiplication, of 16 bits."""
    opacity = np.maximum(alpha, 1).astype(np.float32) / 65535.0
    opacity = opacity if color.ndim == 2 else opacity[..., None]
    return np.round(np.clip(color / opacity, 0, 65535)).astype(np.uint16)
