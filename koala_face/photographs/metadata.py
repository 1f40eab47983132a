"""What a file says beside its samples: EXIF, colour profile, resolution, further pages."""

import contextlib
import math
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import tifffile
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

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
FOLDERS = (IFD.Exif.value, IFD.GPSInfo.value)
BIGTIFF = 43  # the version in a TIFF's head, whose offsets then have 8 bytes
ICC_PROFILE = 34675
CENTIMETER = 3
CM_PER_INCH = 2.54


class Metadata(NamedTuple):
    """Beside the samples: ICC profile, orientation and EXIF, pixels per inch, and notes."""

    profile: bytes | None
    orientation: int
    exif: Image.Exif
    dpi: tuple[float, float] | None
    notes: tuple[str, ...] = ()


def from_pillow(image: Image.Image) -> Metadata:
    """Take the metadata of an opened Pillow image; loads it, for EXIF behind the samples."""
    profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
    exif, orientation = Image.Exif(), 1
    with contextlib.suppress(Exception):  # broken EXIF must not cost the photograph
        exif = image.getexif()
        orientation = exif.get(ORIENTATION, 1)
    frames = 1
    with contextlib.suppress(Exception):  # nor must a broken second frame
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    kind = "page" if image.format == "TIFF" else "frame"
    return Metadata(profile, orientation, exif, clean_dpi(dpi), note_frames(frames, kind))


def from_tiff(file: BinaryIO, page: tifffile.TiffPage, pages: int) -> Metadata:
    """Take the metadata of a TIFF page whose samples Pillow cannot give."""
    exif, orientation = Image.Exif(), 1
    with contextlib.suppress(Exception):
        orientation = int(page.tags["Orientation"].value)
    with contextlib.suppress(Exception):
        exif = _exif_of_tiff(file)
    profile = page.tags.get(ICC_PROFILE)
    dpi = None
    with contextlib.suppress(Exception):
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        unit = page.tags["ResolutionUnit"].value
        scale = {2: 1.0, CENTIMETER: CM_PER_INCH}[int(unit)]
        dpi = (x[0] / x[1] * scale, y[0] / y[1] * scale)
    profile = None if profile is None else bytes(profile.value)
    return Metadata(profile, orientation, exif, clean_dpi(dpi), note_frames(pages, "page"))


def _exif_of_tiff(file: BinaryIO) -> Image.Exif:
    """The descriptive tags of a TIFF or BigTIFF; Pillow's own reader knows the former alone."""
    file.seek(0)
    head = file.read(8)
    if BIGTIFF in head[2:4]:
        head += file.read(8)
    main = ImageFileDirectory_v2(head)
    file.seek(main.next)
    main.load(file)
    exif = Image.Exif()
    for tag in DESCRIPTIVE_TAGS & set(main):
        with contextlib.suppress(Exception):  # one broken entry must not cost the others
            exif[tag] = main[tag]
            if tag in FOLDERS:
                folder = ImageFileDirectory_v2(head, group=tag)
                file.seek(main[tag])
                folder.load(file)
                exif[tag] = dict(folder)
    return exif


def note_frames(count: int, kind: str) -> tuple[str, ...]:
    """Say that only the first of several pages or frames is taken."""
    return (f"of its {count} {kind}s the first was taken",) if count > 1 else ()


def keep_description(exif: Image.Exif) -> bytes:
    """Write anew the EXIF that describes the photograph, without its rotation and thumbnail."""
    try:
        kept = Image.Exif()  # a new one: that of a BigTIFF would be written as one
        kept.endian = exif.endian  # in which the maker's own notes lie
        for tag in DESCRIPTIVE_TAGS & set(exif) - set(FOLDERS):
            kept[tag] = exif[tag]
        _keep_accents(kept)
        for tag in FOLDERS:
            if folder := _folder(exif, tag):
                _keep_accents(folder)
                kept[tag] = folder
        return kept.tobytes() if len(kept) else b""
    except Exception:  # broken EXIF must not cost the photograph
        return b""


def _folder(exif: Image.Exif, tag: int) -> dict:
    folder = exif[tag] if isinstance(exif.get(tag), dict) else exif.get_ifd(tag)
    if IFD.Interop in folder:
        folder = {**folder, IFD.Interop: exif.get_ifd(IFD.Interop)}
    return dict(folder)


def _keep_accents(folder: Image.Exif | dict) -> None:
    """Texts beyond ASCII as bytes: Pillow reads them as Latin-1 but writes "?" for them."""
    for tag, value in list(folder.items()):
        if isinstance(value, str) and not value.isascii():
            folder[tag] = value.encode("latin-1", "replace")


def clean_dpi(dpi: Sequence | None) -> tuple[float, float] | None:
    """Two positive finite numbers, or None."""
    try:
        x, y = float(dpi[0]), float(dpi[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < math.inf and 0 < y < math.inf else None
