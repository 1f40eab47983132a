"""Photograph files of every kind, against values known beforehand or Pillow's own decode."""

import io
import os
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from support.photograph_files import (
    GRAY,
    GRAY_ALPHA,
    PALETTE,
    PNG_SIGNATURE,
    RGB,
    RGB_ALPHA,
    encode_light,
    linear_profile,
    orientation_exif,
    png_chunk,
    png_file,
)

from koala_face.photographs.decoding import PhotographError, count_pixels, read_photograph
from koala_face.photographs.reading import read_rgb

DEEP = np.array([[0, 1, 257], [4660, 43981, 65535]], np.uint16)
DEEP_RGB = np.stack([DEEP, DEEP[::-1], 65535 - DEEP], axis=-1)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def write(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


def saved(folder, name, pixels, **options):
    Image.fromarray(pixels).save(folder / name, **options)
    return folder / name


def test_gray_jpeg_stays_one_channel(folder, astronaut):
    path = saved(folder, "gray.jpg", astronaut[..., 0], dpi=(300, 300))
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, np.asarray(Image.open(path)))
    assert photograph.pixels.shape == (512, 512)
    assert photograph.dpi == (300, 300)
    assert photograph.format == "JPEG"
    assert photograph.notes == ()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_rgb_jpeg(folder, astronaut, options):
    path = saved(folder, "photo.jpg", astronaut, **options)
    np.testing.assert_array_equal(read_photograph(path).pixels, np.asarray(Image.open(path)))


@pytest.mark.parametrize("transform", ["cmyk", "ycck"])
@pytest.mark.parametrize(
    ("ink", "rgb"),
    [
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 0, 0), (255, 0, 255)),
        ((0, 0, 255, 0), (255, 255, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 0, 0, 127), (128, 128, 128)),
    ],
)
def test_inks_of_adobe_jpegs(folder, transform, ink, rgb):
    """Adobe's files store inks inverted; YCCK is CMYK through JPEG's colour transform."""
    inks = np.full((16, 16, 4), ink, np.uint8)
    data = imagecodecs.jpeg8_encode(255 - inks, colorspace="cmyk", outcolorspace=transform)
    pixels = read_photograph(write(folder, "inks.jpg", data)).pixels
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - rgb).max() <= 2


def test_cmyk_with_a_profile_goes_through_the_profile(folder):
    """A profile for CMYK is honoured; there is none to make here, so one for RGB is not."""
    inks = np.full((8, 8, 4), (255, 0, 0, 0), np.uint8)
    path = folder / "inks.tif"
    Image.fromarray(inks, "CMYK").save(path, icc_profile=linear_profile())
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels[0, 0], (0, 255, 255))
    assert "profile" in photograph.notes[0]


# EXIF 2.32, tag Orientation: what [[1, 2, 3], [4, 5, 6]] in the file looks like upright.
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}
STORED = np.array(UPRIGHT[1], np.uint8)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("depth", [8, 16])
def test_orientation_of_png_and_tiff(folder, orientation, depth):
    pixels = STORED.astype(np.uint8 if depth == 8 else np.uint16)
    rows = [row.astype(f">u{depth // 8}").tobytes() for row in pixels]
    exif = png_chunk(b"eXIf", orientation_exif(orientation, ">"))
    png = write(folder, "o.png", png_file(3, 2, depth, GRAY, rows, exif))
    tiff = folder / "o.tif"
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(tiff, pixels, photometric="minisblack", extratags=tags, metadata=None)
    for path in (png, tiff):
        photograph = read_photograph(path)
        np.testing.assert_array_equal(photograph.pixels, UPRIGHT[orientation])
        assert photograph.pixels.flags.c_contiguous
        assert b"\x12\x01" not in photograph.exif, "the orientation must not be applied twice"


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_of_jpeg(folder, orientation):
    """Blocks of 16 pixels survive JPEG; the resolution turns with them."""
    blocks = np.kron(STORED * 40, np.ones((16, 16), np.uint8))
    exif = b"Exif\0\0" + orientation_exif(orientation)
    path = saved(folder, "o.jpg", blocks, exif=exif, dpi=(100, 200))
    photograph = read_photograph(path)
    found = np.round(photograph.pixels[8::16, 8::16] / 40)
    np.testing.assert_array_equal(found, UPRIGHT[orientation])
    assert photograph.dpi == ((100, 200) if orientation < 5 else (200, 100))


