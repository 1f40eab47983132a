"""The sections of `koala_face.compare`'s report that are text and tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face.data.portraits import Portraits
from koala_face.evaluation import scoring, tables
from koala_face.evaluation.bootstrap import Estimate, difference
from koala_face.evaluation.report_parts import INTERVALS_NOTE, circumstances
from koala_face.figures.report import code, code_block, plain, table
from koala_face.foundation.files import short_name
from koala_face.model_files.files import ModelDescription
from koala_face.models import multiply_adds

DIFFERENCES_NOTE = """
Differences are paired: both models colored the same {count} portraits. A difference may be noise
if 0 lies in its 95 % interval. Even the pair with the narrowest interval needs a difference in
MSE of about {resolution} % to stand out from chance; the paper's own, between its three
descriptors, are 1.5 % to 5 % and carry no interval. {trainings}
Of many pairs, one in twenty looks clear by chance.
""".strip()
ONE_TRAINING = (
    "A second training with another seed moves the numbers too, which no interval here covers: "
    "before a small difference is believed, compare with several `--seeds`."
)
SEVERAL_INTERVALS = (
    "In brackets: 95 % bootstrap intervals over portraits and trainings ({bootstrap})."
)
SEVERAL_TRAININGS = (
    "The intervals hold both chances: portraits are drawn, and each model's {count} trainings "
    "for themselves; of so few, they are a little too narrow."
)


class Trial(NamedTuple):
    """A model under comparison, with the evaluated portraits and its descriptor's vectors."""

    file: Path
    model: tf.keras.Model
    description: ModelDescription
    portraits: Portraits


def origins(trained: dict[str, list[Trial]], size: int) -> str:
    """How each model came about, as a list."""
    portraits = next(iter(trained.values()))[0].portraits
    lines = [
        f"- {len(portraits)} portraits, the same for all, measured at {size} × {size} pixels in "
        "8-bit RGB, 0–255"
    ]
    for name, trial in ((name, trial) for name, each in trained.items() for trial in each):
        how = trial.description.training.get("command")
        line = f"- {plain(name)}: {code(short_name(trial.file))}"
        lines.append(line + (f", {code(how)}" if how else ""))
    return "\n".join([*lines, *circumstances(portraits)])


def tables_section(
    results: dict[str, dict[str, Estimate]],
    names: dict[str, str],
    left_out: dict[str, str],
    bootstrap: str,
    source: str,
    seeds: Sequence[int],
) -> list[str]:
    """Tables V and VI, ours beside the paper's."""
    named = {names[name]: estimates for name, estimates in results.items()}
    note = SEVERAL_INTERVALS if seeds else INTERVALS_NOTE
    return [
        "## Table V: colorfulness",
        tables.table_v(results, names, left_out),
        "## Table VI: errors",
        tables.table_vi(results, names, left_out),
        f"{note.format(bootstrap=bootstrap)} The constant is the mean ab {source}. "
        f"The paper's numbers are quoted; they are of its own {tables.PAPER_PORTRAITS} images.",
        "## As a share of gray's",
        tables.shares_table(named, results["gray"]),
    ]


def seeds_section(
    scores: dict[str, scoring.Scores],
    names: dict[str, str],
    seeds: Sequence[int],
    gray: dict[str, Estimate],
) -> list[str]:
    """Each training's own MSE, as a share of gray's."""
    if not seeds:
        return []
    rows = [
        [names[name], *(tables.number(mse / gray["mse"].value, 3) for mse in means)]
        for name, scored in scores.items()
        if len(means := np.atleast_2d(scored.values["mse"]).mean(axis=1)) == len(seeds)
    ]
    header = ["MSE, as a share of gray's", *(f"seed {seed}" for seed in seeds)]
    return ["## Each training", table(header, rows)]


def differences_section(
    results: dict[str, dict[str, Estimate]], count: int, seeds: int
) -> list[str]:
    """All pairs, and how small a difference these portraits can show."""
    if len(results) < 2:
        return []
    trainings = SEVERAL_TRAININGS.format(count=seeds) if seeds else ONE_TRAINING
    smallest = tables.number(resolution(results), 1)
    return [
        "## Is a difference more than noise?",
        tables.differences_table(results),
        DIFFERENCES_NOTE.format(count=count, resolution=smallest, trainings=trainings),
    ]


def networks_section(trials: dict[str, Trial], titles: dict[str, str]) -> list[str]:
    """The parameters of each model's network, and the work of one prediction."""
    rows = []
    for name, (_, model, description, _) in trials.items():
        size = f"{description.size} × {description.size}"
        counts = f"{model.count_params():,}", f"{multiply_adds(model):,}"
        rows.append([plain(titles[name]), code(description.network), *counts, size])
    header = ["", "network", "parameters", "multiply-adds a prediction", "at"]
    return ["## The networks", table(header, rows)]


def resolution(results: dict[str, dict[str, Estimate]]) -> float:
    """Half the narrowest interval of a pair's MSE difference, in % of the mean MSE."""
    names = list(results)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    widths = []
    for one, other in pairs:
        low, high = difference(results[one]["mse"], results[other]["mse"]).interval
        widths.append((high - low) / 2)
    mean = np.mean([estimates["mse"].value for estimates in results.values()])
    return 100 * min(widths) / mean


def left_out_section(left_out: dict[str, str]) -> list[str]:
    """Why descriptors are missing, in the words of the error."""
    reasons = [f"{name}:\n\n{code_block(reason)}" for name, reason in left_out.items()]
    return ["## Left out", *reasons] if reasons else []
