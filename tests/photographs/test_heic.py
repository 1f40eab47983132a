"""HEIC, the format of phones: read where pillow-heif is installed, named where it is not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from koala_face.photographs import decoding
from koala_face.photographs.decoding import PhotographError, count_pixels, read_photograph
from koala_face.photographs.reading import find_photographs

installed = pytest.mark.skipif(
    importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is not installed"
)
BLOCKS = np.kron(
    np.random.default_rng(2).integers(0, 256, (4, 6, 3), np.uint8), np.ones((16, 16, 1), np.uint8)
)


def test_heic_is_found_and_named_where_it_cannot_be_read(tmp_path, monkeypatch):
    """The first box of a phone's photograph, without any reader of it."""
    monkeypatch.setattr(decoding, "FORMATS", ("JPEG", "PNG"))
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\x00\x00\x00\x24ftypheic\x00\x00\x00\x00mif1MiHBmiafheic" + bytes(64))
    assert find_photographs(tmp_path) == [Path("IMG_0001.HEIC")]
    with pytest.raises(PhotographError, match=r"IMG_0001.HEIC: HEIC .*pip install pillow-heif"):
        read_photograph(path)
    assert count_pixels(path) == 0


@installed
def test_heic_is_read_with_its_exif_and_turned(tmp_path):
    import pillow_heif

    path = tmp_path / "a.heic"
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    coded = pillow_heif.from_pillow(Image.fromarray(BLOCKS))
    coded.save(path, quality=-1, exif=exif.tobytes())
    photograph = read_photograph(path)
    assert np.abs(photograph.pixels.astype(int) - np.rot90(BLOCKS, -1)).max() <= 2
    assert photograph.pixels.dtype == np.uint8
    assert photograph.format == "HEIF"
    assert photograph.notes == ()
    again = Image.Exif()
    again.load(photograph.exif)
    assert again[0x010F] == "Camera"
    assert again.get(0x0112, 1) == 1
    assert count_pixels(path) == 64 * 96


@installed
def test_deep_heic_keeps_its_bits(tmp_path):
    import pillow_heif

    path = tmp_path / "a.heic"
    data = (BLOCKS.astype(np.uint16) * 257).tobytes()
    pillow_heif.from_bytes(mode="RGB;16", size=(96, 64), data=data).save(path, quality=-1)
    photograph = read_photograph(path)
    assert photograph.pixels.dtype == np.uint16
    assert np.abs(photograph.pixels / 257 - BLOCKS).max() < 1
    assert photograph.notes == ("its 10-bit samples were scaled to 16 bits",)


@installed
def test_broken_heic_is_a_named_error(tmp_path):
    import pillow_heif

    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(BLOCKS)).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(PhotographError, match=r"a.heic"):
        read_photograph(path)