@pytest.mark.parametrize(
    ("depth", "rows", "expected"),
    [
        (1, [0b10100000], [0xFF, 0, 0xFF]),
        (2, [0b00011011], [0, 85, 170, 255]),
        (4, [0x05, 0xAF], [0, 85, 170, 255]),
        (8, [3, 200, 255], [3, 200, 255]),
    ],
)
def test_gray_png_of_few_bits(folder, depth, rows, expected):
    data = png_file(len(expected), 1, depth, GRAY, [bytes(rows)])
    photograph = read_photograph(write(folder, "gray.png", data))
    np.testing.assert_array_equal(photograph.pixels, [expected])
    assert photograph.pixels.dtype == np.uint8
    assert photograph.alpha is None


def test_transparent_gray_of_a_png_of_two_bits(folder):
    key = png_chunk(b"tRNS", struct.pack(">H", 2))
    data = png_file(4, 1, 2, GRAY, [bytes([0b00011011])], key)
    photograph = read_photograph(write(folder, "gray.png", data))
    np.testing.assert_array_equal(photograph.pixels, [[0, 85, 170, 255]])
    np.testing.assert_array_equal(photograph.alpha, [[255, 255, 0, 255]])


def test_transparent_colour_of_a_png(folder):
    key = png_chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    data = png_file(2, 1, 8, RGB, [bytes([1, 2, 3, 1, 2, 4])], key)
    photograph = read_photograph(write(folder, "key.png", data))
    np.testing.assert_array_equal(photograph.pixels, [[[1, 2, 3], [1, 2, 4]]])
    np.testing.assert_array_equal(photograph.alpha, [[0, 255]])


@pytest.mark.parametrize("depth", [8, 16])
def test_png_with_alpha(folder, depth):
    top = 2**depth - 1
    for color_type, pixel in ((GRAY_ALPHA, [7, 9]), (RGB_ALPHA, [7, 8, top, 9])):
        row = np.array(pixel, f">u{depth // 8}").tobytes()
        path = write(folder, "alpha.png", png_file(1, 1, depth, color_type, [row]))
        photograph = read_photograph(path)
        color = pixel[0] if color_type == GRAY_ALPHA else pixel[:3]
        np.testing.assert_array_equal(photograph.pixels, np.array([[color]]))
        np.testing.assert_array_equal(photograph.alpha, [[9]])
        assert photograph.pixels.dtype == photograph.alpha.dtype == f"u{depth // 8}"


def test_palette_png_with_and_without_transparency(folder):
    palette = png_chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60]))
    row = [bytes([0b01000000])]
    opaque = read_photograph(write(folder, "p.png", png_file(2, 1, 1, PALETTE, row, palette)))
    np.testing.assert_array_equal(opaque.pixels, [[[10, 20, 30], [40, 50, 60]]])
    assert opaque.alpha is None
    chunks = palette + png_chunk(b"tRNS", bytes([99]))
    clear = read_photograph(write(folder, "t.png", png_file(2, 1, 1, PALETTE, row, chunks)))
    np.testing.assert_array_equal(clear.pixels, opaque.pixels)
    np.testing.assert_array_equal(clear.alpha, [[99, 255]])


