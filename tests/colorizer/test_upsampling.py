"""ab at full size along the luminance's edges, against the formula written out by loops."""

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from koala_face.colorizer.upsampling import (
    EDGE_AWARE,
    NEIGHBOURHOOD,
    PLAIN,
    RIDGE,
    Upsampler,
    average,
    fit_coefficients,
    resampling_weights,
)


def pillow_resize(channel, height, width):
    """Bicubic by Pillow, of one float channel as a whole."""
    return np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC))


def reduce(channel, size):
    return np.asarray(Image.fromarray(channel).resize((size, size), Image.Resampling.BOX))


@pytest.fixture
def small():
    random = np.random.default_rng(3)
    ab = random.uniform(-60, 60, (6, 7, 2)).astype(np.float32)
    return ab, random.uniform(0, 100, (6, 7)).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(23, 40), (3, 50), (1, 1), (6, 7)])
def test_plain_in_tiles_is_pillows_bicubic(small, height, width):
    ab, luminance = small
    upsampler = Upsampler(ab, luminance, height, width, PLAIN)
    expected = np.dstack([pillow_resize(ab[..., i], height, width) for i in (0, 1)])
    found = np.full_like(expected, np.nan)
    for left in range(0, width, 13):
        for top in range(0, height, 5):
            rows = slice(top, min(top + 5, height))
            columns = slice(left, min(left + 13, width))
            found[rows, columns] = np.dstack(upsampler.tile(None, rows, columns))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def loop_average(maps):
    """The Gaussian neighbourhood, pixel by pixel."""
    height, width, _ = maps.shape
    result = np.zeros(maps.shape)
    for y in range(height):
        for x in range(width):
            total = 0.0
            for v in range(height):
                for u in range(width):
                    distance = (y - v) ** 2 + (x - u) ** 2
                    weight = np.exp(-distance / (2 * NEIGHBOURHOOD**2))
                    result[y, x] += weight * maps[v, u]
                    total += weight
            result[y, x] /= total
    return result


def test_coefficients_are_the_ridge_regression_of_each_neighbourhood(small):
    ab, luminance = small
    np.testing.assert_allclose(average(ab), loop_average(ab), rtol=1e-4, atol=1e-4)
    guide = luminance[..., None].astype(float)
    mean_guide, mean_ab = loop_average(guide), loop_average(ab)
    variance = loop_average(guide**2) - mean_guide**2
    covariance = loop_average(guide * ab) - mean_guide * mean_ab
    gain = loop_average(covariance / (variance + RIDGE))
    expected = np.concatenate([gain, ab - gain * guide], axis=-1)
    found = fit_coefficients(ab, luminance)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_without_edges_edge_aware_is_plain(small):
    """A luminance that is flat has nothing to say: the bicubic result comes out."""
    ab, _ = small
    flat = np.full((6, 7), 40, np.float32)
    part = slice(0, 20), slice(0, 30)
    aware = Upsampler(ab, flat, 20, 30, EDGE_AWARE).tile(np.full((20, 30), 40, np.float32), *part)
    plain = Upsampler(ab, flat, 20, 30, PLAIN).tile(None, *part)
    np.testing.assert_allclose(aware, plain, atol=1e-3)


def test_an_edge_between_two_predicted_pixels_is_found():
    """Skin beside a dark wall; the edge lies within a predicted pixel, a third from its left."""
    luminance = np.full((90, 90), 20, np.float32)
    luminance[:, :33] = 80
    truth = np.where(luminance == 80, 30, 0).astype(np.float32)
    small_l, small_a = reduce(luminance, 10), reduce(truth, 10)
    ab = np.dstack([small_a, small_a])
    part = slice(0, 90), slice(0, 90)
    error = {
        name: np.abs(Upsampler(ab, small_l, 90, 90, name).tile(luminance, *part)[0] - truth)
        for name in (EDGE_AWARE, PLAIN)
    }
    assert error[EDGE_AWARE].mean() < 0.5 * error[PLAIN].mean()


@pytest.mark.parametrize("size", [128, 64, 32])
@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_edge_aware_is_closer_to_the_true_colours_of_portraits(request, name, size):
    """True ab, reduced as the network would predict it at best, and brought back."""
    portrait = request.getfixturevalue(name)
    lab = rgb2lab(portrait).astype(np.float32)
    height, width = portrait.shape[:2]
    small = np.dstack([reduce(np.ascontiguousarray(lab[..., i]), size) for i in range(3)])
    part = slice(0, height), slice(0, width)
    error = {}
    for way in (EDGE_AWARE, PLAIN):
        upsampler = Upsampler(small[..., 1:], small[..., 0], height, width, way)
        found = np.dstack(upsampler.tile(lab[..., 0], *part))
        error[way] = np.mean((found - lab[..., 1:]) ** 2)
    assert error[EDGE_AWARE] < 0.97 * error[PLAIN]


def test_weights_sum_to_one_and_shrinking_averages():
    weights = resampling_weights(100, 4, 1, 3)
    assert weights.shape == (2, 100)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert (np.abs(weights) > 1e-6).sum(axis=1).min() > 50


def test_unknown_ways_are_refused(small):
    with pytest.raises(ValueError, match=r"edge-aware.*nearest"):
        fit_coefficients(*small, "nearest")
