"""Means over portraits and how sure they are: 95 % intervals by the bootstrap.

Portraits are drawn with replacement, as many as there are, and the mean is taken
again, many times (Efron 1979); the interval holds the middle 95 % of these means.
The draws depend on seed and number of portraits alone. So means of one set of
portraits are resampled alike, and their shares and differences are paired.

An interval tells how far another choice of portraits might have moved the
number. Of another training with another seed it knows only where several were
scored: then these are drawn with replacement too, each model's for itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number, and the same number of each resample, (resamples,)."""

    value: float
    resampled: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the 95 % interval; NaN where a resample has no finite value."""
        if not np.all(np.isfinite(self.resampled)):
            return float("nan"), float("nan")
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(self.resampled, [tail, 1 - tail])
        return float(low), float(high)

    @property
    def is_noise(self) -> bool:
        """Whether 0 lies in the interval: for a difference, that it may be chance."""
        low, high = self.interval
        return not (low > 0 or high < 0)


def estimate_means(
    values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, model: int = 0
) -> list[Estimate]:
    """The mean of each column, with its resamples.

    Args:
        values: (N, K), a row per portrait and a column per metric; or (T, N, K), of T trainings.
        resamples: how many times the portraits, and the trainings, are drawn.
        seed: of the draws.
        model: its number: each has its own draws of trainings, all have those of portraits.

    Raises:
        ValueError: for no portraits.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(f"Expected a row per portrait, (N, K). Received: shape={values.shape}.")
    values = values.reshape(-1, *values.shape[-2:])
    trainings, count, metrics = values.shape
    rng, of_trainings = np.random.default_rng(seed), np.random.default_rng((seed, model))
    means = np.empty((resamples, metrics))
    for row in means:
        of_portraits = values[:, rng.integers(count, size=count)].mean(axis=1)
        row[:] = of_portraits[of_trainings.integers(trainings, size=trainings)].mean(axis=0)
    return [
        Estimate(float(value), column)
        for value, column in zip(values.mean(axis=(0, 1)), means.T, strict=True)
    ]


def transform(function: Callable[..., np.ndarray], *estimates: Estimate) -> Estimate:
    """Apply a function to estimates of the same portraits, resample by resample."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = function(*(np.float64(estimate.value) for estimate in estimates))
        return Estimate(float(value), function(*(estimate.resampled for estimate in estimates)))


def share(part: Estimate, whole: Estimate) -> Estimate:
    """`part / whole`, paired."""
    return transform(np.divide, part, whole)


def difference(one: Estimate, other: Estimate) -> Estimate:
    """`one - other`, paired."""
    return transform(np.subtract, one, other)
