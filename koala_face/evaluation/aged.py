"""What ageing costs: the errors of a model that sees portraits as old photographs.

The portrait is aged, the descriptor and the network see the aged one, and what they give is held
against the portrait's own colours. Gray and the constant do not look at the portrait: theirs are
the same in every row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from koala_face import color, metrics
from koala_face.color.luminance import gray_to_luminance
from koala_face.colorizer.colorizer import Colorizer
from koala_face.data.portraits import Portraits
from koala_face.evaluation import batch_coloring
from koala_face.evaluation.bootstrap import RESAMPLES, estimate_means, share
from koala_face.evaluation.tables import number, with_interval
from koala_face.figures.report import table
from koala_face.training import ageing

CLEAN, ALL = "none: as they are", "all together"
# What is drawn for evaluation is not what training drew: its seeds are small.
FIRST_SEED = 1_000_000

NOTE = (
    "MSE in ab, in squared units of a\\* and b\\*, of {portraits} portraits that network and "
    "descriptor see aged (`ageing`; strengths drawn for each portrait, seed {seed}), held against "
    "the portrait's own colours; then as shares of gray's and of the constant's on the same "
    "portraits; then the MSE in RGB at the portrait's own L\\*. Training with `--ageing` draws "
    "from the same effects: other old photographs differ in other ways."
)


class AgedErrors(NamedTuple):
    """A row of the table: (N,) errors of the portraits, of the model in ab and in RGB."""

    ab_mse: np.ndarray
    mse: np.ndarray


def rows_of_effects() -> dict[str, tuple[str, ...]]:
    """The rows of the table, by name: which effects the portraits show."""
    single = {name: (name,) for name in ageing.NAMES}
    return {CLEAN: (), **single, ALL: ageing.NAMES}


def score_aged(
    portraits: Portraits,
    colorizer: Colorizer,
    effects: Sequence[str],
    seed: int = 0,
    batch_size: int = 8,
    name: str = "",
) -> AgedErrors:
    """Score a colorizer on portraits that show the named effects.

    Args:
        portraits: at the size at which is measured.
        colorizer: with its descriptor.
        effects: of `ageing.NAMES`.
        seed: of the strengths.
    """
    columns = []
    starts = range(0, len(portraits), batch_size)
    for start in tqdm(starts, desc=name, unit="batch", disable=None, leave=False):
        rows = range(start, min(start + batch_size, len(portraits)))
        batch = batch_coloring.read_batch(portraits, slice(rows.start, rows.stop))
        ab = color_aged(batch, rows, colorizer, effects, seed)
        rgb, _ = batch_coloring.apply_coloring(lambda _, ab=ab: ab, batch)
        errors = metrics.mean_squared_error
        columns.append((errors(ab, batch.ab), errors(rgb, batch.rgb)))
    return AgedErrors(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def color_aged(
    batch: batch_coloring.Batch,
    rows: range,
    colorizer: Colorizer,
    effects: Sequence[str],
    seed: int,
) -> np.ndarray:
    """The ab, (B, S, S, 2), of a batch that is seen aged; `rows` number its portraits."""
    lab = np.concatenate([batch.luminance, batch.ab], axis=-1)
    linear = np.clip(color.lab_to_linear(lab), 0.0, 1.0)
    aged = [
        ageing.age(portrait, FIRST_SEED + seed, row, effects)
        for portrait, row in zip(linear, rows, strict=True)
    ]
    seen = [colorizer.prepare(gray) for gray in aged]
    predicted = colorizer.predict(seen, colorizer.embed(seen))
    inputs = zip(seen, predicted, map(gray_to_luminance, aged), strict=True)
    return np.stack([colorizer.upsample(*portrait) for portrait in inputs])


def aged_section(
    scores: dict[str, AgedErrors],
    gray: AgedErrors,
    constant: AgedErrors,
    seed: int,
    resamples: int = RESAMPLES,
) -> list[str]:
    """The section of the report.

    Args:
        scores: the rows' names to their errors.
        gray, constant: the baselines' errors on the same portraits.
        seed: of the strengths.
    """
    titles = ["shown", "MSE in ab", "of gray's", "of the constant's", "MSE in RGB, of gray's"]
    rows = [
        [name, *aged_cells(errors, gray, constant, resamples)] for name, errors in scores.items()
    ]
    for name, errors in (("gray", gray), ("constant", constant)):
        rows.append([f"*{name}*", *aged_cells(errors, gray, constant, resamples)])
    note = NOTE.format(portraits=len(gray.mse), seed=seed)
    return ["## Shown as old photographs", table(titles, rows), note]


def aged_cells(
    errors: AgedErrors, gray: AgedErrors, constant: AgedErrors, resamples: int
) -> list[str]:
    """A row's cells: the error in ab, its shares, and the share in RGB."""
    columns = np.stack([*errors, *gray, constant.ab_mse], axis=1)
    ab, rgb, gray_ab, gray_rgb, constant_ab = estimate_means(columns, resamples)
    return [
        number(ab.value, 1),
        with_interval(share(ab, gray_ab), 3),
        with_interval(share(ab, constant_ab), 3),
        with_interval(share(rgb, gray_rgb), 3),
    ]
