"""Decode a photograph file of any common format, keeping what colorizing gives back.

Pillow decodes files of 8 bits a sample. It cuts 16-bit colour to 8 bits and knows few
float files, so those of more bits are decoded by imagecodecs (PNG) and tifffile (TIFF).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.metadata import (
    ORIENTATION,
    Metadata,
    from_pillow,
    from_tiff,
    keep_description,
)
from koala_face.photographs.profiles import convert_to_srgb
from koala_face.photographs.samples import samples_of_image, samples_of_png, samples_of_tiff

# Decoders of photographs; Pillow has others that run foreign programs (EPS) or draw vectors.
FORMATS = ("JPEG", "MPO", "PNG", "TIFF", "WEBP", "BMP", "DIB", "GIF", "JPEG2000", "AVIF", "PPM")
# Twice this number of pixels is Pillow's own limit for decompression bombs.
MAX_PIXELS = 2 * 89_478_485
MAX_CHANNELS = 5  # CMYK and alpha

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH = 24  # where a PNG file says its bits per sample
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class PhotographError(KoalaFaceError):
    """A photograph or a folder of them cannot be read or written; names it and says why."""


class Photograph(NamedTuple):
    """A decoded photograph: upright, in sRGB.

    pixels: (H, W) gray or (H, W, 3) RGB, uint8 or uint16, gamma-encoded sRGB.
    alpha: (H, W) of the pixels' dtype, or None for an opaque photograph.
    exif: what describes the photograph, its orientation reset; b"" for nothing.
    dpi: pixels per inch (x, y), or None.
    has_profile: whether the file carried a colour profile.
    format: Pillow's name of the file's format, such as "JPEG".
    notes: what was left out or converted, in words.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    exif: bytes = b""
    dpi: tuple[float, float] | None = None
    has_profile: bool = False
    format: str = ""
    notes: tuple[str, ...] = ()


def read_photograph(path, shortest: int | None = None) -> Photograph:
    """Read a photograph of any common format, at its own depth.

    Args:
        path: the file; its content says what it is, not its name.
        shortest: decode a JPEG at a reduced scale, as long as its shorter side keeps this
            many pixels; other formats are decoded whole.

    Raises:
        PhotographError: names the file and says why it cannot be read.
    """
    path = Path(path)
    try:
        return _finish(*_decode(path, shortest))
    except PhotographError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotographError(_bomb(path)) from error
    except UnidentifiedImageError as error:
        known = ", ".join(name for name in _formats() if name not in ("MPO", "DIB"))
        raise PhotographError(f"{path}: not a photograph in a known format ({known}).") from error
    except MemoryError as error:
        raise PhotographError(f"{path}: too large for this machine's memory.") from error
    except Exception as error:  # the decoders raise anything at all on a broken file
        reason = str(error) or type(error).__name__
        raise PhotographError(f"{path}: broken or not supported ({reason}).") from error


def count_pixels(path) -> int:
    """Estimate a file's pixels from its header alone; 0 if it has none that can be read."""
    try:
        with Image.open(path, formats=_formats()) as image:
            return image.width * image.height
    except UnidentifiedImageError:
        return Path(path).stat().st_size  # a rare TIFF: at least one byte a pixel
    except Exception:  # reading it whole will say what is wrong
        return 0


def _decode(path: Path, shortest):
    """Choose the decoder by the file's first bytes; give samples, alpha, metadata, format."""
    header = _read_header(path)
    if header.startswith(TIFF_SIGNATURES):
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if page.bitspersample > 8:
                if page.size > MAX_PIXELS * MAX_CHANNELS:
                    raise PhotographError(_bomb(path))
                samples, alpha, notes = samples_of_tiff(page, path)
                return samples, alpha, from_tiff(path, page, len(file.pages), notes), "TIFF"
    # By an open file: of a path Pillow may map the samples into memory, which garbles rotated TIFF.
    with open(path, "rb") as file, Image.open(file, formats=_formats()) as image:
        name = "JPEG" if image.format == "MPO" else image.format
        depth = header[PNG_DEPTH] if header.startswith(PNG_SIGNATURE) else 8
        if depth == 16:
            key = image.info.get("transparency")
            samples, alpha = samples_of_png(path.read_bytes(), key)
            return samples, alpha, from_pillow(image), name
        _reduce_scale(image, shortest)
        image.load()
        metadata = from_pillow(image)
        samples, alpha = samples_of_image(image, depth)
        return samples, alpha, metadata, name


def _finish(samples, alpha, metadata: Metadata, name: str) -> Photograph:
    pixels, profile_notes = convert_to_srgb(samples, metadata.profile)
    turn = metadata.exif.get(ORIENTATION, 1)
    dpi = metadata.dpi
    return Photograph(
        pixels=turn_upright(pixels, turn),
        alpha=None if alpha is None else turn_upright(alpha, turn),
        exif=keep_description(metadata.exif),
        dpi=dpi[::-1] if dpi and turn in (5, 6, 7, 8) else dpi,
        has_profile=bool(metadata.profile),
        format=name,
        notes=(*metadata.notes, *profile_notes),
    )


def turn_upright(pixels, orientation: int) -> np.ndarray:
    """Undo a camera's rotation: EXIF 2.32, tag Orientation, 1 to 8 (others are as 1)."""
    turned = {
        2: lambda: pixels[:, ::-1],
        3: lambda: pixels[::-1, ::-1],
        4: lambda: pixels[::-1],
        5: lambda: pixels.swapaxes(0, 1),
        6: lambda: pixels.swapaxes(0, 1)[:, ::-1],
        7: lambda: pixels.swapaxes(0, 1)[::-1, ::-1],
        8: lambda: pixels.swapaxes(0, 1)[::-1],
    }.get(orientation, lambda: pixels)()
    return np.ascontiguousarray(turned)


def _reduce_scale(image: Image.Image, shortest: int | None) -> None:
    """Let the JPEG decoder work at a half, quarter or eighth; no effect on other formats."""
    if shortest and min(image.size) > shortest:
        scale = shortest / min(image.size)
        width, height = (-int(-side * scale // 1) for side in image.size)
        image.draft(None, (width, height))


def _read_header(path: Path) -> bytes:
    if not path.is_file():
        raise PhotographError(f"{path}: " + ("is no file." if path.exists() else "does not exist."))
    try:
        with open(path, "rb") as file:
            header = file.read(32)
    except OSError as error:
        raise PhotographError(f"{path}: cannot be opened, {error.strerror}.") from error
    if not header:
        raise PhotographError(f"{path}: the file is empty, 0 bytes.")
    return header


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _bomb(path: Path) -> str:
    return (
        f"{path}: refused as a decompression bomb, more than {MAX_PIXELS:,} pixels. "
        "If the file is honest, make it smaller first."
    )
