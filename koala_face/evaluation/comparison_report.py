"""What `koala_face.compare` measures and writes: Tables V and VI, Figure 5, paired differences."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from koala_face.backbones import find_backbone
from koala_face.data.portraits import Portraits, load_portraits
from koala_face.evaluation import baselines, scoring, tables
from koala_face.evaluation.bootstrap import RESAMPLES, difference
from koala_face.evaluation.evaluation_report import (
    INTERVALS_NOTE,
    RULE,
    describe_machine,
    describe_unreadable,
    draw_training,
)
from koala_face.figures import paper, report
from koala_face.foundation.files import short_name
from koala_face.model_files.files import ModelDescription, load_model
from koala_face.models import check_size

SEED = 0  # of the bootstrap
ERRORS = ("mse", "mae", "colorfulness_difference")

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
    model: object
    description: ModelDescription
    portraits: Portraits


def load_trials(models: dict, data, size: int, cache, weights=None) -> dict[str, Trial]:
    """Load each model and its descriptor's vectors of the evaluated portraits.

    Args:
        models: name to model file.
        data: folder of the evaluated portraits.
        size: height and width at which is measured.

    Raises:
        SizeError: for a size that is no multiple of 8.
        EvaluationError: if one descriptor could read other photographs than the rest.
        KoalaFaceError: from the parts; names file or descriptor.
    """
    check_size(size)
    trials = {}
    for name, file in models.items():
        model, description = load_model(file)
        backbone = find_backbone(description.backbone, description.layer)
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
    data,
    train_data,
    cache,
    left_out: dict[str, str],
    resamples: int = RESAMPLES,
) -> tuple[dict, str]:
    """Score all models and the baselines, draw the figures, compose the report.

    Args:
        left_out: descriptor to reason, for those that could not be compared.

    Returns:
        The estimates of each model and baseline, and the report in Markdown.
    """
    first = next(iter(trials.values()))
    size = first.portraits.rgb.shape[1]
    constant, source = find_constant(first, train_data, size, cache)
    networks = {
        name: scoring.make_network(trial.model, trial.description) for name, trial in trials.items()
    }
    scores = {
        name: scoring.score(trials.get(name, first).portraits, coloring, name=name)
        for name, coloring in (networks | baselines.make_baselines(constant)).items()
    }
    results = scoring.estimate_all(scores, resamples, SEED)
    scoring.write_scores(folder / "portraits.csv", scores)
    chosen = draw_comparison(folder, trials, networks, scores)
    histories = draw_trainings(folder, trials)
    names = baselines.name_baselines(constant, size)
    sections = [
        f"# Descriptors compared on {report.code(short_name(data))}",
        describe_trials(trials, size),
        *describe_tables(results, names, left_out, f"{resamples} resamples, seed {SEED}", source),
        *describe_differences(
            {tables.extractor_title(name): results[name] for name in trials}, len(first.portraits)
        ),
        *describe_figures(trials, chosen, histories),
        *describe_left_out(left_out),
    ]
    return results, "\n\n".join(sections)


def find_constant(trial: Trial, train_data, size: int, cache) -> tuple[list[float], str]:
    """The constant baseline: as the model notes it, or measured if the folder is there."""
    noted = "mean_ab" in trial.description.training or not Path(train_data).is_dir()
    return baselines.find_mean_ab(
        trial.description, trial.portraits, None if noted else train_data, size, cache
    )


def draw_comparison(folder: Path, trials, networks, scores) -> dict[int, str]:
    """Draw Figure 5 of the portraits chosen by the mean MSE of the models; gives these."""
    errors = np.mean([scores[name].values["mse"] for name in trials], axis=0)
    chosen = scoring.choose_portraits(errors)
    colored = []
    for name, trial in trials.items():
        batch = scoring.read_batch(trial.portraits, list(chosen))
        colored.append(scoring.apply_coloring(networks[name], batch)[0])
    rows = [
        paper.comparison_row(true, pictures)
        for true, *pictures in zip(batch.rgb, *colored, strict=True)
    ]
    columns = ["gray", *(tables.extractor_title(name) for name in trials), "true"]
    figure = paper.pictures_figure(rows, columns, list(chosen.values()))
    paper.save_figure(figure, folder / "figure5.png")
    return chosen


def draw_trainings(folder: Path, trials: dict[str, Trial]) -> dict[str, list[dict]]:
    """Draw Figure 2 of each model whose run is known; gives the runs' histories."""
    return {
        name: draw_training(folder, trial.file, f"figure2-{name}.png")
        for name, trial in trials.items()
    }


def describe_trials(trials: dict[str, Trial], size: int) -> str:
    """How each model came about, as a list."""
    portraits = next(iter(trials.values())).portraits
    lines = [
        f"- {len(portraits)} portraits, the same for all, measured at {size} × {size} pixels in "
        "8-bit RGB, 0–255"
    ]
    for name, trial in trials.items():
        training = trial.description.training
        how = training.get("command")
        line = f"- {name}: {report.code(short_name(trial.file))}"
        lines.append(line + (f", {report.code(how)}" if how else ""))
    return "\n".join([*lines, describe_machine(), *describe_unreadable(portraits)])


def describe_tables(results, baseline_names, left_out, bootstrap: str, source: str) -> list[str]:
    """Tables V and VI, ours beside the paper's."""
    names = {name: tables.extractor_title(name) for name in results} | baseline_names
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


def describe_differences(results, count: int) -> list[str]:
    """All pairs, and how small a difference these portraits can show."""
    if len(results) < 2:
        return []
    return [
        "## Is a difference more than noise?",
        tables.differences_table(results),
        DIFFERENCES_NOTE.format(count=count, resolution=tables.number(resolution(results), 1)),
    ]


def resolution(results) -> float:
    """Half the narrowest interval of a pair's MSE difference, in % of the mean MSE."""
    names = list(results)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    widths = []
    for one, other in pairs:
        low, high = difference(results[one]["mse"], results[other]["mse"]).interval
        widths.append((high - low) / 2)
    mean = np.mean([estimates["mse"].value for estimates in results.values()])
    return 100 * min(widths) / mean


def describe_figures(trials, chosen, histories) -> list[str]:
    """Figures 5 and 2 with captions and alt texts."""
    portraits = next(iter(trials.values())).portraits
    shown = "; ".join(
        f"{name}: {report.code(portraits.paths[row])}" for row, name in chosen.items()
    )
    columns = ", ".join(["gray", *trials, "true"])
    lines = [
        "## Figures",
        report.image("figure5.png", f"A row per portrait; its columns are {columns}"),
        f"**Figure 5.** One column per descriptor, M and MSE below. {RULE} Here MSE is the mean "
        f"of the models'. {shown}.",
    ]
    for name, history in histories.items():
        if history:
            lines += [
                report.image(f"figure2-{name}.png", f"Loss of {len(history)} epochs with {name}"),
                f"**Figure 2, {name}.** The loss of each epoch.",
            ]
    return lines


def describe_left_out(left_out: dict[str, str]) -> list[str]:
    """Why descriptors are missing, in the words of the error."""
    if not left_out:
        return []
    reasons = [f"{name}:\n\n```\n{reason}\n```" for name, reason in left_out.items()]
    return ["## Left out", *reasons]
