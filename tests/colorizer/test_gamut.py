"""Colours outside sRGB lose chroma, never their lightness or hue; against scikit-image."""

import warnings

import numpy as np
from skimage.color import lab2rgb, rgb2lab, xyz2lab

from koala_face.color import XYZ_FROM_RGB
from koala_face.colorizer.gamut import lab_to_linear_in_gamut


def fitted_lab(lab):
    """Colours after the mapping, (N, 3) CIELAB by scikit-image."""
    linear = lab_to_linear_in_gamut(np.asarray(lab, np.float32)[None])[0]
    assert linear.min() >= 0
    assert linear.max() <= 1
    return xyz2lab(linear @ XYZ_FROM_RGB.T)


def polar(lab):
    return np.hypot(lab[:, 1], lab[:, 2]), np.arctan2(lab[:, 2], lab[:, 1])


def test_colours_inside_stay(astronaut):
    lab = rgb2lab(astronaut[::8, ::8]).reshape(-1, 3)
    assert np.abs(fitted_lab(lab) - lab).max() < 0.05


def test_lightness_and_hue_stay_and_chroma_is_the_largest_that_fits():
    random = np.random.default_rng(7)
    lab = np.column_stack([random.uniform(5, 95, 500), random.uniform(-120, 120, (500, 2))])
    fitted = fitted_lab(lab)
    np.testing.assert_allclose(fitted[:, 0], lab[:, 0], atol=0.05)
    (before, hue), (after, new_hue) = polar(lab), polar(fitted)
    turned = np.abs(np.angle(np.exp(1j * (hue - new_hue)))) * after
    assert turned.max() < 0.3, "hue, as a distance in a, b"
    assert (after <= before + 0.05).all()
    # A little more chroma would leave the gamut: scikit-image has to clip it.
    reduced = after < before - 0.5
    assert reduced.mean() > 0.3
    factor = (after[reduced] + 1.0) / before[reduced]
    more = lab[reduced] * np.column_stack([np.ones_like(factor), factor, factor])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image tells of the clipping
        clipped = rgb2lab(lab2rgb(more))
    assert (np.abs(clipped - more).max(axis=1) > 0.01).mean() > 0.99


def test_black_and_white_take_no_colour():
    fitted = fitted_lab([[0, 50, -50], [100, 50, -50]])
    np.testing.assert_allclose(fitted, [[0, 0, 0], [100, 0, 0]], atol=0.2)


def test_a_tile_without_colours_outside_works():
    assert lab_to_linear_in_gamut(np.full((2, 3, 3), (50, 0, 0), np.float32)).shape == (2, 3, 3)
