"""`python -m koala_face.evaluate`: the paper's metrics and figures for one model (Section III)."""

import dataclasses
import logging
from pathlib import Path

from koala_face import report
from koala_face.commands import flag_name, parse_config, run, setting
from koala_face.errors import KoalaFaceError
from koala_face.photographs import find_photographs

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
    """Refuse missing photographs and impossible numbers at once, before TensorFlow is loaded.

    Raises:
        PhotographError: names the folder.
        EvaluateError: names the flag.
    """
    for name in ("batch_size", "resamples"):
        if getattr(config, name) < 1:
            raise EvaluateError(
                f"Expected {flag_name(name)} of 1 or more. Received: {getattr(config, name)}."
            )
    find_photographs(config.data)
    if config.train_data:
        find_photographs(config.train_data)


def evaluate(config: EvaluateConfig) -> dict:
    """Score the model and the baselines, and write the report.

    Returns:
        For each coloring (model, gray, constant, ceiling) its `evaluation.estimate`.

    Raises:
        KoalaFaceError: whatever the user can mend.
    """
    check_inputs(config)
    folder = report.make_folder(config.output)
    from koala_face import baselines, evaluation, evaluation_report, skin
    from koala_face.colorizer import shipped_model
    from koala_face.model_files import load_model

    evaluation.check_size(config.size)
    model_file = Path(config.model or shipped_model(config.variant))
    network, description = load_model(model_file)
    portraits = load_truth(config, description)
    constant = baselines.find_mean_ab(
        description, portraits, config.train_data, config.size, config.cache
    )
    log.info("Scoring %s on %d portraits, and three baselines", model_file, len(portraits))
    coloring = evaluation.make_network(network, description.mirrored, description.scales)
    colorings = {"model": coloring, **baselines.make_baselines(constant[0])}
    faces = []

    def keep_faces(batch, ab):
        faces.extend(skin.measure_faces(batch, ab))

    scores = {
        name: evaluation.score(
            *(portraits, coloring, config.batch_size, name),
            **({"watch": keep_faces} if coloring is colorings["model"] else {}),
        )
        for name, coloring in colorings.items()
    }
    results = evaluation.estimate_all(scores, config.resamples, config.seed)
    evaluation.write_scores(folder / "portraits.csv", scores)
    subject = describe(config, model_file, description, constant)
    chosen = evaluation_report.draw_figures(folder, portraits, coloring, scores["model"])
    history = evaluation_report.draw_training(folder, model_file)
    further = skin.compose_skin(faces, len(portraits), config.resamples, config.seed)
    if config.aged:
        further += compose_aged(config, network, description, portraits, scores)
    text = evaluation_report.compose(subject, portraits, results, chosen, history, further)
    _, page = report.write_report(folder, text)
    log.info("%s. Report: %s", evaluation_report.summarize(results), page)
    return results


def compose_aged(config: EvaluateConfig, network, description, portraits, scores) -> list[str]:
    """The section on portraits that are shown as old photographs."""
    from koala_face import aged_evaluation
    from koala_face.colorizer import Colorizer

    colorizer = Colorizer.of_network(network, description, config.weights)
    aged = {
        name: aged_evaluation.score_aged(
            portraits, colorizer, effects, config.seed, config.batch_size, name
        )
        for name, effects in aged_evaluation.rows_of_effects().items()
    }
    gray, constant = (
        aged_evaluation.AgedErrors(scores[name].values["ab_mse"], scores[name].values["mse"])
        for name in ("gray", "constant")
    )
    return aged_evaluation.compose_aged(aged, gray, constant, config.seed, config.resamples)


def load_truth(config: EvaluateConfig, description):
    """The true portraits, and the vectors that the model's descriptor gives them."""
    from koala_face.backbones import find_backbone
    from koala_face.data import load_portraits
    from koala_face.selection import without_gray

    backbone = find_backbone(description.backbone, description.layer)
    portraits = load_portraits(
        config.data, config.size, backbone, config.cache, config.weights, config.strict
    )
    return without_gray(portraits) if config.color_only else portraits


def describe(config: EvaluateConfig, model_file: Path, description, constant):
    """What the report is about: an `evaluation_report.Subject`."""
    from koala_face.evaluation_report import Subject

    mean_ab, source = constant
    return Subject(
        model=report.short_name(model_file),
        data=report.short_name(config.data),
        command=as_command(config, model_file),
        color_only=config.color_only,
        size=config.size,
        description=description,
        mean_ab=mean_ab,
        mean_ab_source=source,
        bootstrap=f"{config.resamples} resamples, seed {config.seed}",
    )


def as_command(config: EvaluateConfig, model_file: Path) -> str:
    """The command that repeats this report; paths by their last two names."""
    words = [f"python -m koala_face.evaluate --model {report.short_name(model_file)}"]
    words.append(f"--data {report.short_name(config.data)} --size {config.size}")
    if config.train_data:
        words.append(f"--train-data {report.short_name(config.train_data)}")
    words += [flag_name(name) for name in ("color_only", "aged") if getattr(config, name)]
    words.append(f"--resamples {config.resamples} --seed {config.seed}")
    return " ".join(words)


def main(argv=None) -> int:
    evaluate(parse_config(EvaluateConfig, argv, prog="python -m koala_face.evaluate"))
    return 0


if __name__ == "__main__":
    run(main)
