"""What `koala_face.compare` measures and writes: Tables V and VI, Figure 5, paired differences."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from koala_face.backbones import find_backbone, locate_weights
from koala_face.compare.parts import (
    Trial,
    differences_section,
    left_out_section,
    networks_section,
    origins,
    seeds_section,
    tables_section,
)
from koala_face.data.portraits import load_portraits
from koala_face.evaluation import baselines, batch_coloring, scoring, tables
from koala_face.evaluation.bootstrap import RESAMPLES, Estimate
from koala_face.evaluation.report_parts import (
    RULE,
    Run,
    loss_section,
    read_run,
    shown_portraits,
)
from koala_face.figures import paper
from koala_face.figures.report import Part, code, figure, plain
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import short_name
from koala_face.model_files.files import describe_model, load_model
from koala_face.models import check_size

SEED = 0  # of the bootstrap


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
    models: dict[str, list[Path]],
    data: str | os.PathLike,
    size: int,
    cache: str | os.PathLike,
    weights: str | os.PathLike | None = None,
) -> dict[str, list[Trial]]:
    """Load each model and its descriptor's vectors of the evaluated portraits.

    Args:
        models: name to model files, one for each training.
        data: folder of the evaluated portraits.
        size: height and width at which is measured.

    Raises:
        EvaluationError: if one descriptor could read other photographs than the rest.
        KoalaFaceError: from the parts; names file or descriptor.
    """
    trials = {}
    for name, files in models.items():
        loaded = [load_model(file) for file in files]
        backbone = find_backbone(*loaded[0][1].descriptor)
        portraits = load_portraits(data, size, backbone, cache, weights)
        trials[name] = [
            Trial(file, *pair, portraits) for file, pair in zip(files, loaded, strict=True)
        ]
    paths = next(iter(trials.values()))[0].portraits.paths
    for name, (trial, *_) in trials.items():
        if trial.portraits.paths != paths:
            raise scoring.EvaluationError(
                f"Expected the same portraits for every model. {name} has "
                f"{len(trial.portraits)}, the first has {len(paths)}: was {data} changed "
                "meanwhile? Run the command again."
            )
    return trials


def write_comparison(
    folder: Path,
    trained: dict[str, list[Trial]],
    data: str | os.PathLike,
    train_data: str | os.PathLike,
    cache: str | os.PathLike,
    left_out: dict[str, str],
    resamples: int = RESAMPLES,
    seeds: Sequence[int] = (),
) -> tuple[dict[str, dict[str, Estimate]], list[str | Part]]:
    """Score all models and the baselines, draw the figures, compose the report.

    Args:
        trained: by `load_trials`; of several trainings the first is shown, and all are scored.
        left_out: descriptor to reason, for those that could not be compared.

    Returns:
        The estimates of each model and baseline, and the parts of the report.
    """
    trials = {name: each[0] for name, each in trained.items()}
    first = next(iter(trials.values()))
    size = first.portraits.rgb.shape[1]
    constant, source = find_constant(first, train_data, size, cache)
    runs = {name: read_run(trial.file) for name, trial in trials.items()}
    networks = {
        name: [batch_coloring.make_network(trial.model, trial.description) for trial in each]
        for name, each in trained.items()
    }
    colorings = networks | {k: [way] for k, way in baselines.make_baselines(constant).items()}
    scored = {
        name: [scoring.score(trials.get(name, first).portraits, one, name=name) for one in each]
        for name, each in colorings.items()
    }
    scoring.write_scores(folder / "portraits.csv", name_each(scored, seeds))
    scores = {name: scoring.joined(each) for name, each in scored.items()}
    results = scoring.estimate_all(scores, resamples, SEED)
    titles = make_titles(trials)
    names = {name: plain(title) for name, title in titles.items()}
    pairs = {names[name]: results[name] for name in trials}
    names |= baselines.name_baselines(constant, size)
    bootstrap = f"{resamples} resamples, seed {SEED}"
    return results, [
        f"# Networks and descriptors compared on {code(short_name(data))}",
        origins(trained, size),
        *tables_section(results, names, left_out, bootstrap, source, seeds),
        *seeds_section({name: scores[name] for name in trained}, names, seeds, results["gray"]),
        *differences_section(pairs, len(first.portraits), len(seeds)),
        *networks_section(trials, titles),
        *figures_section(folder, trials, titles, networks, scores, runs),
        *left_out_section(left_out),
    ]


def name_each(
    scored: dict[str, list[scoring.Scores]], seeds: Sequence[int]
) -> dict[str, scoring.Scores]:
    """The scores of each training by its run's name."""
    return {
        f"{name}-seed-{seed}" if len(each) > 1 else name: scores
        for name, each in scored.items()
        for seed, scores in zip(seeds or (None,), each, strict=False)
    }


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


def figures_section(
    folder: Path,
    trials: dict[str, Trial],
    titles: dict[str, str],
    networks: dict[str, list[batch_coloring.Coloring]],
    scores: dict[str, scoring.Scores],
    runs: dict[str, Run],
) -> list[str | Part]:
    """Draw Figure 5, of the portraits chosen by the models' mean MSE, and Figure 2 of each run."""
    chosen = scoring.choose_portraits(
        np.mean([np.atleast_2d(scores[name].values["mse"]).mean(0) for name in trials], 0)
    )
    colored = []
    for name, trial in trials.items():
        batch = batch_coloring.read_batch(trial.portraits, list(chosen))
        colored.append(batch_coloring.apply_coloring(networks[name][0], batch)[0])
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
