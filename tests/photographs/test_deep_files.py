"""Files whose samples Pillow would cut, wrap or misread; each against the samples put in."""

import struct
import zlib

import imagecodecs
import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image
from support.photograph_files import RGB, encode_light, linear_profile, png_chunk, png_file

from koala_face.photographs.decoding import PhotographError, count_pixels, read_photograph

PILLOW = tuple(int(part) for part in PIL.__version__.split(".")[:2])
RANDOM = np.random.default_rng(8)
DEEP = RANDOM.integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def written(path, data):
    path.write_bytes(data)
    return path


def read(path, data):
    return read_photograph(written(path, data))


def test_netpbm_keeps_every_bit(tmp_path):
    for head, samples in ((b"P6", DEEP), (b"P5", DEEP[..., 0])):
        data = head + b"\n30 20\n65535\n" + samples.astype(">u2").tobytes()
        photograph = read(tmp_path / "a.ppm", data)
        np.testing.assert_array_equal(photograph.pixels, samples)
        assert photograph.notes == ()
    plain = read(tmp_path / "a.ppm", b"P3\n2 1\n65535\n1 2 3\n40000 5 6\n")
    np.testing.assert_array_equal(plain.pixels, [[[1, 2, 3], [40000, 5, 6]]])


def test_netpbm_of_other_ranges_is_scaled_and_said(tmp_path):
    values = np.array([[[0, 511, 1023]]])
    photograph = read(tmp_path / "a.ppm", b"P6\n1 1\n1023\n" + values.astype(">u2").tobytes())
    np.testing.assert_array_equal(photograph.pixels, np.round(values / 1023 * 65535))
    assert photograph.notes == ("its samples of 0-1023 were scaled to 16 bits",)
    photograph = read(tmp_path / "a.ppm", b"P6\n1 1\n100\n" + bytes([0, 50, 100]))
    np.testing.assert_array_equal(photograph.pixels, [[[0, 128, 255]]])
    assert photograph.pixels.dtype == np.uint8


@pytest.mark.parametrize("bits", [12, 16])
def test_jpeg_2000_keeps_every_bit(tmp_path, bits):
    samples = DEEP >> (16 - bits)
    alpha = np.dstack([samples, samples[..., :1]])
    for pixels in (samples, samples[..., 0], alpha):
        data = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", bitspersample=bits)
        photograph = read(tmp_path / "a.jp2", data)
        color = pixels[..., :3] if pixels.ndim == 3 else pixels
        expected = np.round(color / (2**bits - 1) * 65535)
        # Pillow shifts gray of 12 bits where the others are scaled: 15 of 65535.
        assert np.abs(photograph.pixels - expected).max() <= (15 if pixels.ndim == 2 else 0)
        assert (photograph.alpha is None) == (pixels.shape[2:] != (4,))
    plain = imagecodecs.jpeg2k_encode((DEEP >> 8).astype(np.uint8), level=0, codecformat="jp2")
    np.testing.assert_array_equal(read(tmp_path / "8.jp2", plain).pixels, DEEP >> 8)


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif_keeps_its_bits(tmp_path, bits):
    samples = DEEP >> (16 - bits)
    data = imagecodecs.avif_encode(samples, level=100, bitspersample=bits)
    photograph = read(tmp_path / "a.avif", data)
    np.testing.assert_array_equal(photograph.pixels, np.round(samples / (2**bits - 1) * 65535))
    assert photograph.notes == (f"its {bits}-bit samples were scaled to 16 bits",)


def test_signed_samples_of_eight_bits_do_not_wrap(tmp_path):
    path = tmp_path / "signed.tif"
    tifffile.imwrite(path, np.array([[-128, -1, 0, 64, 127]], np.int8))
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, [[0, 0, 0, round(64 / 127 * 65535), 65535]])
    assert "8-bit samples were scaled" in photograph.notes[0]


