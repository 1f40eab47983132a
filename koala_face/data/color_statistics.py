"""What colours portraits have: their mean, their spread, a sample of their pixels, their skin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from koala_face.color import rgb_to_lab
from koala_face.data.row_file import Rows

if TYPE_CHECKING:  # `portraits` imports `embeddings`, and that the clusters of colours
    from koala_face.data.portraits import Portraits

# Portraits in memory at once while their colours are looked at, and the pixels skipped.
SAMPLED_AT_ONCE = 50
SAMPLED_STRIDE = 4
# Cb and Cr of skin, 0-255 (Chai & Ngan, Face segmentation using skin-color map, 1999).
SKIN_CB = (77, 127)
SKIN_CR = (133, 173)
# RGB to Cb and Cr (ITU-R BT.601, full range, as in JPEG), each 128 for gray.
CB_CR_FROM_RGB = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
# The part of the portrait that is searched, and the share of it that must be skin.
MIDDLE = (0.25, 0.75)
SMALLEST_SHARE = 0.1


def mean_ab(portraits: Portraits) -> list[float]:
    """The mean a* and b* of all portraits, in CIELAB's units: the best single colour for them.

    Measured on every fourth pixel of every fourth line, which is exact enough for a baseline.
    """
    means = [ab.mean(axis=(1, 2)) for ab in sampled_ab(portraits.rgb)]
    return np.concatenate(means).mean(axis=0, dtype="float64").tolist()


def color_spread(portraits: Portraits) -> np.ndarray:
    """How far a* and b* of each portrait vary, (N,): the root of the sum of their variances."""
    variances = [ab.var(axis=(1, 2)) for ab in sampled_ab(portraits.rgb)]
    return np.sqrt(np.concatenate(variances).sum(axis=-1))


def sampled_ab(rgb: Rows | np.ndarray) -> Iterator[np.ndarray]:
    """The a*, b* of every fourth pixel of every fourth line: enough to know a portrait's colours.

    Args:
        rgb: (N, S, S, 3) uint8, an array or the rows of a file.

    Yields:
        (n, S/4, S/4, 2) float32 of some portraits at a time, in order.
    """
    for start in range(0, len(rgb), SAMPLED_AT_ONCE):
        part = rgb[start : start + SAMPLED_AT_ONCE][:, ::SAMPLED_STRIDE, ::SAMPLED_STRIDE]
        yield rgb_to_lab(part).numpy()[..., 1:]


def skin_mask(rgb: np.ndarray) -> np.ndarray:
    """Which pixels of (..., 3) uint8 sRGB have the colour of skin: (...) bool."""
    cb, cr = (rgb @ row + 128.0 for row in CB_CR_FROM_RGB)
    return (SKIN_CB[0] <= cb) & (cb <= SKIN_CB[1]) & (SKIN_CR[0] <= cr) & (cr <= SKIN_CR[1])
