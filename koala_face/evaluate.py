"""`python -m koala_face.evaluate`: the paper's metrics and figures for one model (Section III)."""

import dataclasses
import logging
from pathlib import Path

from koala_face.commands import parse_config, run, setting
from koala_face.photographs import find_photographs

log = logging.getLogger(__name__)


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
    size: int = setting(256, "height and width at which is measured, a multiple of 8")  # II.B
    batch_size: int = setting(8, "portraits in memory at once")
    weights: str | None = setting(None, "weights file of the descriptor")
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    strict: bool = setting(False, "stop at unreadable photographs instead of leaving them out")
    resamples: int = setting(2000, "resamples of the bootstrap")  # our choice
    seed: int = setting(0, "seed of the bootstrap")


def check_inputs(config: EvaluateConfig) -> None:
    """Refuse missing photographs at once, before TensorFlow is loaded.

    Raises:
        PhotographError: names the folder.
    """
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
    from koala_face import baselines, evaluation, evaluation_report, report
    from koala_face.backbones import find_backbone
    from koala_face.colorizer import shipped_model
    from koala_face.data import load_portraits

    folder = report.make_folder(config.output)
    model_file = Path(config.model or shipped_model(config.variant))
    network, description = evaluation.load_network(model_file, config.size)
    portraits = load_portraits(
        config.data,
        config.size,
        find_backbone(description.backbone, description.layer),
        config.cache,
        weights=config.weights,
        strict=config.strict,
    )
    mean_ab, source = baselines.find_mean_ab(
        description, portraits, config.train_data, config.size, config.cache
    )
    colorings = {
        "model": evaluation.make_network(network),
        **baselines.make_baselines(mean_ab),
    }
    scores = {
        name: evaluation.score(portraits, coloring, config.batch_size, name)
        for name, coloring in colorings.items()
    }
    results = {
        name: evaluation.estimate(scored, config.resamples, config.seed)
        for name, scored in scores.items()
    }
    evaluation.write_scores(folder / "portraits.csv", scores)
    text = evaluation_report.compose(
        evaluation_report.Subject(
            model=report.short_name(model_file),
            data=report.short_name(config.data),
            command=as_command(config, model_file),
            size=config.size,
            description=description,
            mean_ab=mean_ab,
            mean_ab_source=source,
            bootstrap=f"{config.resamples} resamples, seed {config.seed}",
        ),
        portraits,
        results,
        evaluation_report.draw_figures(folder, portraits, colorings["model"], scores["model"]),
        evaluation_report.draw_training(folder, model_file),
    )
    _, page = report.write_report(folder, text)
    log.info("%s", summarize(results))
    log.info("Report: %s", page)
    return results


def as_command(config: EvaluateConfig, model_file: Path) -> str:
    """The command that repeats this report; paths by their last two names."""
    from koala_face.report import short_name

    words = [f"python -m koala_face.evaluate --model {short_name(model_file)}"]
    words.append(f"--data {short_name(config.data)} --size {config.size}")
    if config.train_data:
        words.append(f"--train-data {short_name(config.train_data)}")
    words.append(f"--resamples {config.resamples} --seed {config.seed}")
    return " ".join(words)


def summarize(results: dict) -> str:
    """One line: the model's metrics, and its errors as a share of gray's."""
    model, gray = results["model"], results["gray"]
    return (
        f"MSE {model['mse'].value:.1f} ({model['mse'].value / gray['mse'].value:.3f} of gray's), "
        f"MAE {model['mae'].value:.2f} ({model['mae'].value / gray['mae'].value:.3f} of gray's), "
        f"M {model['colorfulness'].value:.2f}, ΔM {model['colorfulness_difference'].value:.2f}"
    )


def main(argv=None) -> int:
    evaluate(parse_config(EvaluateConfig, argv, prog="python -m koala_face.evaluate"))
    return 0


if __name__ == "__main__":
    run(main)