@pytest.mark.parametrize("tag", [256, 257])  # TIFF 6.0: ImageWidth, ImageLength
@pytest.mark.parametrize("kind", [np.int8, np.uint16])
def test_a_file_without_pixels_is_refused(tmp_path, tag, kind):
    path = tmp_path / "empty.tif"
    tifffile.imwrite(path, np.ones((4, 6), kind))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[tag].overwrite(0)
    with pytest.raises(PhotographError, match=r"empty\.tif.*height or width of 0"):
        read_photograph(path)


@pytest.mark.parametrize("compression", [None, "adobe_deflate"])
def test_alpha_behind_another_sample_is_found(tmp_path, compression):
    path = tmp_path / "extra.tif"
    extra, alpha = np.full((20, 30), 9, np.uint16), DEEP[..., 0]
    tifffile.imwrite(
        path,
        np.dstack([DEEP, extra, alpha]),
        photometric="rgb",
        extrasamples=["unspecified", "unassalpha"],
        compression=compression,
    )
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, DEEP)
    np.testing.assert_array_equal(photograph.alpha, alpha)


def camera_exif():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8769)[0xA005] = {1: "R98"}  # as every camera writes it
    loaded = Image.Exif()
    loaded.load(exif.tobytes())
    return loaded


@pytest.mark.skipif(PILLOW < (11, 1), reason="this Pillow writes no BigTIFF")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_bigtiff_is_turned_and_described_as_tiff_is(tmp_path, big, deep):
    pixels = np.arange(6, dtype=np.uint16 if deep else np.uint8).reshape(2, 3)
    path = tmp_path / "a.tif"
    Image.fromarray(pixels).save(path, exif=camera_exif(), big_tiff=big)
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff == big
    photograph = read_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, np.rot90(pixels, -1))
    exif = Image.Exif()
    exif.load(photograph.exif)  # as a reader of the result does
    assert exif[0x010F] == "Camera"
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert exif.get(0x0112, 1) == 1


def gamma_chunk(gamma):
    return png_chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def colored_png(chunks, samples=DEEP):
    rows = [row.astype(">u2").tobytes() for row in samples]
    return png_file(samples.shape[1], samples.shape[0], 16, RGB, rows, chunks)


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8])
def test_gamma_of_png_is_converted_and_said(tmp_path, gamma):
    photograph = read(tmp_path / "a.png", colored_png(gamma_chunk(gamma)))
    stored = round(gamma * 100_000) / 100_000
    expected = encode_light((DEEP / 65535) ** (1 / stored)) * 65535
    assert np.abs(photograph.pixels - expected).max() < 30
    assert "gamma" in photograph.notes[0]


def test_primaries_of_png_are_converted(tmp_path):
    """Pure red of Display P3 lies outside sRGB; P3's white is sRGB's."""
    chromaticities = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    numbers = struct.pack(">8I", *(round(n * 100_000) for n in chromaticities))
    samples = np.array([[[65535, 0, 0], [32768] * 3, [65535] * 3, [0, 30000, 0]]], np.uint16)
    code = png_chunk(b"cICP", bytes([12, 13, 0, 1]))
    by_code = read(tmp_path / "a.png", colored_png(code, samples))
    by_numbers = colored_png(gamma_chunk(1 / 2.2) + png_chunk(b"cHRM", numbers), samples)
    for photograph in (by_code, read(tmp_path / "b.png", by_numbers)):
        np.testing.assert_array_equal(photograph.pixels[0, 0], [65535, 0, 0])
        assert np.ptp(photograph.pixels[0, 1].astype(int)) < 60
        np.testing.assert_allclose(photograph.pixels[0, 2], 65535, atol=60)
        assert photograph.pixels[0, 3, 1] > 30_000, "P3's green is greener"
    np.testing.assert_allclose(by_code.pixels[0, 1], 32768, atol=60)
    assert by_code.notes == ()


