"""What a file says beside its samples: EXIF, colour profile, resolution, further pages."""

import contextlib
import math
from typing import NamedTuple

import tifffile
from PIL import Image
from PIL.ExifTags import IFD, Base

ORIENTATION = Base.Orientation.value
# EXIF 2.32 and TIFF 6.0: the tags that describe the photograph. Others tell how the samples
# lie in the old file, or hold its thumbnail without colours.
DESCRIPTIVE_TAGS = {
    Base.ImageDescription.value,
    Base.Make.value,
    Base.Model.value,
    Base.Software.value,
    Base.DateTime.value,
    Base.Artist.value,
    Base.Copyright.value,
    IFD.Exif.value,
    IFD.GPSInfo.value,
}
ICC_PROFILE = 34675
CENTIMETER = 3
CM_PER_INCH = 2.54


class Metadata(NamedTuple):
    """Beside the samples: ICC profile, EXIF, pixels per inch, and notes."""

    profile: bytes | None
    exif: Image.Exif
    dpi: tuple[float, float] | None
    notes: tuple[str, ...] = ()


def from_pillow(image: Image.Image) -> Metadata:
    """Take the metadata of an opened Pillow image; loads it, for EXIF behind the samples."""
    profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # broken EXIF must not cost the photograph
        exif = image.getexif()
        exif.get(ORIENTATION)
    frames = 1
    with contextlib.suppress(Exception):  # nor must a broken second frame
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    kind = "page" if image.format == "TIFF" else "frame"
    return Metadata(profile, exif, clean_dpi(dpi), note_frames(frames, kind))


def from_tiff(path, page: tifffile.TiffPage, pages: int, notes=()) -> Metadata:
    """Take the metadata of a TIFF page whose samples Pillow cannot give."""
    exif = Image.Exif()
    with contextlib.suppress(Exception), open(path, "rb") as file:
        exif.load_from_fp(file)
        for tag in DESCRIPTIVE_TAGS & {IFD.Exif.value, IFD.GPSInfo.value}:
            exif.get_ifd(tag)
    profile = page.tags.get(ICC_PROFILE)
    dpi = None
    with contextlib.suppress(Exception):
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        unit = page.tags["ResolutionUnit"].value
        scale = {2: 1.0, CENTIMETER: CM_PER_INCH}[int(unit)]
        dpi = (x[0] / x[1] * scale, y[0] / y[1] * scale)
    profile = None if profile is None else bytes(profile.value)
    return Metadata(profile, exif, clean_dpi(dpi), (*note_frames(pages, "page"), *notes))


def note_frames(count: int, kind: str) -> tuple[str, ...]:
    """Say that only the first of several pages or frames is taken."""
    return (f"of its {count} {kind}s the first was taken",) if count > 1 else ()


def keep_description(exif: Image.Exif) -> bytes:
    """Write anew the EXIF that describes the photograph, without its rotation and thumbnail."""
    try:
        for tag in list(exif):
            if tag not in DESCRIPTIVE_TAGS:
                del exif[tag]
        for folder in (exif, exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)):
            _keep_accents(folder)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # broken EXIF must not cost the photograph
        return b""


def _keep_accents(folder) -> None:
    """Texts beyond ASCII as bytes: Pillow reads them as Latin-1 but writes "?" for them."""
    for tag, value in list(folder.items()):
        if isinstance(value, str) and not value.isascii():
            folder[tag] = value.encode("latin-1", "replace")


def clean_dpi(dpi) -> tuple[float, float] | None:
    """Two positive finite numbers, or None."""
    try:
        x, y = float(dpi[0]), float(dpi[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < math.inf and 0 < y < math.inf else None
