"""A photograph of narrow range, faded or flat, as the networks should see it: stretched.

The photograph itself keeps its luminance; this is for the networks' small copies alone.
"""

import numpy as np

from koala_face import color
from koala_face.color.luminance import gray_to_luminance

# Percent of the pixels at either end that do not count, and the share of all gray levels below
# which the others' range is narrow. Our choice.
CUT = 1.0
NARROW = 0.5


def is_narrow(luminance: np.ndarray) -> bool:
    """Whether the sRGB grays of L*, float32 in 0-100 of any shape, span less than `NARROW`."""
    low, high = _range(color.luminance_to_gray(luminance).numpy())
    return bool(0 < high - low < NARROW)


def stretch(gray: np.ndarray) -> np.ndarray:
    """Spread the gray levels, uint8 of any shape, over the whole range, `CUT` at either end lost.

    As Pillow's `ImageOps.autocontrast(cutoff=1)`.
    """
    return np.round(255.0 * _spread(gray / np.float32(255.0))).astype(np.uint8)


def stretch_luminance(luminance: np.ndarray) -> np.ndarray:
    """As `stretch`, of L*, float32 in 0-100, whose grays are spread."""
    gray = _spread(color.luminance_to_gray(luminance).numpy())
    return gray_to_luminance(np.round(65535.0 * gray).astype(np.uint16))


def _spread(gray: np.ndarray) -> np.ndarray:
    low, high = _range(gray)
    return np.clip((gray - low) / max(high - low, 1.0 / 255.0), 0.0, 1.0)


def _range(gray: np.ndarray) -> tuple[float, float]:
    return tuple(np.percentile(gray, (CUT, 100.0 - CUT)))
