"""Samples of more than 8 bits, which Pillow would cut, or refuse: each format's own decoder."""

from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from koala_face.photographs.samples import (
    Samples,
    divide_by_alpha,
    key_to_alpha,
    scale_to_sixteen_bit,
    split_alpha,
)

# TIFF 6.0 and its supplements: Compression, PhotometricInterpretation, ExtraSamples, SampleFormat.
UNCOMPRESSED = 1
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATED = 0, 1, 2, 5
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, SEPARATED: 4}
PREMULTIPLIED, STRAIGHT = 1, 2
SIGNED = 2

# JPEG 2000 (ISO 15444-1, A.5.1): the markers SOC and SIZ, and from there to the first Ssiz.
JPEG2000_START, JPEG2000_DEPTH = b"\xff\x4f\xff\x51", 42
# AV1 in ISOBMFF, 2.3.3: the box av1C; the third byte behind its name says the depth.
AV1_DEPTH = {0x00: 8, 0x20: 8, 0x40: 10, 0x60: 12}


def deep_samples(image: Image.Image, path: Path, depth: int) -> Samples | None:
    """Decode what Pillow has opened but would cut to 8 bits; None if it would not.

    Args:
        depth: a PNG's bits per sample.
    """
    if image.format == "PNG":
        key = image.info.get("transparency")
        return samples_of_png(path.read_bytes(), key) if depth == 16 else None
    if image.format == "JPEG2000":
        return _samples_of_jpeg2000(path.read_bytes())
    if image.format == "AVIF":
        return _samples_of_avif(path.read_bytes())
    if image.format == "PPM":
        return _samples_of_ppm(image, path)
    if image.format == "HEIF":
        return _samples_of_heif(path)
    return None


def samples_of_png(data: bytes, key=None) -> Samples:
    """Decode a 16-bit PNG; `key` is its transparent gray or colour, if it names one."""
    samples = imagecodecs.png_decode(data)
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        return split_alpha(samples)
    samples = samples.reshape(samples.shape[:2]) if samples.shape[2:] == (1,) else samples
    return Samples(samples, None if key is None else key_to_alpha(samples, np.asarray(key)))


def is_deep_tiff(page: tifffile.TiffPage) -> bool:
    """Whether Pillow would cut, wrap or refuse the page's samples."""
    return page.bitspersample > 8 or page.sampleformat == SIGNED


def samples_of_tiff(page: tifffile.TiffPage, path: Path) -> Samples:
    """Decode the first page, of more than 8 bits a sample or of signed ones."""
    channels = CHANNELS.get(page.photometric)
    flat = page.ndim == (2 if page.samplesperpixel == 1 else 3)
    if channels is None or page.samplesperpixel < channels or not flat:
        raise ValueError(
            f"a TIFF of {page.bitspersample} bits a sample with photometric "
            f"{int(page.photometric)} and {page.samplesperpixel} samples a pixel"
        )
    if page.compression == UNCOMPRESSED:
        samples = page.asarray()
    else:
        # By libtiff: the decoder of LZW that tifffile takes reads beyond its memory where a file
        # is damaged (imagecodecs 2025.3.30, the last for Python 3.10).
        samples = imagecodecs.tiff_decode(path.read_bytes(), index=0)
        if samples.shape != page.shape:
            raise ValueError(f"{samples.shape} samples, expected {page.shape}")
    axes = page.axes
    if "S" in axes:
        samples = np.moveaxis(samples, axes.index("S"), -1)
    samples, notes = scale_to_sixteen_bit(samples, page.bitspersample)
    if page.photometric == WHITE_IS_ZERO:
        samples = 65535 - samples
    if samples.ndim == 2:
        return Samples(samples, None, notes)
    color = samples[..., 0] if channels == 1 else samples[..., :channels]
    kinds = [int(kind) for kind in page.extrasamples or ()]
    alpha = None
    place = next((i for i, kind in enumerate(kinds) if kind in (PREMULTIPLIED, STRAIGHT)), None)
    if place is not None:
        alpha = np.ascontiguousarray(samples[..., channels + place])
        if kinds[place] == PREMULTIPLIED:
            color = divide_by_alpha(color, alpha)
    return Samples(np.ascontiguousarray(color), alpha, notes)


def _samples_of_jpeg2000(data: bytes) -> Samples | None:
    start = data.find(JPEG2000_START)
    bits = (data[start + JPEG2000_DEPTH] & 0x7F) + 1 if start >= 0 else 8
    return _scaled(imagecodecs.jpeg2k_decode(data), bits) if bits > 8 else None


def _samples_of_avif(data: bytes) -> Samples | None:
    start = data.find(b"av1C")
    bits = AV1_DEPTH[data[start + 6] & 0x60] if start >= 0 else 8
    return _scaled(imagecodecs.avif_decode(data), bits) if bits > 8 else None


def _samples_of_ppm(image: Image.Image, path: Path) -> Samples | None:
    """Netpbm's P3 and P6 of more than 255 levels; Pillow keeps the gray ones itself."""
    tile = image.tile[0]
    if image.mode != "RGB" or tile[0] not in ("ppm", "ppm_plain") or tile[3][1] <= 255:
        return None
    shape, top = (image.height, image.width, 3), tile[3][1]
    data = path.read_bytes()[tile[2] :]
    if tile[0] == "ppm":
        samples = np.frombuffer(data, ">u2", image.height * image.width * 3)
    else:
        samples = np.array(data.split()[: image.height * image.width * 3], np.uint16)
    if top == 65535:
        return Samples(samples.reshape(shape).astype(np.uint16))
    scaled = np.round(np.minimum(samples, top) * (65535.0 / top)).astype(np.uint16)
    return Samples(scaled.reshape(shape), None, [f"its samples of 0-{top} were scaled to 16 bits"])


def _samples_of_heif(path: Path) -> Samples | None:
    import pillow_heif

    file = pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    bits = file.info["bit_depth"]
    return _scaled(np.asarray(file), bits) if bits > 8 else None


def _scaled(samples: np.ndarray, bits: int) -> Samples:
    samples = samples.reshape(samples.shape[:2]) if samples.shape[2:] == (1,) else samples
    scaled, notes = scale_to_sixteen_bit(samples, bits)
    if scaled.ndim == 3 and scaled.shape[2] in (2, 4):
        return split_alpha(scaled)._replace(notes=notes)
    return Samples(scaled, None, notes)
