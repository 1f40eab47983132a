"""A photograph of narrow range, faded or flat, as the networks should see it: stretched.

The photograph itself keeps its luminance; this is for the networks' small copies alone.
"""

import numpy as np

# Percent of the pixels at either end that do not count, and the share of all gray levels below
# which the others' range is narrow. Our choice.
CUT = 1.0
NARROW = 0.5


def is_narrow(gray) -> bool:
    """Whether the gray levels, uint8 of any shape, span less than `NARROW` of all."""
    low, high = np.percentile(gray, (CUT, 100.0 - CUT))
    return bool(0 < high - low < NARROW * 255.0)


def stretch(gray) -> np.ndarray:
    """Spread the gray levels, uint8 of any shape, over the whole range, `CUT` at either end lost.

    As Pillow's `ImageOps.autocontrast(cutoff=1)`.
    """
    low, high = np.percentile(gray, (CUT, 100.0 - CUT))
    spread = (gray.astype("float32") - low) * (255.0 / max(high - low, 1.0))
    return np.round(np.clip(spread, 0.0, 255.0)).astype(np.uint8)
