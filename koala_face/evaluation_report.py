"""What `koala_face.evaluate` writes: Figures 2 to 4 and the text around the tables."""

import os
import platform
from datetime import date
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from koala_face import __version__, baselines, evaluation, figures, report, tables
from koala_face.bootstrap import share
from koala_face.model_files import ModelDescription
from koala_face.run_folder import RunFolder

INTERVALS_NOTE = (
    "In brackets: 95 % bootstrap intervals over portraits ({bootstrap}). They say how far "
    "another choice of portraits might move a number, not what another training might."
)

READING_NOTE = """
- **MSE, MAE**: Equations 2 and 3 on 8-bit RGB, per portrait, then the mean over portraits.
- **M**: colorfulness after Hasler & Süsstrunk, with the nearest words of Table IV.
  **ΔM**: M(colored) − M(true), Equations 1 and 4: below 0 is duller than the truth.
- **gray** leaves the portrait without color. **constant** gives every pixel the mean ab
  {source}. MSE rewards such sepia: a model is worth something below that line.
- **ceiling** is the true ab averaged over blocks of 2 × 2 pixels, which is all that the network
  can say: its last layer doubles {half} × {half} values. No model of this form can do better.
- The **paper's rows** are quoted. Their {paper_portraits} images are not these, and the paper
  gives no baselines for them: compare shares of gray's, or descriptors within one table,
  rather than numbers across.
""".strip()

SHARES_NOTE = (
    "1 is as gray as no color at all, 0 is perfect (for PSNR and SSIM, above 1 is better). "
    "M has no share, since gray's is 0."
)

FURTHER_NOTE = (
    "The paper does not say in which color space it measures. **In ab**: the network's own "
    "output against the true a* and b*, in their units, before anything is clipped to sRGB. "
    "**PSNR**: of the mean MSE; the mean of the portraits' own is infinite as soon as one is "
    "truly gray. **SSIM**: Wang et al. 2004, Gaussian window of σ 1.5, mean of the channels."
)

RULE = (
    "The portraits are chosen by rule: the first by path; the best, median and worst by MSE. "
    "They are squares because the paper resizes them whole."
)


class Subject(NamedTuple):
    """What a report is about, beside the numbers."""

    model: str
    data: str
    command: str
    color_only: bool
    size: int
    description: ModelDescription
    mean_ab: list[float]
    mean_ab_source: str
    bootstrap: str


def draw_figures(folder: Path, portraits, coloring, scores) -> dict[int, str]:
    """Draw Figures 3 and 4 of the portraits chosen by rule; gives these: row to name."""
    chosen = evaluation.choose_portraits(scores.values["mse"])
    batch = evaluation.read_batch(portraits, list(chosen))
    colored, _ = evaluation.apply_coloring(coloring, batch)
    names = list(chosen.values())
    figures.save_figure(
        figures.colorization_figure(batch.rgb, colored, names), folder / "figure3.png"
    )
    median = next(place for place, name in enumerate(names) if "median" in name)
    counts = [figures.count_levels(pictures[median]) for pictures in (colored, batch.rgb)]
    rows = [
        figures.Distribution("median portrait", *counts),
        figures.Distribution(f"all {len(portraits)}", scores.levels, scores.true_levels),
    ]
    figures.save_figure(figures.distribution_figure(rows), folder / "figure4.png")
    return chosen


def draw_training(folder: Path, model_file: Path, name: str = "figure2.png") -> list[dict]:
    """Draw Figure 2, if the model lies in the folder of its run; gives the run's history."""
    history = RunFolder(model_file.parent).history()
    if history:
        figures.draw_loss(history, folder / name)
    return history