def test_sixteen_bit_png_keeps_every_bit(folder):
    rows = [row.astype(">u2").tobytes() for row in DEEP]
    gray = read_photograph(write(folder, "g.png", png_file(3, 2, 16, GRAY, rows)))
    np.testing.assert_array_equal(gray.pixels, DEEP)
    rows = [row.astype(">u2").tobytes() for row in DEEP_RGB]
    rgb = read_photograph(write(folder, "c.png", png_file(3, 2, 16, RGB, rows)))
    np.testing.assert_array_equal(rgb.pixels, DEEP_RGB)
    assert rgb.pixels.dtype == np.uint16


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_keeps_every_bit(folder, compression, order):
    for pixels, kind in ((DEEP, "minisblack"), (DEEP_RGB, "rgb")):
        path = folder / "deep.tif"
        options = {"photometric": kind, "compression": compression, "byteorder": order}
        tifffile.imwrite(path, pixels, resolution=(50, 100), resolutionunit=3, **options)
        photograph = read_photograph(path)
        np.testing.assert_array_equal(photograph.pixels, pixels)
        assert photograph.dpi == pytest.approx((50 * 2.54, 100 * 2.54))


def test_tiff_layouts(folder):
    path = folder / "layout.tif"
    tifffile.imwrite(path, np.moveaxis(DEEP_RGB, -1, 0), photometric="rgb", planarconfig=2)
    np.testing.assert_array_equal(read_photograph(path).pixels, DEEP_RGB)
    tifffile.imwrite(path, DEEP, photometric="miniswhite")
    np.testing.assert_array_equal(read_photograph(path).pixels, 65535 - DEEP)
    half = np.full((2, 3, 1), 32768, np.uint16)
    tifffile.imwrite(
        path, np.dstack([DEEP_RGB // 2, half]), photometric="rgb", extrasamples=["assocalpha"]
    )
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.alpha, half[..., 0])
    assert np.abs(photograph.pixels.astype(int) - DEEP_RGB).max() <= 2
    tifffile.imwrite(path, DEEP_RGB // 256 * 256 >> 8, photometric="rgb", bitspersample=16)
    assert read_photograph(path).pixels.max() == 255, "16-bit files are not stretched"


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(folder, top):
    path = folder / "float.tif"
    values = np.array([[0.0, 0.5, 1.0, -0.2, np.nan]]) * top
    tifffile.imwrite(path, values.astype(np.float32))
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, [[0, 32768, 65535, 0, 0]])
    assert f"0-{top:g}" in photograph.notes[0]


def test_other_integers_in_tiff(folder):
    path = folder / "integers.tif"
    tifffile.imwrite(path, np.array([[0, 2**31, 2**32 - 1]], np.uint32))
    np.testing.assert_array_equal(read_photograph(path).pixels, [[0, 32768, 65535]])
    tifffile.imwrite(path, np.array([[-5, 0, 2**15 - 1]], np.int16))
    np.testing.assert_array_equal(read_photograph(path).pixels, [[0, 0, 65535]])
    tifffile.imwrite(path, np.array([[1e9, 2.0]], np.float32))
    with pytest.raises(PhotographError, match=r"integers.tif.*1e\+09.*expected 0-1"):
        read_photograph(path)


def test_first_page_and_first_frame_are_taken_and_said(folder, astronaut):
    small = astronaut[:32, :32]
    pages = [Image.fromarray(small), Image.fromarray(255 - small)]
    for name, kind in (("a.tif", "page"), ("a.gif", "frame"), ("a.webp", "frame")):
        options = {"lossless": True} if name == "a.webp" else {}
        pages[0].save(folder / name, save_all=True, append_images=pages[1:], **options)
        photograph = read_photograph(folder / name)
        assert np.abs(photograph.pixels.astype(int) - small).mean() < 6
        assert photograph.notes == (f"of its 2 {kind}s the first was taken",)
    with tifffile.TiffWriter(folder / "deep.tif") as writer:
        writer.write(DEEP)
        writer.write(DEEP[:1])
    photograph = read_photograph(folder / "deep.tif")
    np.testing.assert_array_equal(photograph.pixels, DEEP)
    assert photograph.notes == ("of its 2 pages the first was taken",)


@pytest.mark.parametrize("name", ["a.webp", "a.bmp", "a.ppm", "a.tif", "a.png"])
def test_formats_without_loss(folder, astronaut, name):
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(folder, name, astronaut, **options)
    np.testing.assert_array_equal(read_photograph(path).pixels, astronaut)
    assert count_pixels(path) == 512 * 512


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["rgb", "gray"])
def test_profile_is_converted_to_srgb(folder, kind, deep):
    """A profile of linear light: the sRGB value is the standard's encoding of the sample."""
    dtype, top = (np.uint16, 65535) if deep else (np.uint8, 255)
    samples = np.linspace(0.02, 1.0, 60).reshape(4, 5, 3)
    samples = samples if kind == "rgb" else samples[..., 0]
    samples = np.round(samples * top).astype(dtype)
    path = folder / "profile.tif"
    tifffile.imwrite(
        path,
        samples,
        photometric="rgb" if kind == "rgb" else "minisblack",
        iccprofile=linear_profile(kind),
    )
    photograph = read_photograph(path)
    expected = encode_light(samples / top) * top
    # lcms works with tables: 1 of 255, and half of that at 16 bits.
    assert np.abs(photograph.pixels - expected).max() <= (1.0 if not deep else 128)
    assert photograph.has_profile


