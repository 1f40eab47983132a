"""Photographs in (Section II.B): find the files of a folder, read any of them, resize.

Training, embedding and evaluation see every file through `read_rgb`, whatever
its format, depth, rotation or colour profile. `koala_face.photographs.decoding` does the
work and keeps what colorizing has to give back (16 bits, alpha, EXIF).
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from koala_face.photographs.decoding import PhotographError, read_photograph

# Names that are taken for photographs when a folder is searched. A file that is named
# outright may have any name: its content decides.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .tif .tiff .webp .bmp .dib .gif .jp2 .avif .heic .heif "
    ".pgm .ppm .pnm".split()
)

# Rows of a 16-bit photograph that are rounded together, as 32-bit numbers.
ROWS_AT_A_TIME = 64


class Found(NamedTuple):
    """What a folder and all folders in it hold. Paths are relative to it, with "/" sorted by text.

    photographs: files whose names say so.
    passed_over: how many other files there are.
    unreadable: folders in it that cannot be listed, each with the reason.
    """

    photographs: list[Path]
    passed_over: int
    unreadable: dict[Path, str]


def find_photographs(folder: str | os.PathLike) -> list[Path]:
    """As `search_folder`, the photographs alone."""
    return search_folder(folder).photographs


def search_folder(folder: str | os.PathLike) -> Found:
    """Find the photographs of a folder and of all folders in it.

    Hidden files and folders (a name that begins with a dot) and links to folders are not
    looked at; pipes and devices are passed over, whatever their names. A link to nothing is
    listed: whoever reads it learns why.

    Raises:
        PhotographError: if the folder is missing, cannot be read or has no photograph.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        state = "is a file" if os.path.exists(folder) else "does not exist"
        raise PhotographError(
            f"Expected a folder of photographs. Received: {folder}, which {state}."
        )
    found, passed_over, unreadable = [], 0, {}

    def note_unreadable(error: OSError) -> None:
        unreadable[Path(error.filename).relative_to(folder)] = error.strerror or str(error)

    for place, folders, names in os.walk(folder, onerror=note_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and _may_be_read(path):
                found.append(path.relative_to(folder))
            else:
                passed_over += 1
    if not found:
        reasons = "".join(f" {folder / place}: {why}." for place, why in unreadable.items())
        raise PhotographError(
            f"Expected photographs in {folder}. Found: no file whose name ends in one of "
            f"{', '.join(sorted(SUFFIXES))}.{reasons}"
        )
    return Found(sorted(found, key=lambda path: path.as_posix()), passed_over, unreadable)


def _may_be_read(path: Path) -> bool:
    """False for pipes, sockets and devices, which would keep a reader waiting."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def read_rgb(path: str | os.PathLike, shortest: int | None = None) -> np.ndarray:
    """Read any photograph as 8-bit sRGB.

    EXIF rotation is applied, a colour profile is converted to sRGB, 16-bit and float
    samples are scaled (not cut), gray becomes three equal channels, and transparent parts
    lie over white. Of several pages or frames the first is taken.

    Args:
        path: the file; its content says what it is, not its name.
        shortest: the caller needs no more pixels than this on the shorter side. A large
            JPEG is then decoded at a half, quarter or eighth, others are averaged in whole
            blocks; the shorter side never falls below `shortest`.

    Returns:
        (H, W, 3) uint8, upright.

    Raises:
        PhotographError: names the file and says why it cannot be read.
    """
    photograph = read_photograph(path, shortest)
    rgb = as_eight_bit(photograph.pixels)
    if rgb.ndim == 2:
        rgb = np.stack([rgb] * 3, axis=-1)
    if photograph.alpha is not None:
        rgb = over_white(rgb, as_eight_bit(photograph.alpha))
    return reduce(rgb, shortest) if shortest else rgb


def reduce(pixels: np.ndarray, shortest: int) -> np.ndarray:
    """Average whole blocks of uint8 pixels, as long as the shorter side keeps `shortest`."""
    factor = min(pixels.shape[:2]) // shortest
    return np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize by bicubic interpolation, with antialiasing where it shrinks.

    The one resize of the project, so that training and use see the same picture.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        (height, width) or (height, width, 3) uint8.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(
            "Expected uint8 pixels of shape (H, W) or (H, W, 3). "
            f"Received: {pixels.dtype} of shape {pixels.shape}."
        )
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def as_eight_bit(pixels: np.ndarray) -> np.ndarray:
    """Round uint16 in 0-65535 to uint8 in 0-255; uint8 passes."""
    if pixels.dtype == np.uint8:
        return pixels
    eight = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        # 65535 = 257 * 255, so adding half of 257 and dividing rounds to the nearest.
        eight[rows] = (pixels[rows].astype(np.uint32) + 128) // 257
    return eight


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay gray or RGB pixels over white by their 8-bit alpha; all uint8."""
    opacity = alpha.astype(np.uint32)
    opacity = opacity if rgb.ndim == 2 else opacity[..., None]
    return ((rgb * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
