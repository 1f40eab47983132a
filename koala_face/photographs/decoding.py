"""Decode a photograph file of any common format, keeping what colorizing gives back.

Pillow decodes files of 8 bits a sample; `deep_samples` those of more, which Pillow would cut.
"""

import contextlib
import functools
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs import png
from koala_face.photographs.deep_samples import deep_samples, is_deep_tiff, samples_of_tiff
from koala_face.photographs.metadata import Metadata, from_pillow, from_tiff, keep_description
from koala_face.photographs.profiles import convert_to_srgb
from koala_face.photographs.samples import Samples, samples_of_image

# Decoders of photographs; Pillow has others that run foreign programs (EPS) or draw vectors.
FORMATS = tuple("JPEG MPO PNG TIFF WEBP BMP DIB GIF JPEG2000 AVIF PPM HEIF".split())
# Twice this number of pixels is Pillow's own limit for decompression bombs.
MAX_PIXELS = 2 * 89_478_485
MAX_CHANNELS = 5  # CMYK and alpha
NO_PIXELS = "it states a height or width of 0"

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# ISO 23008-12, annex B and 10.2: the brands of HEIC files, behind their length and "ftyp".
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class PhotographError(KoalaFaceError):
    """A photograph or a folder of them cannot be read or written; names it and says why."""


class Photograph(NamedTuple):
    """A decoded photograph: upright, in sRGB.

    pixels: (H, W) gray or (H, W, 3) RGB, uint8 or uint16, gamma-encoded sRGB.
    alpha: (H, W) of the pixels' dtype, or None for an opaque photograph.
    exif: what describes the photograph, its orientation reset; b"" for nothing.
    dpi: pixels per inch (x, y), or None.
    has_profile: whether the file said what its colours are.
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


def read_photograph(path: str | os.PathLike, shortest: int | None = None) -> Photograph:
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
        header = _read_header(path)
        with open(path, "rb") as file:
            if header.startswith(TIFF_SIGNATURES):
                decoded = _decode_tiff(file, path) or _decode(file, path, shortest)
            elif header.startswith(png.SIGNATURE):
                decoded = _decode_png(file, path, header[png.DEPTH])
            else:
                decoded = _decode(file, path, shortest)
            return make_photograph(*decoded)  # Pillow reads a TIFF's EXIF as it is asked for
    except PhotographError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotographError(_bomb(path)) from error
    except UnidentifiedImageError as error:
        raise PhotographError(_unknown(path, header)) from error
    except MemoryError as error:
        raise PhotographError(f"{path}: too large for this machine's memory.") from error
    except Exception as error:  # the decoders raise anything at all on a broken file
        reason = str(error) or type(error).__name__
        raise PhotographError(f"{path}: broken or not supported ({reason}).") from error


def count_pixels(path: str | os.PathLike) -> int:
    """Read a file's pixels from its header alone; 0 if it has none that can be read."""
    path = Path(path)
    try:
        if _read_header(path).startswith(TIFF_SIGNATURES):
            with tifffile.TiffFile(path) as file:
                return _pixels_of_page(file.pages[0])
        with Image.open(path, formats=_formats()) as image:
            return image.width * image.height
    except Exception:  # reading it whole will say what is wrong
        return 0


def _decode_tiff(file: BinaryIO, path: Path) -> tuple[Samples, Metadata, str] | None:
    """Decode a TIFF that Pillow would cut or refuse; None for others."""
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        if _pixels_of_page(page) > MAX_PIXELS or page.size > MAX_PIXELS * MAX_CHANNELS:
            raise PhotographError(_bomb(path))
        if not _pixels_of_page(page):
            raise ValueError(NO_PIXELS)
        if not is_deep_tiff(page):
            return None
        return samples_of_tiff(page, path), from_tiff(file, page, len(tiff.pages)), "TIFF"


def _decode_png(file: BinaryIO, path: Path, depth: int) -> tuple[Samples, Metadata, str]:
    profile, notes = png.color_profile(file)
    try:
        samples, metadata, name = _decode(file, path, None, depth)
    except ValueError:  # Pillow refuses a text or profile of more than 1 MiB
        file.seek(0)
        lighter = io.BytesIO(png.without_texts(file.read()))
        samples, metadata, name = _decode(lighter, path, None, depth)
    notes = (*metadata.notes, *notes)
    return samples, metadata._replace(profile=profile, notes=notes), name


def _decode(
    file: BinaryIO, path: Path, shortest: int | None, depth: int = 8
) -> tuple[Samples, Metadata, str]:
    """Decode what Pillow opens.

    By an open file: of a path Pillow may map the samples into memory, which garbles rotated TIFF.
    """
    file.seek(0)
    with Image.open(file, formats=_formats()) as image:
        name = "JPEG" if image.format == "MPO" else image.format
        samples = deep_samples(image, path, depth)
        if samples is not None:
            if samples.color.shape[:2] != (image.height, image.width):
                raise ValueError(f"{samples.color.shape} samples in {image.width}x{image.height}")
            return samples, from_pillow(image), name
        _reduce_scale(image, shortest)
        image.load()
        metadata = from_pillow(image)
        return samples_of_image(image, depth), metadata, name


def make_photograph(samples: Samples, metadata: Metadata, name: str = "") -> Photograph:
    """Bring samples to sRGB, upright; `name` is that of the file's format."""
    if not samples.color.size:
        raise ValueError(NO_PIXELS)
    pixels, profile_notes = convert_to_srgb(samples.color, metadata.profile)
    turn, alpha, dpi = metadata.orientation, samples.alpha, metadata.dpi
    return Photograph(
        pixels=turn_upright(pixels, turn),
        alpha=None if alpha is None else turn_upright(alpha, turn),
        exif=keep_description(metadata.exif),
        dpi=dpi[::-1] if dpi and turn in (5, 6, 7, 8) else dpi,
        has_profile=bool(metadata.profile),
        format=name,
        notes=(*metadata.notes, *samples.notes, *profile_notes),
    )


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
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


def _pixels_of_page(page: tifffile.TiffPage) -> int:
    return page.imagewidth * page.imagelength * page.imagedepth


def _read_header(path: Path) -> bytes:
    """The first bytes of a regular file: a pipe or a device would keep the reader waiting."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PhotographError(f"{path}: is no file.")
        with open(path, "rb") as file:
            header = file.read(32)
    except FileNotFoundError as error:
        raise PhotographError(f"{path}: does not exist.") from error
    except OSError as error:
        raise PhotographError(f"{path}: cannot be opened, {error.strerror}.") from error
    if not header:
        raise PhotographError(f"{path}: the file is empty, 0 bytes.")
    return header


def _formats() -> list[str]:
    """Of `FORMATS` those that this Pillow has, with HEIC if pillow-heif is installed."""
    _load_decoders()
    return [name for name in FORMATS if name in Image.OPEN]


@functools.lru_cache
def _load_decoders() -> None:
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)


def _unknown(path: Path, header: bytes) -> str:
    known = _formats()
    if header[4:8] == b"ftyp" and header[8:12] in HEIF_BRANDS and "HEIF" not in known:
        return (
            f"{path}: HEIC photographs need pillow-heif. Install it with "
            "pip install pillow-heif, or convert the photograph to JPEG first."
        )
    names = ", ".join(name for name in known if name not in ("MPO", "DIB"))
    return f"{path}: not a photograph in a known format ({names})."


def _bomb(path: Path) -> str:
    return (
        f"{path}: refused as a decompression bomb, more than {MAX_PIXELS:,} pixels. "
        "If the file is honest, make it smaller first."
    )