def compose(subject: Subject, portraits, results, chosen, history, further=()) -> str:
    """The report in Markdown.

    Args:
        portraits: the evaluated `data.Portraits`.
        results: `evaluation.estimate` of model, gray, constant and ceiling.
        chosen: the portraits that the figures show, row to name.
        history: of the training run; empty if unknown.
        further: paragraphs in Markdown, after the tables.
    """
    half = subject.size // baselines.OUTPUT_REDUCTION
    names = {"model": "**the model**", **baselines.name_baselines(subject.mean_ab, subject.size)}
    named = {names[name]: estimates for name, estimates in results.items()}
    return "\n\n".join(
        [
            f"# Evaluation of {report.code(subject.model)} on {report.code(subject.data)}",
            describe_run(subject, portraits),
            "## The paper's metrics",
            tables.results_table(named, tables.PAPER_METRICS, quote_paper=True),
            INTERVALS_NOTE.format(bootstrap=subject.bootstrap),
            READING_NOTE.format(
                source=subject.mean_ab_source, half=half, paper_portraits=tables.PAPER_PORTRAITS
            ),
            "## As a share of gray's",
            tables.shares_table(named, results["gray"]),
            SHARES_NOTE,
            "## Beside the paper's metrics",
            tables.results_table(named, tables.FURTHER_METRICS),
            FURTHER_NOTE,
            *further,
            *describe_figures(results["model"], portraits, chosen, history),
            "## Each portrait",
            "`portraits.csv` holds every metric of every portrait, the model's and the baselines'.",
        ]
    )


def summarize(results) -> str:
    """One line: the model's metrics, and its errors as a share of gray's."""
    model, gray = results["model"], results["gray"]
    mse, mae = (tables.number(share(model[key], gray[key]).value, 3) for key in ("mse", "mae"))
    return (
        f"MSE {model['mse'].value:.1f} ({mse} of gray's), "
        f"MAE {model['mae'].value:.2f} ({mae} of gray's), "
        f"M {model['colorfulness'].value:.2f}, ΔM {model['colorfulness_difference'].value:.2f}"
    )


def describe_run(subject: Subject, portraits) -> str:
    """How the numbers came about: portraits, model, command, versions."""
    description = subject.description
    trained = description.training.get("command")
    layer = report.code(description.layer)
    colors = " in colour, gray and tinted ones left out," if subject.color_only else ","
    lines = [
        f"- {len(portraits)} portraits{colors} measured at {subject.size} × {subject.size} pixels "
        "in 8-bit RGB, 0–255",
        f"- descriptor {report.code(description.backbone)}, layer {layer}; "
        f"trained at {description.size} × {description.size}"
        + (f" by {report.code(trained)}" if trained else ""),
        f"- {report.code(subject.command)}",
        describe_machine(),
    ]
    return "\n".join(lines + describe_unreadable(portraits))


def describe_machine() -> str:
    """Date, versions and machine, as a list item."""
    return (
        f"- {date.today().isoformat()}, koala_face {__version__}, TensorFlow {tf.__version__}, "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )


def describe_unreadable(portraits) -> list[str]:
    """A list item for each photograph that was left out."""
    return [
        f"- left out: {report.code(path)}, {reason}"
        for path, reason in portraits.unreadable.items()
    ]


def describe_figures(estimates, portraits, chosen, history) -> list[str]:
    """Figures 2 to 4 with captions and alt texts."""
    colored, true = (estimates[key].value for key in ("colorfulness", "true_colorfulness"))
    shown = "; ".join(
        f"{name}: {report.code(portraits.paths[row])}" for row, name in chosen.items()
    )
    lines = ["## Figures"]
    if history:
        last = history[-1]
        alt = f"Loss of {len(history)} epochs, the last {last['loss']:.4f}"
        lines += [report.image("figure2.png", alt), "**Figure 2.** The loss of each epoch."]
    return [
        *lines,
        report.image(
            "figure3.png", f"Portraits in gray, colored and true: {', '.join(chosen.values())}"
        ),
        f"**Figure 3.** Gray, colored and true, with colorfulness M below each. {RULE} {shown}.",
        report.image(
            "figure4.png",
            "Histograms of red, green and blue: the colored portraits' as a line over the true",
        ),
        "**Figure 4.** Distributions of the three color channels, of the median portrait and of "
        f"all. Mean M of the colored is {colored:.1f}, of the true {true:.1f}.",
    ]
