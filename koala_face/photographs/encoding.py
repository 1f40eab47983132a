"""Encode a photograph: 16 bits where the format can, with alpha, EXIF, profile and resolution.

A file is written beside its place under a hidden name and then renamed, so that no half-written
photograph ever bears a photograph's name.
"""

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from koala_face.foundation.files import replacing
from koala_face.photographs.decoding import Photograph, PhotographError
from koala_face.photographs.png import encode_png
from koala_face.photographs.profiles import srgb_profile
from koala_face.photographs.reading import as_eight_bit, over_white
from koala_face.photographs.tiff import encode_tiff

# JFIF and EXIF: one APP1 segment holds at most this many bytes of EXIF after its head.
JPEG_EXIF_LIMIT = 65_527


class OutputFormat(NamedTuple):
    """What a format of the output can hold; `longest_side` in pixels."""

    name: str
    suffix: str
    sixteen_bit: bool
    alpha: bool
    longest_side: int


OUTPUT_FORMATS = {
    "jpeg": OutputFormat("jpeg", ".jpg", False, False, 65_500),
    "png": OutputFormat("png", ".png", True, True, 2**31 - 1),
    "tiff": OutputFormat("tiff", ".tif", True, True, 2**31 - 1),
    "webp": OutputFormat("webp", ".webp", False, True, 16_383),
}
# The suffixes under which a photograph keeps its name in its own format.
OWN_SUFFIXES = {
    "jpeg": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "png": {".png"},
    "tiff": {".tif", ".tiff"},
    "webp": {".webp"},
}


def format_of_suffix(suffix: str) -> str | None:
    """Name the output format of a file's suffix; None for one that is not written."""
    return next((name for name, own in OWN_SUFFIXES.items() if suffix.lower() in own), None)


def write_photograph(
    path: str | os.PathLike, photograph: Photograph, name: str, quality: int = 95
) -> list[str]:
    """Write a photograph to `path`, whatever the path's suffix, and say what was lost.

    Args:
        photograph: its `format` is not read; pixels (H, W) or (H, W, 3), uint8 or uint16.
        name: of the format, a key of OUTPUT_FORMATS.
        quality: of JPEG and WebP, 1 to 100.

    Returns:
        Notes on what the format cannot hold.

    Raises:
        PhotographError: names the file and says why it cannot be written.
    """
    path = Path(path)
    form = OUTPUT_FORMATS[name]
    height, width = photograph.pixels.shape[:2]
    if max(height, width) > form.longest_side:
        raise PhotographError(
            f"{path}: {width}x{height} pixels do not fit into {name}, whose sides end at "
            f"{form.longest_side:,}. Write it with --format png or tiff."
        )
    photograph, notes = fit_to_format(photograph, form)
    try:
        data = _encode(photograph, name, quality)
    except MemoryError as error:
        raise PhotographError(f"{path}: too large for this machine's memory.") from error
    except Exception as error:  # the encoders raise anything at all
        reason = str(error) or type(error).__name__
        raise PhotographError(f"{path}: cannot be encoded as {name} ({reason}).") from error
    write_whole(path, data)
    return notes


def fit_to_format(photograph: Photograph, form: OutputFormat) -> tuple[Photograph, list[str]]:
    """Give up what the format cannot hold; gives the photograph and notes."""
    notes = []
    if photograph.pixels.dtype != np.uint8 and not form.sixteen_bit:
        notes.append(f"{form.name} holds 8 of its 16 bits")
        alpha = None if photograph.alpha is None else as_eight_bit(photograph.alpha)
        photograph = photograph._replace(pixels=as_eight_bit(photograph.pixels), alpha=alpha)
    if photograph.alpha is not None and not form.alpha:
        notes.append(f"{form.name} holds no transparency, so it lies over white")
        pixels = over_white(photograph.pixels, photograph.alpha)
        photograph = photograph._replace(pixels=pixels, alpha=None)
    if form.name == "jpeg" and len(photograph.exif) > JPEG_EXIF_LIMIT:
        notes.append(f"jpeg holds no EXIF of {len(photograph.exif):,} bytes")
        photograph = photograph._replace(exif=b"")
    return photograph, notes


def with_alpha(photograph: Photograph) -> np.ndarray:
    """(H, W), or (H, W, 2), (H, W, 3) and (H, W, 4) where alpha lies behind the colour."""
    pixels = photograph.pixels
    if photograph.alpha is None:
        return np.ascontiguousarray(pixels)
    return np.dstack([pixels, photograph.alpha])


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and the folders to it, whole or not at all.

    Raises:
        PhotographError: names the path and the system's reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise PhotographError(f"{path}: cannot be written, {error.strerror or error}.") from error


def _encode(photograph: Photograph, name: str, quality: int) -> bytes:
    if name == "tiff":
        return encode_tiff(photograph)
    if name == "png":
        about = (photograph.exif, photograph.dpi, photograph.has_profile)
        return encode_png(with_alpha(photograph), *about)
    options = {"quality": quality}
    if name == "jpeg":
        # Full chroma resolution, so that colours do not bleed over the edges again.
        options.update(subsampling=0, optimize=True)
        if photograph.dpi:
            options["dpi"] = tuple(min(max(round(dpi), 1), 65_535) for dpi in photograph.dpi)
    if photograph.has_profile:
        options["icc_profile"] = srgb_profile()
    if photograph.exif:
        options["exif"] = photograph.exif
    image = Image.fromarray(with_alpha(photograph))
    try:
        return _save(image, name, options)
    except OSError:
        # To optimize a JPEG, Pillow holds it whole, in too few bytes for one full of noise.
        return _save(image, name, options | {"optimize": False})


def _save(image: Image.Image, name: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name.upper(), **options)
    return buffer.getvalue()
