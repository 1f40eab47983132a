"""Writing photographs: what each format keeps, read back by Pillow and tifffile themselves."""

import io
import os

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from koala_face.photographs.decoding import Photograph, PhotographError, read_photograph
from koala_face.photographs.encoding import OUTPUT_FORMATS, format_of_suffix, write_photograph
from koala_face.photographs.metadata import keep_description

EXIF, GPS = 0x8769, 0x8825
MAKER, ORIENTATION, COPYRIGHT, DATE, LATITUDE = 0x010F, 0x0112, 0x8298, 0x9003, 2


def camera_exif():
    """EXIF as a camera writes it: texts, rotation, the nested directories."""
    exif = Image.Exif()
    exif[MAKER], exif[ORIENTATION], exif[COPYRIGHT] = "Köhler", 6, b"\xa9 2020"
    exif.get_ifd(EXIF)[DATE] = "2020:01:02 03:04:05"
    exif.get_ifd(GPS)[LATITUDE] = (52.0, 30.0, 1.5)
    return exif


def check_exif(exif):
    assert exif[MAKER] == "Köhler"
    assert exif[COPYRIGHT] == "© 2020"
    assert exif.get(ORIENTATION, 1) == 1
    assert exif.get_ifd(EXIF)[DATE] == "2020:01:02 03:04:05"
    assert exif.get_ifd(GPS)[LATITUDE] == (52.0, 30.0, 1.5)


@pytest.fixture
def photograph(astronaut):
    exif = keep_description(camera_exif())
    return Photograph(astronaut[:60, :90], None, exif, (300.0, 200.0), has_profile=True)


def deep(pixels):
    """16-bit pixels whose low bytes matter."""
    return pixels.astype(np.uint16) * 257 ^ 0x00A5


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_sixteen_bits_and_alpha_come_back_from_other_readers(tmp_path, photograph, name):
    pixels, alpha = deep(photograph.pixels), deep(photograph.pixels[..., 1])
    path = tmp_path / "photo"
    for part in (photograph._replace(pixels=pixels), photograph._replace(pixels=pixels[..., 0])):
        write_photograph(path, part, name)
        read = tifffile.imread if name == "tiff" else imagecodecs.imread
        np.testing.assert_array_equal(read(path), part.pixels)
        assert write_photograph(path, part._replace(alpha=alpha), name) == []
        np.testing.assert_array_equal(read(path), np.dstack([part.pixels, alpha]))


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_metadata_comes_back_through_pillow(tmp_path, photograph, name):
    path = tmp_path / "photo"
    assert write_photograph(path, photograph, name) == []
    with Image.open(path) as image:
        assert image.format == name.upper()
        assert image.mode == "RGB"
        assert image.size == (90, 60)
        check_exif(image.getexif())
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        if name != "webp":  # which has no place for it
            assert image.info["dpi"] == pytest.approx((300, 200), abs=0.01)
        lossless = name in ("png", "tiff")
        difference = np.abs(np.asarray(image).astype(int) - photograph.pixels)
        assert difference.max() == 0 if lossless else difference.mean() < 3


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_metadata_of_sixteen_bits_comes_back(tmp_path, photograph, name):
    path = tmp_path / "photo"
    write_photograph(path, photograph._replace(pixels=deep(photograph.pixels)), name)
    again = read_photograph(path)
    assert again.pixels.dtype == np.uint16
    assert again.dpi == pytest.approx((300, 200), abs=0.01)
    assert again.has_profile
    exif = Image.Exif()
    exif.load(again.exif)
    check_exif(exif)


def test_tiff_directories_are_in_order(tmp_path, photograph):
    """TIFF 6.0, section 2: entries ascend by tag; tifffile says so if they do not."""
    write_photograph(tmp_path / "a.tif", photograph, "tiff")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        codes = [tag.code for tag in file.pages[0].tags]
        assert len(file.pages) == 1
    assert codes == sorted(codes)
    assert {EXIF, GPS, MAKER} <= set(codes)


def test_what_a_format_cannot_hold_is_said(tmp_path, photograph):
    clear = photograph._replace(
        pixels=deep(photograph.pixels), alpha=np.zeros((60, 90), np.uint16), exif=b""
    )
    notes = write_photograph(tmp_path / "a.jpg", clear, "jpeg")
    assert len(notes) == 2
    assert "8 of its 16 bits" in notes[0]
    assert "over white" in notes[1]
    assert np.asarray(Image.open(tmp_path / "a.jpg")).min() >= 254
    assert write_photograph(tmp_path / "a.webp", clear, "webp") == ["webp holds 8 of its 16 bits"]
    large = photograph._replace(exif=b"Exif\0\0" + b"\0" * 70_000)
    assert "no EXIF of 70,006 bytes" in write_photograph(tmp_path / "b.jpg", large, "jpeg")[0]
    with pytest.raises(PhotographError, match=r"16,383.*--format png"):
        wide = photograph._replace(pixels=np.zeros((1, 20_000), np.uint8))
        write_photograph(tmp_path / "c.webp", wide, "webp")


def test_quality_changes_the_size_of_a_jpeg(tmp_path, photograph):
    for quality in (20, 95):
        write_photograph(tmp_path / f"{quality}.jpg", photograph, "jpeg", quality)
    assert (tmp_path / "95.jpg").stat().st_size > 2 * (tmp_path / "20.jpg").stat().st_size


def noise(height, width):
    """Takes more bytes as JPEG than Pillow sets aside."""
    pixels = np.random.default_rng(0).integers(0, 2, (height, width, 3), np.uint8) * 255
    return Photograph(pixels)


@pytest.mark.parametrize("quality", [95, 100])
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0" + b"\0" * 60_000])
def test_noise_is_written_as_jpeg(tmp_path, quality, exif):
    path = tmp_path / "noise.jpg"
    noisy = noise(300, 400)._replace(exif=exif)
    assert write_photograph(path, noisy, "jpeg", quality) == []
    difference = np.abs(np.asarray(Image.open(path)).astype(int) - noisy.pixels)
    assert difference.mean() < (4 if quality == 100 else 20)


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_what_no_encoder_takes_is_a_named_error(tmp_path, name):
    nothing = Photograph(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(PhotographError, match=r"a.bin: (cannot be encoded|too large)"):
        write_photograph(tmp_path / "a.bin", nothing, name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_written_remains(tmp_path, photograph, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"the old one")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PhotographError, match=r"a.png: cannot be written, No space left"):
        write_photograph(target, photograph, "png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert target.read_bytes() == b"the old one"


def test_a_place_that_cannot_be_written_is_named(tmp_path, photograph):
    (tmp_path / "file").touch()
    with pytest.raises(PhotographError, match=r"file/a.png: cannot be written"):
        write_photograph(tmp_path / "file" / "a.png", photograph, "png")


def test_files_get_the_usual_permissions(tmp_path, photograph):
    write_photograph(tmp_path / "a.png", photograph, "png")
    (tmp_path / "b").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_suffixes_name_formats():
    expected = {".JPG": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".TIFF": "tiff", ".gif": None}
    assert {suffix: format_of_suffix(suffix) for suffix in expected} == expected
    assert all(format_of_suffix(form.suffix) == name for name, form in OUTPUT_FORMATS.items())
