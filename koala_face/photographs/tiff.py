"""Encode a photograph as TIFF of 8 or 16 bits, its EXIF in the places that TIFF gives it.

Pillow writes no 16-bit colour and tifffile no EXIF: tifffile writes the samples, and the
EXIF and GPS directories, made by Pillow, go behind them.
"""

import contextlib
import io
import struct

import numpy as np
import tifffile
from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from koala_face.photographs.decoding import Photograph
from koala_face.photographs.profiles import srgb_profile

# TIFF 6.0, section 2: the types of a tag's value.
ASCII, LONG = 2, 4


def encode_tiff(photograph: Photograph) -> bytes:
    """Encode as TIFF, compressed without loss (Deflate with horizontal differences)."""
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # broken EXIF must not cost the photograph
        exif.load(photograph.exif)
    texts = [(tag, ASCII, None, _text(value), True) for tag, value in exif.items()]
    pixels = photograph.pixels
    if photograph.alpha is not None:
        pixels = np.dstack([pixels, photograph.alpha])
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder="<") as writer:
        writer.write(
            pixels,
            photometric="minisblack" if photograph.pixels.ndim == 2 else "rgb",
            extrasamples=None if photograph.alpha is None else ["unassalpha"],
            planarconfig=None if pixels.ndim == 2 else "contig",
            compression="adobe_deflate",
            predictor=True,
            iccprofile=srgb_profile() if photograph.has_profile else None,
            resolution=photograph.dpi,
            resolutionunit="INCH" if photograph.dpi else None,
            extratags=[tag for tag in texts if tag[3]],
            metadata=None,
            software=False,
        )
    folders = {int(tag): exif.get_ifd(tag) for tag in (IFD.Exif, IFD.GPSInfo)}
    return _append_folders(buffer.getvalue(), folders)


def _append_folders(data: bytes, folders: dict) -> bytes:
    """Put EXIF directories behind the file, and behind them a first directory that knows them."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[start + 2 + 12 * i :][:12] for i in range(count)]
    data = bytearray(data)
    for tag, content in folders.items():
        if content:
            data += b"\0" * (len(data) % 2)
            entries.append(struct.pack("<HHII", tag, LONG, 1, len(data)))
            folder = ImageFileDirectory_v2(prefix=b"II", group=tag)
            for key, value in content.items():
                with contextlib.suppress(Exception):  # one broken entry must not cost the others
                    folder[key] = value
            data += folder.tobytes(len(data))
    if len(entries) == count:
        return bytes(data)
    data += b"\0" * (len(data) % 2)
    data[4:8] = struct.pack("<I", len(data))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    return bytes(data) + struct.pack("<H", len(entries)) + b"".join(entries) + b"\0" * 4


def _text(value) -> bytes:
    """A text of EXIF as it lay in the file; Pillow reads it as Latin-1."""
    return value.encode("latin-1", "replace") if isinstance(value, str) else b""
