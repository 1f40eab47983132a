"""16-bit colour through matrix profiles, against the matrices themselves."""

import imagecodecs
import numpy as np
import pytest
import skimage.data
from support.photograph_files import encode_light

from koala_face.photographs.profiles import convert_to_srgb

# x, y of red, green, blue and white; gamma: ROMM RGB (ISO 22028-2), SMPTE RP 431 with D65, Adobe.
SPACES = {
    "ProPhoto": ((0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), (0.3457, 0.3585), 1.8),
    "P3": ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), (0.3127, 0.3290), 2.2),
    "Adobe": ((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), (0.3127, 0.3290), 563 / 256),
}
SRGB = ((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), (0.3127, 0.3290))
D50 = np.array([0.9642, 1.0, 0.8249])  # ICC.1:2010, 7.2.16
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
PHOTOGRAPHS = ("astronaut", "hopper", "chelsea", "coffee", "rocket", "retina")


def xyz(x, y):
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_d50(primaries, white):
    """Linear RGB to XYZ under D50 (Lindbloom: primaries scaled to white, Bradford)."""
    columns = np.stack([xyz(*primaries[i : i + 2]) for i in (0, 2, 4)], axis=1)
    matrix = columns * np.linalg.solve(columns, xyz(*white))
    cones = (BRADFORD @ D50) / (BRADFORD @ xyz(*white))
    return np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ matrix


def photograph(name, grace_hopper):
    """16 bits, of which the low ones matter; every second pixel, to be quick."""
    pixels = grace_hopper if name == "hopper" else getattr(skimage.data, name)()
    pixels = pixels[::2, ::2].astype(np.uint16) * 257
    return pixels ^ np.random.default_rng(3).integers(0, 257, pixels.shape, np.uint16)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_sixteen_bits_are_converted_as_the_matrices_say(name, space, grace_hopper):
    primaries, white, gamma = SPACES[space]
    points = [number for i in (0, 2, 4) for number in (*primaries[i : i + 2], 1.0)]
    profile = imagecodecs.cms_profile(
        "rgb", whitepoint=[*white, 1.0], primaries=points, gamma=gamma
    )
    samples = photograph(name, grace_hopper)
    pixels, notes = convert_to_srgb(samples, profile)
    assert notes == []
    matrix = np.linalg.inv(to_d50(*SRGB)) @ to_d50(primaries, white)
    linear = (samples / 65535.0) ** gamma @ matrix.T
    expected = 255.0 * encode_light(np.clip(linear, 0.0, 1.0))
    # A tenth of an 8-bit step: profiles hold their matrices in 16ths of 4096ths.
    assert np.abs(pixels / 257.0 - expected).max() < 0.1
