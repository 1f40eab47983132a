"""What `koala_face.compare` measures and writes: Tables V and VI, Figure 5, paired differences."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face.backbones import find_backbone, locate_weights
from koala_face.data.portraits import Portraits, load_portraits
from koala_face.evaluation import baselines, scoring, tables
from koala_face.evaluation.bootstrap import RESAMPLES, Estimate, difference
from koala_face.evaluation.report_parts import (
    INTERVALS_NOTE,
    RULE,
    Run,
    circumstances,
    loss_section,
    read_run,
    shown_portraits,
)
from koala_face.figures import paper
from koala_face.figures.report import Part, code, code_block, figure, plain, table
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import short_name
from koala_face.model_files.files import ModelDescription, describe_model, load_model
from koala_face.models import check_size, multiply_adds

SEED = 0  # of the bootstrap

DIFFERENCES_NOTE = """
Differences are paired: both models colored the same {count} portraits. A difference may be noise
if 0 lies in its 95 % interval. Even the pair with the narrowest interval needs a difference in
MSE of about {resolution} % to stand out from chance; the paper's own, between its three
descriptors, are 1.5 % to 5 % and carry no interval. A second training with another seed moves
the numbers too, which no interval here covers: before a small difference is believed, repeat
the comparison with another `--seed`. Of many pairs, one in twenty looks clear by chance.
""".strip()


class Trial(NamedTuple):
    """A model under comparison, with the evaluated portraits and its descriptor's vectors."""

    file: Path
    model: tf.keras.Model
    description: ModelDescription
    portraits: Portraits


def check_models(
    models: dict[str, Path], size: int, weights: str | os.PathLike | None = None
) -> None:
    """Refuse what could not be measured, before others are trained for hours.

    Raises:
        SizeError: for a size that is no multiple of 8.
        EvaluationError: for a file that is no model, or whose descriptor has no weights here.
    """
    check_size(size)
    for name, path in models.items():
        # Not loaded yet: a network would take the card's memory from the trainings.
        try:
            description = describe_model(path)
            locate_weights(find_backbone(*description.descriptor), weights)
        except KoalaFaceError as error:
            raise scoring.EvaluationError(f"{name}={path} cannot be compared. {error}") from error


def load_trials(
    models: dict[str, Path],
    data: str | os.PathLike,
    size: int,
    cache: str | os.PathLike,
    weights: str | os.PathLike | None = None,
) -> dict[str, Trial]:
    """Load each model and its descriptor's vectors of the evaluated portraits.

    Args:
        models: name to model file.
        data: folder of the evaluated portraits.
        size: height and width at which is measured.

    Raises:
        EvaluationError: if one descriptor could read other photographs than the rest.
        KoalaFaceError: from the parts; names file or descriptor.
    """
    trials = {}
    for name, file in models.items():
        model, description = load_model(file)
        backbone = find_backbone(*description.descriptor)
        portraits = load_portraits(data, size, backbone, cache, weights)
        trials[name] = Trial(file, model, description, portraits)
    paths = next(iter(trials.values())).portraits.paths
    for name, trial in trials.items():
        if trial.portraits.paths != paths:
            raise scoring.EvaluationError(
                f"Expected the same portraits for every model. {name} has "
                f"{len(trial.portraits)}, the first has {len(paths)}: was {data} changed "
                "meanwhile? Run the command again."
            )
    return trials


def write_comparison(
    folder: Path,
    trials: dict[str, Trial],
    data: str | os.PathLike,
    train_data: str | os.PathLike,
    cache: str | os.PathLike,
    left_out: dict[str, str],
    resamples: int = RESAMPLES,
) -> tuple[dict[str, dict[str, Estimate]], list[str | Part]]:
    """Score all models and the baselines, draw the figures, compose the report.

    Args:
        left_out: descriptor to reason, for those that could not be compared.

    Returns:
        The estimates of each model and baseline, and the parts of the report.
    """
    first = next(iter(trials.values()))
    size = first.portraits.rgb.shape[1]
    constant, source = find_constant(first, train_data, size, cache)
    runs = {name: read_run(trial.file) for name, trial in trials.items()}
    networks = {
        name: scoring.make_network(trial.model, trial.description) for name, trial in trials.items()
    }
    scores = {
        name: scoring.score(trials.get(name, first).portraits, coloring, name=name)
        for name, coloring in (networks | baselines.make_baselines(constant)).items()
    }
    results = scoring.estimate_all(scores, resamples, SEED)
    scoring.write_scores(folder / "portraits.csv", scores)
    titles = make_titles(trials)
    names = {name: plain(title) for name, title in titles.items()}
    pairs = {names[name]: results[name] for name in trials}
    names |= baselines.name_baselines(constant, size)
    bootstrap = f"{resamples} resamples, seed {SEED}"
    return results, [
        f"# Networks and descriptors compared on {code(short_name(data))}",
        origins(trials, size),
        *tables_section(results, names, left_out, bootstrap, source),
        *differences_section(pairs, len(first.portraits)),
        *networks_section(trials, titles),
        *figures_section(folder, trials, titles, networks, scores, runs),
        *left_out_section(left_out),
    ]


