"""Colouring at full size: the photograph's own luminance, by scikit-image's CIELAB."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from koala_face.colorizer import full_size
from koala_face.colorizer.full_size import color_pixels, gray_version, tiles
from koala_face.colorizer.pictures import GRAY_TOLERANCE, is_colored


def luminance_of(pixels):
    """L* by scikit-image, in 0-100."""
    top = np.iinfo(pixels.dtype).max
    return rgb2lab((np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels) / top)[..., 0]


def true_maps(portrait, size=64):
    """The portrait's own L* and ab, reduced, as a perfect network's prediction."""
    lab = rgb2lab(portrait).astype(np.float32)
    small = [
        np.asarray(Image.fromarray(channel).resize((size, size), Image.Resampling.BOX))
        for channel in np.moveaxis(lab, -1, 0).copy()
    ]
    return small[0], np.dstack(small[1:])


@pytest.mark.parametrize("way", ["edge-aware", "plain"])
@pytest.mark.parametrize("saturation", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("colored", [False, True])
def test_luminance_stays_within_one_eight_bit_step(astronaut, way, saturation, colored):
    """Also where saturation drives most colours out of the gamut."""
    luminance, ab = true_maps(astronaut)
    pixels = astronaut if colored else gray_version(astronaut)
    result = color_pixels(pixels, luminance, ab, way, saturation)
    difference = np.abs(luminance_of(result) - luminance_of(pixels)) * 2.55
    assert (difference <= 1).mean() >= 0.999
    assert difference.max() < 1.5


def test_sixteen_bits_keep_their_luminance_far_better(astronaut):
    luminance, ab = true_maps(astronaut)
    ramp = np.linspace(0, 65535, 512 * 512).reshape(512, 512).astype(np.uint16)
    result = color_pixels(ramp, luminance, ab)
    assert result.dtype == np.uint16
    assert np.abs(luminance_of(result) - luminance_of(ramp)).max() * 2.55 < 0.15
    assert len(np.unique(result[..., 1])) > 20_000
    eight = color_pixels(ramp, luminance, ab, dtype=np.uint8)
    assert eight.dtype == np.uint8
    assert np.abs(eight - result / 257).max() <= 0.51


def test_known_ab_comes_out():
    gray = np.arange(60, 200, dtype=np.uint8).reshape(10, 14)
    ab = np.full((4, 4, 2), (12, 18), np.float32)
    lab = rgb2lab(color_pixels(gray, np.full((4, 4), 50, np.float32), ab))
    np.testing.assert_allclose(lab[..., 1:], np.broadcast_to((12, 18), (10, 14, 2)), atol=1.5)


def test_no_saturation_gives_the_gray_photograph(astronaut):
    gray = gray_version(astronaut)
    result = color_pixels(gray, *true_maps(astronaut), saturation=0.0)
    np.testing.assert_array_equal(result, np.dstack([gray] * 3))


def test_tiles_do_not_show(astronaut, monkeypatch):
    luminance, ab = true_maps(astronaut)
    whole = color_pixels(astronaut, luminance, ab)
    monkeypatch.setattr(full_size, "TILE_PIXELS", 3000)
    monkeypatch.setattr(full_size, "TILE_WIDTH", 100)
    assert np.abs(color_pixels(astronaut, luminance, ab).astype(int) - whole).max() <= 1


def test_tiles_are_coloured_side_by_side_into_the_same_bytes(astronaut, monkeypatch):
    monkeypatch.setattr(full_size, "TILE_PIXELS", 3000)
    monkeypatch.setattr(full_size, "TILE_WIDTH", 100)
    maps = true_maps(astronaut)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three:
        monkeypatch.setattr(full_size, "tile_threads", lambda: one)
        expected = color_pixels(astronaut, *maps)
        together, luminance_of = threading.Barrier(3), full_size.luminance_of

        def wait_for_the_others(pixels):
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(10)
            return luminance_of(pixels)

        monkeypatch.setattr(full_size, "luminance_of", wait_for_the_others)
        monkeypatch.setattr(full_size, "tile_threads", lambda: three)
        np.testing.assert_array_equal(color_pixels(astronaut, *maps), expected)
        assert not together.broken


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1), (700, 900)])
def test_tiles_cover_each_pixel_once(shape):
    count = np.zeros(shape, int)
    for part in tiles(*shape):
        count[part] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3)])
def test_extreme_shapes_keep_their_luminance(shape):
    gray = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ab = np.full((16, 16, 2), (12, 18), np.float32)
    result = color_pixels(gray, np.full((16, 16), 50, np.float32), ab)
    assert result.shape == (*shape, 3)
    assert np.abs(luminance_of(result) - luminance_of(gray)).max() * 2.55 <= 1


def test_gray_version_has_the_colours_luminance(astronaut):
    gray = gray_version(astronaut)
    assert gray.dtype == np.uint8
    assert np.abs(luminance_of(gray) - luminance_of(astronaut)).max() < 0.35
    deep = gray_version(astronaut.astype(np.uint16) * 257, np.uint16)
    assert np.abs(luminance_of(deep) - luminance_of(astronaut)).max() < 0.01
    assert gray_version(gray) is gray


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_gray_saved_as_colour_has_the_luminance_of_gray(dtype):
    top = np.iinfo(dtype).max
    gray = np.linspace(0, top, 60 * 40).reshape(60, 40).astype(dtype)
    tinted = np.dstack([gray] * 3)
    tinted[7, 7, 1] = 0  # one pixel of another colour: computed as colour, all of it
    for pixels in (np.dstack([gray] * 3), tinted):
        np.testing.assert_allclose(
            full_size.luminance_of(pixels), luminance_of(pixels), atol=1e-3, rtol=0
        )


@pytest.mark.parametrize(("dtype", "step"), [("uint8", 1), ("uint16", 257)])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_single_pixel_is_colour_beyond_the_tolerance(dtype, step, channel):
    pixels = np.full((4, 5, 3), 100 * step, dtype)
    assert not is_colored(pixels[..., 0])
    for sign in (-1, 1):
        pixels[2, 3, channel] = (100 + sign * GRAY_TOLERANCE) * step
        assert not is_colored(pixels)
        pixels[2, 3, channel] = (100 + sign * GRAY_TOLERANCE) * step + sign
        assert is_colored(pixels)
        pixels[2, 3, channel] = 100 * step
