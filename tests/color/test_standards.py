"""The curves of the standards at points worked out by hand from IEC 61966-2-1 and CIE 15."""

import numpy as np
import pytest

from koala_face import color


def test_srgb_by_hand():
    """0.5 is ((0.5 + 0.055) / 1.055)^2.4 = 0.21404 of linear light; 0.02 is 0.02 / 12.92."""
    encoded = np.array([0.0, 0.02, 0.5, 1.0], "float32")
    linear = np.array([0.0, 0.00154799, 0.21404114, 1.0])
    light, unit = color.decode_srgb(encoded)
    np.testing.assert_allclose(light / unit, linear, atol=1e-6)
    np.testing.assert_allclose(color.encode_srgb(linear.astype("float32")), encoded, atol=1e-5)


def test_eight_bits_are_the_same_light():
    light, unit = color.decode_srgb(np.array([0, 51, 255], "uint8"))
    expected, one = color.decode_srgb(np.array([0, 0.2, 1], "float32"))
    np.testing.assert_allclose(light / unit, expected / one, atol=1e-6)


def test_light_outside_the_range_is_clipped():
    assert color.encode_srgb(np.array([-0.5, 2.0], "float32")).numpy().tolist() == [0.0, 1.0]


def test_lab_by_hand():
    """The cube root above 0.008856: f(0.125) = 0.5; below, 7.787 t + 16/116."""
    relative = np.array([0.001, 0.125, 1.0], "float32")
    f = np.array([0.007787 + 16 / 116, 0.5, 1.0])
    np.testing.assert_allclose(color.lab_curve(relative) + color.LAB_OFFSET, f, atol=1e-6)
    np.testing.assert_allclose(color.inverse_lab_curve(f.astype("float32")), relative, atol=1e-5)


def test_integers_of_unknown_range_are_refused():
    with pytest.raises(TypeError, match="uint8 in 0-255"):
        color.as_srgb(np.zeros(3, "int32"))
