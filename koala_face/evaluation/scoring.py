"""Score colorizations portrait by portrait (Section II.E): the one path of evaluate and compare.

All colorings (`batch_coloring`), the network's among them, are measured alike: true L* and the
coloring's ab become sRGB, clipped by channel and rounded to 8 bits, and are held against the
true picture; and once more as `koala_face.colorize` writes them, brought into sRGB by less
chroma. Pixels pass through in batches; what stays in memory of a portrait are some ten numbers.
"""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from koala_face import metrics
from koala_face.colorizer.gamut import lab_to_linear_in_gamut
from koala_face.data.portraits import Portraits
from koala_face.evaluation.batch_coloring import (
    Batch,
    Coloring,
    apply_coloring,
    make_pictures,
    read_batch,
)
from koala_face.evaluation.bootstrap import RESAMPLES, Estimate, estimate_means, transform
from koala_face.figures.paper import LEVELS, count_levels
from koala_face.foundation.errors import KoalaFaceError, visible
from koala_face.foundation.files import replacing


class EvaluationError(KoalaFaceError):
    """Portraits, or a size of them, that cannot be scored."""


class Metric(NamedTuple):
    """A column of the tables: its key, its heading, and digits after the point."""

    key: str
    title: str
    digits: int


METRICS = (
    Metric("mse", "MSE", 1),
    Metric("mae", "MAE", 2),
    Metric("colorfulness", "M", 2),
    Metric("colorfulness_difference", "ΔM", 2),
    Metric("ab_mse", "MSE in ab", 1),
    Metric("ab_mae", "MAE in ab", 2),
    Metric("psnr", "PSNR, dB", 2),
    Metric("ssim", "SSIM", 3),
    Metric("gamut_mse", "MSE in gamut", 1),
    Metric("gamut_mae", "MAE in gamut", 2),
)


class Scores(NamedTuple):
    """One coloring's metrics: `values` maps each key of `METRICS` to (N,) float64.

    Of several trainings `joined`, they are (T, N), and the levels the sums.
    `levels` and `true_levels`, (3, 256), count the levels of R, G and B over all portraits.
    """

    paths: list[str]
    values: dict[str, np.ndarray]
    levels: np.ndarray
    true_levels: np.ndarray

    @property
    def true_colorfulness(self) -> np.ndarray:
        """M of the true portraits, by Equation 1."""
        return self.values["colorfulness"] - self.values["colorfulness_difference"]


def measure(rgb: np.ndarray, ab: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
    """All of `METRICS` of a colored batch, (B,) each."""
    in_gamut = make_pictures(batch, ab, lab_to_linear_in_gamut)
    return {
        "mse": metrics.mean_squared_error(rgb, batch.rgb),
        "mae": metrics.mean_absolute_error(rgb, batch.rgb),
        "colorfulness": metrics.colorfulness(rgb),
        "colorfulness_difference": metrics.colorfulness_difference(rgb, batch.rgb),
        "ab_mse": metrics.mean_squared_error(ab, batch.ab),
        "ab_mae": metrics.mean_absolute_error(ab, batch.ab),
        "psnr": metrics.peak_signal_to_noise_ratio(rgb, batch.rgb),
        "ssim": metrics.structural_similarity_index(rgb, batch.rgb),
        "gamut_mse": metrics.mean_squared_error(in_gamut, batch.rgb),
        "gamut_mae": metrics.mean_absolute_error(in_gamut, batch.rgb),
    }


def score(
    portraits: Portraits,
    coloring: Coloring,
    batch_size: int = 8,
    name: str = "",
    look: Callable[[Batch, np.ndarray, np.ndarray], None] | None = None,
) -> Scores:
    """Score a coloring on all portraits, a batch at a time.

    Args:
        portraits: or whatever has their `paths`, `rgb` and `embeddings`.
        coloring: see above.
        batch_size: portraits in memory at once.
        name: what the progress bar says.
        look: is shown each batch, its colored pictures, (B, S, S, 3) uint8, and their ab.
    """
    columns = {metric.key: [] for metric in METRICS}
    levels, true_levels = np.zeros((2, 3, LEVELS), np.int64)
    starts = range(0, len(portraits), batch_size)
    for start in tqdm(starts, desc=name, unit="batch", disable=None, leave=False):
        batch = read_batch(portraits, slice(start, min(start + batch_size, len(portraits))))
        rgb, ab = apply_coloring(coloring, batch)
        if look:
            look(batch, rgb, ab)
        for key, values in measure(rgb, ab, batch).items():
            columns[key].append(values)
        levels += count_levels(rgb)
        true_levels += count_levels(batch.rgb)
    values = {key: np.concatenate(column) for key, column in columns.items()}
    return Scores([str(path) for path in portraits.paths], values, levels, true_levels)


def joined(trainings: Sequence[Scores]) -> Scores:
    """The scores of several trainings of one model, on the same portraits, as one's."""
    if len(trainings) == 1:
        return trainings[0]
    values = {key: np.stack([one.values[key] for one in trainings]) for key in trainings[0].values}
    levels, true_levels = (sum(one[place] for one in trainings) for place in (2, 3))
    return Scores(trainings[0].paths, values, levels, true_levels)


def estimate(
    scores: Scores, resamples: int = RESAMPLES, seed: int = 0, model: int = 0
) -> dict[str, Estimate]:
    """The mean of each metric over portraits, with resamples; also `true_colorfulness`.

    PSNR is that of the mean MSE: one truly gray photograph, which a gray coloring meets
    perfectly, would make the mean of the portraits' own infinite.
    """
    columns = {key: values for key, values in scores.values.items() if key != "psnr"}
    columns["true_colorfulness"] = scores.true_colorfulness
    means = estimate_means(np.stack(list(columns.values()), axis=-1), resamples, seed, model)
    estimates = dict(zip(columns, means, strict=True))
    estimates["psnr"] = transform(metrics.decibels, estimates["mse"])
    return estimates


def estimate_all(
    scores: dict[str, Scores], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[str, Estimate]]:
    """`estimate` of each, with the same draws: their shares and differences are paired."""
    return {
        name: estimate(scored, resamples, seed, model)
        for model, (name, scored) in enumerate(scores.items())
    }


def choose_portraits(errors: np.ndarray) -> dict[int, str]:
    """The portraits that the figures show: first, best, median and worst by MSE.

    Args:
        errors: (N,), the MSE of each portrait, in the order of their paths.

    Returns:
        Row number to name, in that order; one portrait may bear several names.
    """
    order = np.argsort(errors, kind="stable")
    chosen = {}
    rows = (0, order[0], order[(len(order) - 1) // 2], order[-1])
    for row, name in zip(rows, ("first", "best", "median", "worst"), strict=True):
        chosen.setdefault(int(row), []).append(name)
    return {row: ", ".join(names) for row, names in chosen.items()}


def write_scores(path: str | os.PathLike, scores: dict[str, Scores]) -> Path:
    """Write a CSV with a row per portrait; the columns are `name_metric` for each coloring.

    Names of files stand in it as `visible` shows them, so that it is always UTF-8.
    """
    first = next(iter(scores.values()))
    columns = {"true_colorfulness": first.true_colorfulness}
    for name, scored in scores.items():
        columns.update({f"{name}_{key}": values for key, values in scored.values.items()})
    with replacing(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *columns])
        for row, portrait in enumerate(first.paths):
            values = (f"{column[row]:.6g}" for column in columns.values())
            writer.writerow([visible(portrait), *values])
    return Path(path)
