"""Photographs of narrow range are stretched for the networks, others are not."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from koala_face.color.luminance import gray_to_luminance
from koala_face.colorizer import gray_range


@pytest.fixture(scope="module")
def faded(astronaut):
    return np.round(100 + 0.3 * astronaut[..., 0]).astype(np.uint8)


def test_stretching_is_pillows_autocontrast(faded):
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(faded), cutoff=1), float)
    assert np.abs(gray_range.stretch(faded) - expected).max() <= 2


def test_luminance_is_stretched_as_its_grays_are(faded):
    stretched = gray_range.stretch_luminance(gray_to_luminance(faded))
    # A level of gray is 0.4 of L*, and the grays are rounded once more.
    expected = gray_to_luminance(gray_range.stretch(faded))
    np.testing.assert_allclose(stretched, expected, atol=0.3)


def test_a_faded_photograph_is_narrow_and_a_whole_range_is_not(faded, astronaut):
    assert gray_range.is_narrow(gray_to_luminance(faded))
    assert not gray_range.is_narrow(gray_to_luminance(gray_range.stretch(faded)))
    assert not gray_range.is_narrow(gray_to_luminance(astronaut[..., 0]))


def test_nothing_can_be_won_from_one_level_alone():
    assert not gray_range.is_narrow(gray_to_luminance(np.full((4, 4), 77, np.uint8)))