def make_titles(trials: dict[str, Trial]) -> dict[str, str]:
    """What tables and figures call each model: its descriptor, behind its network if they have
    several."""
    several = len({trial.description.network for trial in trials.values()}) > 1
    titles = {}
    for name, trial in trials.items():
        network = trial.description.network
        title = tables.extractor_title(name.removeprefix(f"{network}-"))
        titles[name] = f"{network}: {title}" if several and name != network else title
    return titles


def find_constant(
    trial: Trial, train_data: str | os.PathLike, size: int, cache: str | os.PathLike
) -> tuple[list[float], str]:
    """The constant baseline: as the model notes it, or measured if the folder is there."""
    noted = "mean_ab" in trial.description.training or not Path(train_data).is_dir()
    return baselines.find_mean_ab(
        trial.description, trial.portraits, None if noted else train_data, size, cache
    )


def origins(trials: dict[str, Trial], size: int) -> str:
    """How each model came about, as a list."""
    portraits = next(iter(trials.values())).portraits
    lines = [
        f"- {len(portraits)} portraits, the same for all, measured at {size} × {size} pixels in "
        "8-bit RGB, 0–255"
    ]
    for name, trial in trials.items():
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
) -> list[str]:
    """Tables V and VI, ours beside the paper's."""
    named = {names[name]: estimates for name, estimates in results.items()}
    return [
        "## Table V: colorfulness",
        tables.table_v(results, names, left_out),
        "## Table VI: errors",
        tables.table_vi(results, names, left_out),
        f"{INTERVALS_NOTE.format(bootstrap=bootstrap)} The constant is the mean ab {source}. "
        f"The paper's numbers are quoted; they are of its own {tables.PAPER_PORTRAITS} images.",
        "## As a share of gray's",
        tables.shares_table(named, results["gray"]),
    ]


def differences_section(results: dict[str, dict[str, Estimate]], count: int) -> list[str]:
    """All pairs, and how small a difference these portraits can show."""
    if len(results) < 2:
        return []
    return [
        "## Is a difference more than noise?",
        tables.differences_table(results),
        DIFFERENCES_NOTE.format(count=count, resolution=tables.number(resolution(results), 1)),
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


def figures_section(
    folder: Path,
    trials: dict[str, Trial],
    titles: dict[str, str],
    networks: dict[str, scoring.Coloring],
    scores: dict[str, scoring.Scores],
    runs: dict[str, Run],
) -> list[str | Part]:
    """Draw Figure 5, of the portraits chosen by the models' mean MSE, and Figure 2 of each run."""
    chosen = scoring.choose_portraits(np.mean([scores[name].values["mse"] for name in trials], 0))
    colored = []
    for name, trial in trials.items():
        batch = scoring.read_batch(trial.portraits, list(chosen))
        colored.append(scoring.apply_coloring(networks[name], batch)[0])
    rows = [
        paper.comparison_row(true, pictures)
        for true, *pictures in zip(batch.rgb, *colored, strict=True)
    ]
    columns = ["gray", *titles.values(), "true"]
    drawn = paper.pictures_figure(rows, columns, list(chosen.values()))
    paper.save_figure(drawn, folder / "figure5.png")
    parts = [
        "## Figures",
        figure(folder, "figure5.png", f"A row per portrait; its columns are {', '.join(columns)}"),
        f"**Figure 5.** One column per descriptor, M and MSE below. {RULE} Here MSE is the mean "
        f"of the models'. {shown_portraits(next(iter(trials.values())).portraits, chosen)}.",
    ]
    for name, run in runs.items():
        parts += loss_section(folder, run, f"figure2-{name}.png", name)
    return parts


def left_out_section(left_out: dict[str, str]) -> list[str]:
    """Why descriptors are missing, in the words of the error."""
    reasons = [f"{name}:\n\n{code_block(reason)}" for name, reason in left_out.items()]
    return ["## Left out", *reasons] if reasons else []
