"""The paper's metrics (Section II.E) and the usual ones beside them, in numpy.

Every metric takes one picture (H, W, C) or a batch (N, H, W, C) and gives one
number for the picture or (N,) for the batch, float64; the mean over portraits
that the paper prints is the mean of those. Pictures are uint8 RGB in 0-255
unless a function says otherwise, and the colored one stands first, as in
Equation 1. Nothing is averaged over the batch before the square or the root.
"""

from typing import NamedTuple

import numpy as np
from skimage.metrics import structural_similarity


class ColorfulnessAttribute(NamedTuple):
    """A row of Table IV."""

    attribute: str
    value: int


# Table IV, in its order.
COLORFULNESS_ATTRIBUTES = (
    ColorfulnessAttribute("not colorful", 0),
    ColorfulnessAttribute("slightly colorful", 15),
    ColorfulnessAttribute("moderately colorful", 33),
    ColorfulnessAttribute("averagely colorful", 45),
    ColorfulnessAttribute("quite colorful", 59),
    ColorfulnessAttribute("highly colorful", 82),
    ColorfulnessAttribute("extremely colorful", 109),
)

# The largest difference of two 8-bit levels: PSNR's peak and SSIM's range.
DATA_RANGE = 255


def mean_squared_error(colored, true):
    """Equation 2, over all pixels and channels.

    Takes uint8 RGB, for the error in squared 8-bit levels, or float ab (..., 2), for the
    error in squared units of a* and b*.

    Raises:
        ValueError: for different shapes, or fewer than three dimensions.
    """
    return np.mean(_difference(colored, true) ** 2, axis=(-3, -2, -1))


def mean_absolute_error(colored, true):
    """Equation 3, over all pixels and channels; arguments as for `mean_squared_error`."""
    return np.mean(np.abs(_difference(colored, true)), axis=(-3, -2, -1))


def colorfulness(rgb):
    """M of Hasler & Süsstrunk (2003), the paper's reference [9]: 0 for gray, above 109 extreme.

    With rg = R - G and yb = (R + G)/2 - B over the pixels,
    M = sqrt(σ_rg² + σ_yb²) + 0.3 sqrt(μ_rg² + μ_yb²): σ are standard deviations of the
    population, μ signed means.

    Raises:
        ValueError: unless the last axis holds three channels.
    """
    rgb = _as_float(rgb)
    if rgb.shape[-1] != 3:
        raise ValueError(f"Expected RGB, three channels last. Received: shape={rgb.shape}.")
    red, green, blue = np.moveaxis(rgb, -1, 0)
    rg = red - green
    yb = (red + green) / 2 - blue
    pixels = (-2, -1)
    spread = np.sqrt(np.var(rg, axis=pixels) + np.var(yb, axis=pixels))
    offset = np.hypot(np.mean(rg, axis=pixels), np.mean(yb, axis=pixels))
    return spread + 0.3 * offset


def colorfulness_difference(colored, true):
    """Equation 1: ΔM = M(colored) - M(true); below 0 the coloring is duller than the truth."""
    return colorfulness(colored) - colorfulness(true)


def mean_colorfulness_difference(colored, true) -> float:
    """Equation 4: the mean of ΔM over a batch (N, H, W, 3)."""
    return float(np.mean(colorfulness_difference(colored, true)))


def colorfulness_attribute(value: float) -> str:
    """The words of Table IV whose value is nearest to M (on a tie, the duller ones)."""
    return min(COLORFULNESS_ATTRIBUTES, key=lambda row: abs(row.value - value)).attribute


def peak_signal_to_noise_ratio(colored, true):
    """PSNR in dB; infinite for a perfect picture."""
    return decibels(mean_squared_error(colored, true))


def decibels(mse):
    """The PSNR of an MSE of 8-bit levels, 10 log10(255²/MSE)."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(DATA_RANGE**2 / np.asarray(mse))


def structural_similarity_index(colored, true):
    """SSIM of Wang et al. (2004), mean of the three channels: 1 for a perfect picture.

    With the settings of that article, as scikit-image offers them: a Gaussian window of
    σ = 1.5 over 11x11 pixels and the covariance of the population.

    Raises:
        ValueError: for different shapes, or pictures below 11x11 pixels.
    """
    colored, true = _as_float(colored), _as_float(true)
    if colored.ndim > 3:
        pairs = zip(colored, true, strict=True)
        return np.array([structural_similarity_index(one, other) for one, other in pairs])
    return structural_similarity(
        colored,
        true,
        channel_axis=-1,
        data_range=DATA_RANGE,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def _difference(colored, true) -> np.ndarray:
    colored, true = _as_float(colored), _as_float(true)
    if colored.shape != true.shape:
        raise ValueError(
            "Expected two pictures or two batches of one shape. "
            f"Received: colored={colored.shape}, true={true.shape}. Resize one to the other first."
        )
    return colored - true


def _as_float(pictures) -> np.ndarray:
    """To float64, in which 8-bit levels do not wrap around."""
    pictures = np.asarray(pictures)
    if pictures.ndim < 3:
        raise ValueError(
            "Expected a picture (H, W, C) or a batch (N, H, W, C). "
            f"Received: shape={pictures.shape}."
        )
    return pictures.astype(np.float64)