def test_png_of_srgb_by_any_chunk_is_left_alone(tmp_path):
    chunks = {
        "cICP": png_chunk(b"cICP", bytes([1, 13, 0, 1])),
        "sRGB": png_chunk(b"sRGB", b"\0") + gamma_chunk(1.0),
        "gAMA": gamma_chunk(0.45455),
        "none": b"",
    }
    for name, chunk in chunks.items():
        photograph = read(tmp_path / "a.png", colored_png(chunk))
        np.testing.assert_array_equal(photograph.pixels, DEEP, err_msg=name)
        assert photograph.notes == ()


def test_colours_of_png_that_are_not_known_are_said(tmp_path):
    broken = {
        "cICP 9, 16, 0, 1": png_chunk(b"cICP", bytes([9, 16, 0, 1])),
        "cICP 1": png_chunk(b"cICP", b"\1"),
        "gamma or primaries are broken": gamma_chunk(0),
        "primaries are broken": gamma_chunk(1.0) + png_chunk(b"cHRM", bytes(32)),
        "profile is broken": png_chunk(b"iCCP", b"name\0\0no zlib"),
    }
    for note, chunk in broken.items():
        photograph = read(tmp_path / "a.png", colored_png(chunk))
        np.testing.assert_array_equal(photograph.pixels, DEEP)
        assert len(photograph.notes) == 1
        assert note in photograph.notes[0]


def large_tiff(path, big=False):
    """A gray 16-bit TIFF of 841 megapixels in 1.6 MB: one compressed strip, named 29,000 times."""
    rows, width = 29_000, 29_000
    strip = imagecodecs.zlib_encode(np.zeros((1, width), np.uint16).tobytes())
    with tifffile.TiffWriter(path, bigtiff=big) as file:
        strips = (strip for _ in range(rows))
        options = {"compression": "adobe_deflate", "rowsperstrip": 1, "metadata": None}
        file.write(strips, shape=(rows, width), dtype=np.uint16, **options)


@pytest.mark.parametrize("big", [False, True])
def test_the_limit_counts_pixels_whatever_the_channels(tmp_path, big):
    path = tmp_path / "large.tif"
    large_tiff(path, big)
    assert path.stat().st_size < 3e6
    assert count_pixels(path) == 29_000 * 29_000
    with pytest.raises(PhotographError, match="decompression bomb"):
        read_photograph(path)


def test_pixels_are_counted_from_the_header_of_every_format(tmp_path):
    codec = {"codecformat": "jp2", "level": 0}
    files = {
        "a.png": imagecodecs.png_encode(DEEP),
        "a.jp2": imagecodecs.jpeg2k_encode(DEEP, **codec),
        "a.avif": imagecodecs.avif_encode(DEEP >> 6, level=90, bitspersample=10),
        "a.ppm": b"P6\n30 20\n65535\n" + DEEP.tobytes(),
    }
    for name, data in files.items():
        assert count_pixels(written(tmp_path / name, data)) == 600
    for big in (False, True):
        tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb", bigtiff=big)
        assert count_pixels(tmp_path / "a.tif") == 600


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["profile", "text", "both"])
def test_large_metadata_costs_no_photograph(tmp_path, depth, kind):
    """Pillow refuses what unpacks to more than 1 MiB."""
    profile = linear_profile() + bytes(3 * 2**20)
    chunks = b""
    if kind != "text":
        chunks += png_chunk(b"iCCP", b"large\0\0" + zlib.compress(profile))
    if kind != "profile":
        chunks += png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 3 * 2**20))
    samples = DEEP if depth == 16 else DEEP >> 8
    rows = [row.astype(f">u{depth // 8}").tobytes() for row in samples]
    photograph = read(tmp_path / "a.png", png_file(30, 20, depth, RGB, rows, chunks))
    top = 2**depth - 1
    expected = samples if kind == "text" else encode_light(samples / top) * top
    assert np.abs(photograph.pixels - expected).max() <= (1 if depth == 8 else 30)
    assert photograph.notes == ()
