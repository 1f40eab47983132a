"""Photographs in (Section II.B): find the files of a folder, read any of them, resize.

Training, embedding and evaluation see every file through `read_rgb`, whatever
its format, depth, rotation or colour profile. `koala_face.photographs.decoding` does the
work and keeps what colorizing has to give back (16 bits, alpha, EXIF).
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from koala_face.photographs.decoding import PhotographError, read_photograph

# Names that are taken for photographs when a folder is searched. A file that is named
# outright may have any name: its content decides.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .tif .tiff .webp .bmp .dib .gif .jp2 .avif .pgm .ppm .pnm".split()
)


def find_photographs(folder) -> list[Path]:
    """List the photographs of a folder and of all folders in it.

    Hidden files and folders (a name that begins with a dot) and links to folders are
    passed over.

    Returns:
        Paths relative to `folder`, sorted by their text with "/" between the parts.

    Raises:
        PhotographError: if the folder is missing, cannot be read or has no photograph.
    """
    folder = Path(folder)
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise PhotographError(
            f"Expected a folder of photographs. Received: {folder}, which {state}."
        )
    found = []
    for place, folders, names in os.walk(folder, onerror=_raise_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                found.append(Path(place, name).relative_to(folder))
    if not found:
        raise PhotographError(
            f"Expected photographs in {folder}. Found: no file whose name ends in one of "
            f"{', '.join(sorted(SUFFIXES))}."
        )
    return sorted(found, key=lambda path: path.as_posix())


def read_rgb(path, shortest: int | None = None) -> np.ndarray:
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


def resize(pixels, height: int, width: int) -> np.ndarray:
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


def as_eight_bit(pixels) -> np.ndarray:
    """Round uint16 in 0-65535 to uint8 in 0-255; uint8 passes."""
    if pixels.dtype == np.uint8:
        return pixels
    # 65535 = 257 * 255, so adding half of 257 and dividing rounds to the nearest.
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def over_white(rgb, alpha) -> np.ndarray:
    """Lay gray or RGB pixels over white by their 8-bit alpha; all uint8."""
    weight = alpha.astype(np.uint32)
    weight = weight if rgb.ndim == 2 else weight[..., None]
    return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def _raise_unreadable(error: OSError):
    raise PhotographError(f"Cannot list the folder {error.filename}: {error.strerror}.") from error
