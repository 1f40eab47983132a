"""Real files with damaged bytes: a named error or a whole photograph, nothing else."""

import io
import struct
import time

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from support.photograph_files import RGB, png_chunk, png_file

from koala_face.photographs.decoding import Photograph, PhotographError, read_photograph

# By count, not by the clock: every machine tries the same files.
ROUNDS = 2500
SIDE = 96


def pillow_bytes(pixels, name, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def tiff_bytes(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def real_files(astronaut):
    """The same portrait in every kind of file, with metadata that can break too."""
    pixels = np.asarray(Image.fromarray(astronaut).resize((SIDE, SIDE)))
    deep = pixels.astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    frames = [Image.fromarray(255 - pixels)]
    return {
        "rgb.jpg": pillow_bytes(pixels, "JPEG", exif=exif, dpi=(300, 300)),
        "progressive.jpg": pillow_bytes(pixels, "JPEG", progressive=True),
        "gray.png": pillow_bytes(pixels[..., 0], "PNG", exif=exif),
        "deep.png": imagecodecs.png_encode(deep),
        "rgb.tif": pillow_bytes(pixels, "TIFF"),
        "lzw.tif": pillow_bytes(pixels, "TIFF", compression="tiff_lzw"),
        "deep.tif": tiff_bytes(deep, photometric="rgb", resolution=(90, 90), resolutionunit=2),
        "deep_lzw.tif": tiff_bytes(deep, photometric="rgb", compression="lzw"),
        "float.tif": tiff_bytes((pixels / 255).astype(np.float32), photometric="rgb"),
        "rgb.webp": pillow_bytes(pixels, "WEBP", exif=exif),
        "frames.gif": pillow_bytes(pixels, "GIF", save_all=True, append_images=frames),
        "rgb.bmp": pillow_bytes(pixels, "BMP"),
        "deep.jp2": imagecodecs.jpeg2k_encode(deep, level=0, codecformat="jp2"),
        "deep.avif": imagecodecs.avif_encode(deep >> 6, level=90, bitspersample=10),
        "deep.ppm": b"P6\n%d %d\n65535\n" % (SIDE, SIDE) + deep.astype(">u2").tobytes(),
        "big.tif": tiff_bytes(deep, photometric="rgb", bigtiff=True),
        "signed.tif": tiff_bytes((pixels[..., 0] // 2).astype(np.int8)),
        "colour.png": colored_png(pixels),
    }


def colored_png(pixels):
    """With chunks that say what its colours are."""
    chunks = png_chunk(b"gAMA", struct.pack(">I", 55_556))
    chunks += png_chunk(b"cHRM", struct.pack(">8I", *(33_000 + 1_000 * i for i in range(8))))
    rows = [row.tobytes() for row in pixels]
    return png_file(SIDE, SIDE, 8, RGB, rows, chunks)


def damage(data, random):
    """Flip bytes anywhere or near the head, cut, repeat, drop, or overwrite with extremes."""
    data = bytearray(data)
    for _ in range(random.integers(1, 6)):
        reach = int(random.choice([64, 512, len(data)]))
        place = int(random.integers(0, max(1, min(reach, len(data)))))
        way = random.integers(0, 6)
        if way <= 1:
            data[place : place + 1] = bytes([random.integers(0, 256)])
        elif way == 2:
            data[place : place + 4] = random.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
        elif way == 3:
            del data[place : place + int(random.integers(1, 40))]
        elif way == 4:
            data[place:place] = data[place : place + int(random.integers(1, 40))]
        elif random.random() < 0.3:
            del data[place:]
    return bytes(data)


def stated_size(data, name):
    """Height and width that the damaged file states, read from its bytes by hand or by Pillow."""
    if name.endswith(".png"):
        width, height = struct.unpack_from(">II", data, 16)
    elif data.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", data, 18)
    else:
        try:
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
        except Exception:  # a float or 16-bit TIFF
            with tifffile.TiffFile(io.BytesIO(data)) as file:
                height, width = file.pages[0].imagelength, file.pages[0].imagewidth
    return {abs(height), abs(width)}


def check_whole(photograph, data, name):
    assert isinstance(photograph, Photograph)
    pixels = photograph.pixels
    assert pixels.dtype in (np.uint8, np.uint16)
    assert pixels.ndim == 2 or pixels.shape[2:] == (3,)
    assert set(pixels.shape[:2]) == stated_size(data, name)
    if photograph.alpha is not None:
        assert photograph.alpha.shape == pixels.shape[:2]
        assert photograph.alpha.dtype == pixels.dtype


@pytest.mark.filterwarnings("ignore")  # the decoders warn of much of the damage
def test_damaged_files_give_named_errors_or_whole_photographs(tmp_path, astronaut):
    random = np.random.default_rng(20)
    files = real_files(astronaut)
    outcomes = {"read": 0, "refused": 0}
    for turn in range(ROUNDS):
        name = list(files)[turn % len(files)]
        data = damage(files[name], random)
        path = tmp_path / name
        path.write_bytes(data)
        start = time.monotonic()
        try:
            photograph = read_photograph(path)
        except PhotographError as error:
            photograph, reason = None, str(error)
        if photograph is None:
            assert str(path) in reason
            outcomes["refused"] += 1
        else:
            check_whole(photograph, data, name)
            outcomes["read"] += 1
        assert time.monotonic() - start < 30, f"turn {turn}, {name}: a hang"
    assert min(outcomes.values()) > 50, outcomes


def test_undamaged_files_are_read(tmp_path, astronaut):
    """Otherwise the test above would be content with refusing everything."""
    for name, data in real_files(astronaut).items():
        (tmp_path / name).write_bytes(data)
        check_whole(read_photograph(tmp_path / name), data, name)
