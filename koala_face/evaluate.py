"""`python -m koala_face.evaluate`: the paper's metrics and figures for one model (Section III)."""

import dataclasses
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.colorizer.checks import check_model
from koala_face.figures import report
from koala_face.foundation.commands import flag_name, parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import short_name
from koala_face.model_files.shipped import shipped_model
from koala_face.photographs.reading import find_photographs

if TYPE_CHECKING:
    import numpy as np
    from tensorflow import keras

    from koala_face.data.portraits import Portraits
    from koala_face.evaluation.evaluation_report import Subject
    from koala_face.model_files.files import ModelDescription

log = logging.getLogger("koala_face.evaluate")


class EvaluateError(KoalaFaceError):
    """A flag's value that makes no sense."""


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Score a model on a folder of portraits, beside three baselines and the paper's rows."""

    model: str | None = setting(None, "model file (default: the one that ships with the package)")
    variant: str = setting("faithful", "which shipped model", choices=("faithful", "vivid"))
    data: str = setting("data/helen/test", "folder of true portraits, in color")  # II.B
    output: str = setting("report", "folder of the report", short="-o")
    train_data: str | None = setting(
        None, "folder of training portraits, for their mean ab (default: as the model file says)"
    )
    color_only: bool = setting(False, "leave gray and tinted portraits out")
    aged: bool = setting(False, "score the model on portraits shown as old photographs as well")
    size: int = setting(256, "height and width at which is measured, a multiple of 8")  # II.B
    batch_size: int = setting(8, "portraits in memory at once")
    weights: str | None = setting(None, "weights file of the descriptor")
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    strict: bool = setting(False, "stop at unreadable photographs instead of leaving them out")
    resamples: int = setting(2000, "resamples of the bootstrap")  # our choice
    seed: int = setting(0, "seed of the bootstrap")


def check_inputs(config: EvaluateConfig) -> None:
    """Refuse a missing model or photographs and impossible numbers, before TensorFlow is loaded.

    Raises:
        ColorizerError, BackboneError, WeightsError: from the model and its descriptor.
        PhotographError: names the folder.
        EvaluateError: names the flag.
    """
    for name, least in (("batch_size", 1), ("resamples", 1), ("seed", 0)):
        if getattr(config, name) < least:
            raise EvaluateError(
                f"Expected {flag_name(name)} of {least} or more. Received: {getattr(config, name)}."
            )
    model = Path(config.model or shipped_model(config.variant))
    # Portraits shown as old photographs go through the descriptor again.
    check_model(model, config.weights, in_color=not config.aged)
    find_photographs(config.data)
    if config.train_data:
        find_photographs(config.train_data)


def evaluate(config: EvaluateConfig) -> dict:
    """Score the model and the baselines, and write the report.

    Returns:
        For each coloring (model, gray, constant, block_mean) its `scoring.estimate`.

    Raises:
        KoalaFaceError: whatever the user can mend.
    """
    check_inputs(config)
    folder = report.make_folder(config.output)
    from koala_face.evaluation import (
        baselines,
        batch_coloring,
        evaluation_report,
        report_parts,
        scoring,
        skin,
    )
    from koala_face.model_files.files import load_model
    from koala_face.models import check_size

    check_size(config.size)
    model_file = Path(config.model or shipped_model(config.variant))
    network, description = load_model(model_file)
    training_run = report_parts.read_run(model_file)
    portraits = load_truth(config, description)
    constant, source = baselines.find_mean_ab(
        description, portraits, config.train_data, config.size, config.cache
    )
    log.info("Scoring %s on %d portraits, and three baselines", model_file, len(portraits))
    coloring = batch_coloring.make_network(network, description)
    pictures = evaluation_report.Pictures(Path(config.data), portraits.paths)
    faces = []

    def look(batch: batch_coloring.Batch, colored: "np.ndarray", ab: "np.ndarray") -> None:
        pictures.take(batch, colored)
        faces.extend(skin.measure_faces(batch, ab))

    scores = {"model": scoring.score(portraits, coloring, config.batch_size, "model", look)}
    for name, baseline in baselines.make_baselines(constant).items():
        scores[name] = scoring.score(portraits, baseline, config.batch_size, name)
    results = scoring.estimate_all(scores, config.resamples, config.seed)
    scoring.write_scores(folder / "portraits.csv", scores)
    subject = name_subject(config, model_file, description, constant, source)
    aged = aged_section(config, network, description, portraits, scores) if config.aged else []
    sections = [
        *skin.skin_section(faces, len(portraits), config.resamples, config.seed),
        *aged,
        *evaluation_report.figures_section(
            folder, portraits, coloring, scores["model"], training_run
        ),
        *evaluation_report.portraits_section(scores["model"], pictures.taken),
    ]
    parts = evaluation_report.compose(subject, portraits, results, sections)
    _, page = report.write_report(folder, parts)
    log.info("%s. Report: %s", evaluation_report.summarize(results), page)
    return results


def name_subject(
    config: EvaluateConfig,
    model_file: Path,
    description: "ModelDescription",
    mean_ab: list[float],
    source: str,
) -> "Subject":
    """What the report is about; `source` says in words where the constant's `mean_ab` is from."""
    from koala_face.evaluation.evaluation_report import Subject

    return Subject(
        model=short_name(model_file),
        data=short_name(config.data),
        command=command_line(config, model_file),
        color_only=config.color_only,
        size=config.size,
        description=description,
        mean_ab=mean_ab,
        mean_ab_source=source,
        bootstrap=f"{config.resamples} resamples, seed {config.seed}",
    )


def aged_section(
    config: EvaluateConfig,
    network: "keras.Model",
    description: "ModelDescription",
    portraits: "Portraits",
    scores: dict,
) -> list[str]:
    """The section on portraits that are shown as old photographs."""
    from koala_face.colorizer.colorizer import Colorizer
    from koala_face.evaluation import aged

    colorizer = Colorizer.of_network(network, description, config.weights)
    rows = {
        name: aged.score_aged(portraits, colorizer, effects, config.seed, config.batch_size, name)
        for name, effects in aged.rows_of_effects().items()
    }
    gray, constant = (
        aged.AgedErrors(scores[name].values["ab_mse"], scores[name].values["mse"])
        for name in ("gray", "constant")
    )
    return aged.aged_section(rows, gray, constant, config.seed, config.resamples)


def load_truth(config: EvaluateConfig, description: "ModelDescription") -> "Portraits":
    """The true portraits, and the vectors that the model's descriptor gives them."""
    from koala_face.backbones import find_backbone
    from koala_face.data.portraits import load_portraits
    from koala_face.data.selection import without_gray

    backbone = find_backbone(*description.descriptor)
    portraits = load_portraits(
        config.data, config.size, backbone, config.cache, config.weights, config.strict
    )
    return without_gray(portraits) if config.color_only else portraits


def command_line(config: EvaluateConfig, model_file: Path) -> str:
    """The command that repeats this report; paths by their last two names."""
    words = ["python", "-m", "koala_face.evaluate", "--model", short_name(model_file)]
    words += ["--data", short_name(config.data), "--size", str(config.size)]
    if config.train_data:
        words += ["--train-data", short_name(config.train_data)]
    words += [flag_name(name) for name in ("color_only", "aged") if getattr(config, name)]
    words += ["--resamples", str(config.resamples), "--seed", str(config.seed)]
    return shlex.join(words)


def main(argv=None) -> int:
    evaluate(parse_config(EvaluateConfig, argv, "evaluate"))
    return 0


if __name__ == "__main__":
    run(main)
