"""PNG, third edition: what its chunks say of its colours, and how a photograph is written."""

import functools
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np

from koala_face.photographs.profiles import srgb_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH = 24  # the place of the bits per sample
HEADER_END = 33  # the signature's 8 bytes and the header chunk's 25
METERS_PER_INCH = 0.0254
# zlib's levels run to 9; past this one photographs hardly shrink but take twice the time.
LEVEL = 4
# The largest colour profiles, those of printing machines, have a few MiB.
LONGEST_PROFILE = 2**25
TEXTS = (b"tEXt", b"zTXt", b"iTXt")

# ITU-T H.273, tables 2 and 3, as x, y of red, green and blue, all with the white of D65.
WHITE = (0.3127, 0.3290)
PRIMARIES = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
SRGB_CURVE = 13
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, SRGB_CURVE: None}  # None for sRGB's own curve
# A gAMA this near to 1 / 2.2, and a cHRM to sRGB's, mean sRGB, as PNG's section 11.3.2.5 has it.
GAMMA_TOLERANCE, PRIMARIES_TOLERANCE = 0.02, 0.002


def color_profile(file: BinaryIO) -> tuple[bytes | None, list[str]]:
    """The ICC profile of a PNG's colours, None for sRGB, and notes.

    Of cICP, iCCP, sRGB and gAMA the first that is there counts, as PNG's section 4.3 orders
    them. Those that are numbers become a profile.
    """
    found = {}
    for kind, length in _chunks_before_samples(file):
        if kind in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
            found.setdefault(kind, file.read(length))
    if b"cICP" in found:
        return _profile_of_code(found[b"cICP"])
    if b"iCCP" in found:
        unpacker = zlib.decompressobj()
        try:
            # A name, a zero, the method's byte.
            profile = unpacker.decompress(found[b"iCCP"].split(b"\0", 1)[1][1:], LONGEST_PROFILE)
        except (IndexError, zlib.error):
            profile = b""
        if profile and not unpacker.unconsumed_tail:
            return profile, []
        return None, ["its colour profile is broken, and was ignored"]
    if b"sRGB" in found or b"gAMA" not in found:
        return None, []
    return _profile_of_gamma(found[b"gAMA"], found.get(b"cHRM"))


def without_texts(data: bytes) -> bytes:
    """The PNG without its texts and profile, of which Pillow reads no more than 1 MiB."""
    kept, place = [data[:8]], 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind not in (*TEXTS, b"iCCP"):
            kept.append(data[place : place + length + 12])
        place += length + 12
    return b"".join(kept)


def encode_png(
    samples: np.ndarray,
    exif: bytes = b"",
    dpi: tuple[float, float] | None = None,
    has_profile: bool = False,
) -> bytes:
    """Encode (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) samples of 8 or 16 bits."""
    data = imagecodecs.png_encode(samples, level=LEVEL)
    chunks = b""
    if has_profile:
        chunks += _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))
    if dpi:
        per_meter = [min(round(each / METERS_PER_INCH), 2**31 - 1) for each in dpi]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_meter, 1))
    if exif:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return data[:HEADER_END] + chunks + data[HEADER_END:]


def _chunks_before_samples(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk, whose content may be read from `file`."""
    place = len(SIGNATURE)
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        place += length + 12


def _profile_of_code(code: bytes) -> tuple[bytes | None, list[str]]:
    """cICP: primaries, curve, matrix (0 for RGB) and whether the range is full."""
    primaries, curve, *rest = (*code[:4], 0, 0)[:4]
    if primaries not in PRIMARIES or curve not in GAMMAS or rest != [0, 1]:
        named = ", ".join(map(str, code[:4]))
        return None, [f"its colours (cICP {named}) are not known, and were read as sRGB"]
    if (primaries, curve) == (1, SRGB_CURVE):
        return None, []
    return _build_profile(PRIMARIES[primaries], WHITE, GAMMAS[curve]), []


def _profile_of_gamma(gamma: bytes, chromaticities: bytes | None) -> tuple[bytes | None, list[str]]:
    """gAMA and cHRM: numbers of four bytes in units of 1/100,000."""
    try:
        exponent = struct.unpack(">I", gamma)[0] / 100_000
        numbers = WHITE + PRIMARIES[1]
        if chromaticities:
            numbers = tuple(n / 100_000 for n in struct.unpack(">8I", chromaticities))
        distance = np.abs(np.subtract(numbers, WHITE + PRIMARIES[1])).max()
        if abs(exponent - 1 / 2.2) < GAMMA_TOLERANCE and distance < PRIMARIES_TOLERANCE:
            return None, []
        profile = _build_profile(numbers[2:], numbers[:2], 1 / exponent)
    except (struct.error, ZeroDivisionError, ValueError, imagecodecs.CmsError):
        return None, ["its gamma or primaries are broken, and were ignored"]
    return profile, [f"its gamma of {exponent:g} was converted to sRGB's"]


@functools.lru_cache(maxsize=32)
def _build_profile(
    primaries: tuple[float, ...], white: tuple[float, ...], gamma: float | None
) -> bytes:
    """An RGB profile; without a gamma it has sRGB's curve, IEC 61966-2-1."""
    encoded = np.linspace(0.0, 1.0, 4096)
    curve = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    points = [(primaries[i], primaries[i + 1], 1.0) for i in (0, 2, 4)]
    return imagecodecs.cms_profile(
        "rgb",
        whitepoint=[*white, 1.0],
        primaries=[number for point in points for number in point],
        gamma=gamma,
        transferfunction=curve.astype(np.float32) if gamma is None else None,
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