def test_profile_of_srgb_changes_nothing(folder, astronaut):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(folder, "srgb.png", astronaut, icc_profile=profile)
    np.testing.assert_array_equal(read_photograph(path).pixels, astronaut)
    path = saved(folder, "gray.png", astronaut[..., 0], icc_profile=profile)
    np.testing.assert_array_equal(read_photograph(path).pixels, astronaut[..., 0])


def test_broken_profile_costs_a_note_not_the_photograph(folder, astronaut):
    path = saved(folder, "broken.png", astronaut, icc_profile=linear_profile()[:99])
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, astronaut)
    assert "profile is broken" in photograph.notes[0]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_costs_nothing(folder, astronaut):
    path = saved(folder, "exif.jpg", astronaut, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_photograph(path).pixels.shape == (512, 512, 3)


def jpeg_bytes(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def bomb_png():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, RGB, 0, 0, 0)
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")


def bomb_tiff():
    """A header that claims 60,000 x 60,000 pixels of 16 bits, and nothing behind it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((2, 2), np.uint16), metadata=None)
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as file:
        places = [file.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    data = bytearray(buffer.getvalue())
    for place in places:
        data[place : place + 2] = struct.pack("<H", 60_000)
    return bytes(data)


def test_bad_files_are_named_with_a_reason(folder, astronaut):
    whole = jpeg_bytes(astronaut)
    deep = imagecodecs.png_encode(astronaut.astype(np.uint16))
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, astronaut.astype(np.uint16), photometric="rgb")
    bad = {
        "empty.jpg": (b"", "empty, 0 bytes"),
        "text.jpg": (b"Dear photograph, ...", "not a photograph in a known format"),
        "cut.jpg": (whole[: len(whole) // 2], "truncated"),
        "cut_progressive.jpg": (jpeg_bytes(astronaut, progressive=True)[:9000], "truncated"),
        "head.jpg": (whole[:30], ""),
        "deep_cut.png": (deep[: len(deep) // 2], "broken or not supported"),
        "deep_cut.tif": (tiff.getvalue()[:9000], "broken or not supported"),
        "bomb.png": (bomb_png(), "decompression bomb"),
        "bomb.tif": (bomb_tiff(), "decompression bomb"),
    }
    for name, (data, reason) in bad.items():
        path = write(folder, name, data)
        with pytest.raises(PhotographError) as raised:
            read_rgb(path)
        assert str(path) in str(raised.value)
        assert reason in str(raised.value)


def test_what_is_no_file_is_an_error_and_no_hang(folder):
    os.mkfifo(folder / "pipe.jpg")
    for path in (folder / "pipe.jpg", folder):
        with pytest.raises(PhotographError, match="is no file"):
            read_photograph(path)
    with pytest.raises(PhotographError, match=r"gone.jpg: does not exist"):
        read_photograph(folder / "gone.jpg")
    assert count_pixels(folder / "gone.jpg") == 0
