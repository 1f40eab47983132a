"""The samples of a decoded file, told apart into colour and alpha, at 8 or 16 bits.

Colour is (H, W) gray, (H, W, 3) RGB or (H, W, 4) CMYK where 0 is no ink; alpha is
(H, W) or None. Both are uint8 or uint16 over the whole range of the type.
"""

from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

# TIFF 6.0 and its supplements: the tags Compression, PhotometricInterpretation, ExtraSamples.
UNCOMPRESSED = 1
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATED = 0, 1, 2, 5
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, SEPARATED: 4}
PREMULTIPLIED, STRAIGHT = 1, 2
# Pillow's rarer modes, and the one that loses nothing.
PLAIN_MODES = {"1": "L", "La": "LA", "RGBa": "RGBA"}


def samples_of_image(image: Image.Image, depth: int = 8):
    """Take a loaded Pillow image apart.

    Args:
        depth: bits per sample in the file, in which a PNG states its transparent gray.
    """
    key = image.info.get("transparency")
    if image.mode == "F":
        return scale_to_sixteen_bit(np.asarray(image), 32)[0], None
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow scales such files to 16 bits, in 32-bit integers.
        return np.clip(np.asarray(image), 0, 65535).astype(np.uint16), None
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
        return samples, None
    return samples, key_to_alpha(samples, np.asarray(key) * 255 // (2**depth - 1))


def samples_of_png(data: bytes, key=None):
    """Decode a 16-bit PNG; `key` is its transparent gray or colour, if it names one."""
    samples = imagecodecs.png_decode(data)
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        return split_alpha(samples)
    samples = samples.reshape(samples.shape[:2]) if samples.shape[2:] == (1,) else samples
    return samples, None if key is None else key_to_alpha(samples, np.asarray(key))


def samples_of_tiff(page: tifffile.TiffPage, path: Path):
    """Decode the first page, of more than 8 bits a sample; gives notes on its scaling as well."""
    channels = CHANNELS.get(page.photometric)
    flat = page.ndim == (2 if page.samplesperpixel == 1 else 3)
    if channels is None or page.samplesperpixel < channels or not flat:
        raise ValueError(
            f"a TIFF of {page.bitspersample} bits a sample with photometric "
            f"{int(page.photometric)} and {page.samplesperpixel} samples a pixel"
        )
    if page.compression == UNCOMPRESSED:
        samples = page.asarray()
    else:
        # By libtiff: the decoder of LZW that tifffile takes reads beyond its memory where a file
        # is damaged (imagecodecs 2025.3.30, the last for Python 3.10).
        samples = imagecodecs.tiff_decode(path.read_bytes(), index=0)
        if samples.shape != page.shape:
            raise ValueError(f"{samples.shape} samples, expected {page.shape}")
    axes = page.axes
    if "S" in axes:
        samples = np.moveaxis(samples, axes.index("S"), -1)
    samples, notes = scale_to_sixteen_bit(samples, page.bitspersample)
    if page.photometric == WHITE_IS_ZERO:
        samples = 65535 - samples
    if samples.ndim == 2:
        return samples, None, notes
    color = samples[..., 0] if channels == 1 else samples[..., :channels]
    kinds = tuple(int(kind) for kind in page.extrasamples or ())
    alpha = None
    if kinds and kinds[0] in (PREMULTIPLIED, STRAIGHT):
        alpha = np.ascontiguousarray(samples[..., channels])
        if kinds[0] == PREMULTIPLIED:
            color = _divide_by_alpha(color, alpha)
    return np.ascontiguousarray(color), alpha, notes


def scale_to_sixteen_bit(samples, bits: int):
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


def split_alpha(samples):
    """(H, W, 2) or (H, W, 4) to gray or RGB and the alpha behind it."""
    color = samples[..., 0] if samples.shape[2] == 2 else samples[..., :3]
    return np.ascontiguousarray(color), np.ascontiguousarray(samples[..., -1])


def key_to_alpha(samples, key):
    """Alpha of a picture in which one gray or one colour is transparent."""
    clear = samples == key
    if samples.ndim == 3:
        clear = clear.all(axis=-1)
    return np.where(clear, 0, np.iinfo(samples.dtype).max).astype(samples.dtype)


def _divide_by_alpha(color, alpha):
    weight = np.maximum(alpha, 1).astype(np.float32) / 65535.0
    weight = weight if color.ndim == 2 else weight[..., None]
    return np.round(np.clip(color / weight, 0, 65535)).astype(np.uint16)
