"""Finding, reading as 8-bit RGB, and the project's one resize."""

import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.transform import downscale_local_mean

from koala_face.photographs.decoding import PhotographError
from koala_face.photographs.reading import (
    as_eight_bit,
    find_photographs,
    over_white,
    read_rgb,
    resize,
)


def test_photographs_are_found_below_and_sorted(tmp_path):
    for name in ("b.JPG", "a.png", "z/c.tiff", "z/y/d x.webp", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "e.jpg").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [path.as_posix() for path in find_photographs(tmp_path)]
    assert found == ["a.png", "b.JPG", "z/c.tiff", "z/y/d x.webp"]


def test_folders_without_photographs_are_errors(tmp_path):
    with pytest.raises(PhotographError, match=r"nowhere.*does not exist"):
        find_photographs(tmp_path / "nowhere")
    (tmp_path / "file.jpg").touch()
    with pytest.raises(PhotographError, match="is a file"):
        find_photographs(tmp_path / "file.jpg")
    (tmp_path / "file.jpg").unlink()
    with pytest.raises(PhotographError, match=r"no file whose name ends in"):
        find_photographs(tmp_path)


def test_every_kind_becomes_three_channels_of_eight_bits(tmp_path, astronaut):
    gray = astronaut[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "gray.png"), np.dstack([gray] * 3))
    tifffile.imwrite(tmp_path / "deep.tif", astronaut.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(read_rgb(tmp_path / "deep.tif"), astronaut)
    values = (astronaut / 255).astype(np.float32)
    tifffile.imwrite(tmp_path / "float.tif", values, photometric="rgb")
    np.testing.assert_array_equal(read_rgb(tmp_path / "float.tif"), astronaut)


def test_transparent_parts_lie_over_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    # 51 / 255 is a fifth: 0.8 * 255 + 0.2 * (0, 100, 200).
    expected = [[[10, 20, 30], [255, 255, 255], [204, 224, 244]]]
    np.testing.assert_array_equal(read_rgb(tmp_path / "alpha.png"), expected)
    np.testing.assert_array_equal(over_white(rgba[..., 0], rgba[..., 3]), [[10, 255, 204]])


@pytest.mark.parametrize("name", ["large.jpg", "large.png"])
@pytest.mark.parametrize("shortest", [64, 100, 200, 255, 256, 400, 512, 600])
def test_reduced_decoding_never_falls_below_what_is_needed(tmp_path, grace_hopper, name, shortest):
    Image.fromarray(grace_hopper).save(tmp_path / name)
    height, width = read_rgb(tmp_path / name, shortest).shape[:2]
    assert min(height, width) >= min(shortest, 512)
    assert min(height, width) < max(2 * shortest, 513)
    assert height / width == pytest.approx(600 / 512, abs=0.01)


def test_reduction_averages_whole_blocks(tmp_path, astronaut):
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    expected = downscale_local_mean(astronaut, (4, 4, 1))
    assert np.abs(read_rgb(tmp_path / "a.png", 128) - expected).max() <= 1


def test_resize_is_pillows_bicubic(astronaut):
    expected = np.asarray(Image.fromarray(astronaut).resize((40, 90), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize(astronaut, 90, 40), expected)
    gray = resize(astronaut[..., 0], 90, 40)
    np.testing.assert_array_equal(gray, expected[..., 0])
    same = resize(astronaut, 512, 512)
    same[:] = 0
    assert astronaut.any(), "the result is a copy"


def test_resize_of_other_arrays_is_refused():
    with pytest.raises(ValueError, match=r"uint8 pixels.*float64"):
        resize(np.zeros((4, 4)), 2, 2)


def test_sixteen_bits_round_to_the_nearest_eight():
    values = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(as_eight_bit(values), np.round(values / 257))


def test_rounding_takes_little_more_memory_than_its_result():
    """At once it took eight times as much: two gibibytes for a scan of 50 megapixels."""
    pixels = np.zeros((1000, 1000, 3), np.uint16)
    tracemalloc.start()
    try:
        eight = as_eight_bit(pixels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * eight.nbytes
