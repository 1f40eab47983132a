"""Photographs of narrow range are stretched for the networks, others are not."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from koala_face import gray_range


@pytest.fixture(scope="module")
def faded(astronaut):
    return np.round(100 + 0.3 * astronaut[..., 0]).astype(np.uint8)


def test_stretching_is_pillows_autocontrast(faded):
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(faded), cutoff=1), float)
    assert np.abs(gray_range.stretch(faded) - expected).max() <= 2


def test_a_faded_photograph_is_narrow_and_a_whole_range_is_not(faded, astronaut):
    assert gray_range.is_narrow(faded)
    assert not gray_range.is_narrow(gray_range.stretch(faded))
    assert not gray_range.is_narrow(astronaut[..., 0])


def test_nothing_can_be_won_from_one_level_alone():
    assert not gray_range.is_narrow(np.full((4, 4), 77, np.uint8))
