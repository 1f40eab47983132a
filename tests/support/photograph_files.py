"""Files that the photograph tests need and that Pillow cannot write, made byte by byte."""

import struct
import zlib

import imagecodecs
import numpy as np

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# PNG's third edition, table 11.1.
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
# ITU-R BT.709 primaries with D65, as pairs x, y and a luminance: sRGB's.
SRGB_PRIMARIES = [0.64, 0.33, 1, 0.30, 0.60, 1, 0.15, 0.06, 1]
SRGB_WHITE = [0.3127, 0.3290, 1]


def png_chunk(kind, content):
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png_file(width, height, depth, color_type, rows, chunks=b""):
    """A PNG file; `rows` are the packed bytes of each row, `chunks` come before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        PNG_SIGNATURE
        + png_chunk(b"IHDR", header)
        + chunks
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )


def orientation_exif(orientation, order="<"):
    """An EXIF block, without its "Exif" head, that holds the tag Orientation alone."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    tag = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "H", 1) + tag + struct.pack(order + "I", 0)


def linear_profile(kind="rgb"):
    """A profile of sRGB's primaries whose values are linear light, not gamma-encoded."""
    primaries = SRGB_PRIMARIES if kind == "rgb" else None
    return imagecodecs.cms_profile(kind, whitepoint=SRGB_WHITE, primaries=primaries, gamma=1.0)


def encode_light(linear):
    """IEC 61966-2-1: linear light in 0-1 to sRGB in 0-1."""
    linear = np.asarray(linear, float)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
