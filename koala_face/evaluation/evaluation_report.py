"""What `koala_face.evaluate` writes: the tables, Figures 2 to 4, and all portraits to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from koala_face.data.portraits import Portraits
from koala_face.evaluation import baselines, batch_coloring, scoring, tables
from koala_face.evaluation.bootstrap import Estimate, share
from koala_face.evaluation.report_parts import (
    INTERVALS_NOTE,
    RULE,
    Run,
    circumstances,
    loss_section,
    shown_portraits,
)
from koala_face.figures import gallery, paper
from koala_face.figures.report import Part, code, figure, link
from koala_face.model_files.files import ModelDescription
from koala_face.photographs.decoding import PhotographError
from koala_face.photographs.reading import read_rgb

READING_NOTE = """
- **MSE, MAE**: Equations 2 and 3 on 8-bit RGB, per portrait, then the mean over portraits.
- **M**: colorfulness after Hasler & Süsstrunk, with the nearest words of Table IV.
  **ΔM**: M(colored) − M(true), Equations 1 and 4: below 0 is duller than the truth.
- **gray** leaves the portrait without color. **constant** gives every pixel the mean ab
  {source}. MSE rewards such sepia: a model is worth something below that line.
- **block mean** is the true ab averaged over blocks of 2 × 2 pixels: the network's last layer
  doubles {half} × {half} values, and no other choice of them has a smaller MSE in ab.
  In RGB another choice may err a little less.
- The **paper's rows** are quoted. Their {paper_portraits} images are not these, and the paper
  gives no baselines for them: compare shares of gray's, or descriptors within one table,
  rather than numbers across.
""".strip()

SHARES_NOTE = "1 is as gray as no color at all, 0 is perfect."
FURTHER_NOTE = (
    "The paper does not say in which color space it measures. **In ab**: the network's own "
    "output against the true a\\* and b\\*, in their units, before anything is clipped to sRGB. "
    "**PSNR**: of the mean MSE; the mean of the portraits' own is infinite as soon as one is "
    "truly gray. **SSIM**: Wang et al. 2004, Gaussian window of σ 1.5, mean of the channels. **In "
    "gamut**: MSE and MAE of what `koala-face colorize` would write: a color outside sRGB loses "
    "chroma, at equal L\\* and hue, where the paper's way cuts each channel off."
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


class Pictures:
    """Small pictures of the portraits, taken while `scoring.score` passes over them."""

    def __init__(self, folder: Path, paths: Sequence[str]):
        self.paths = [folder / path for path in paths]
        self.taken: list[gallery.Thumbnails] = []

    def take(self, batch: batch_coloring.Batch, colored: np.ndarray) -> None:
        """Take the next batch's, in the photographs' own proportions."""
        for rgb, true in zip(colored, batch.rgb, strict=True):
            shape = proportions(self.paths[len(self.taken)])
            self.taken.append(gallery.make_thumbnails(rgb, true, *shape))


def proportions(photograph: Path) -> tuple[int, int]:
    """A photograph's height and width, perhaps both reduced; 1 and 1 if it is gone meanwhile."""
    try:
        return read_rgb(photograph, gallery.THUMBNAIL).shape[:2]
    except PhotographError:
        return 1, 1


def compose(
    subject: Subject,
    portraits: Portraits,
    results: dict[str, dict[str, Estimate]],
    sections: Sequence[str | Part],
) -> list[str | Part]:
    """The parts of the report, for `report.write_report`.

    Args:
        results: `scoring.estimate` of model, gray, constant and block_mean.
        sections: what follows the tables, such as figures.
    """
    half = subject.size // baselines.OUTPUT_REDUCTION
    names = {"model": "**the model**", **baselines.name_baselines(subject.mean_ab, subject.size)}
    named = {names[name]: estimates for name, estimates in results.items()}
    return [
        f"# Evaluation of {code(subject.model)} on {code(subject.data)}",
        origin(subject, portraits),
        "## The paper's metrics",
        tables.results_table(named, tables.PAPER_METRICS, quote_paper=True),
        tables.judgment(results, len(portraits)),
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
        *sections,
    ]


def summarize(results: dict[str, dict[str, Estimate]]) -> str:
    """One line: the model's metrics, and its errors as a share of gray's."""
    model, gray = results["model"], results["gray"]
    mse, mae = (tables.number(share(model[key], gray[key]).value, 3) for key in ("mse", "mae"))
    return (
        f"MSE {model['mse'].value:.1f} ({mse} of gray's), "
        f"MAE {model['mae'].value:.2f} ({mae} of gray's), "
        f"M {model['colorfulness'].value:.2f}, ΔM {model['colorfulness_difference'].value:.2f}"
    )


def origin(subject: Subject, portraits: Portraits) -> str:
    """How the numbers came about: portraits, model, command, versions."""
    description = subject.description
    trained = description.training.get("command")
    colors = " in colour, gray and tinted ones left out," if subject.color_only else ","
    lines = [
        f"- {len(portraits)} portraits{colors} measured at {subject.size} × {subject.size} pixels "
        "in 8-bit RGB, 0–255",
        f"- descriptor {code(description.backbone)}, layer {code(description.layer)}; "
        f"trained at {description.size} × {description.size}"
        + (f" by {code(trained)}" if trained else ""),
        f"- {code(subject.command)}",
    ]
    return "\n".join(lines + circumstances(portraits))


def figures_section(
    folder: Path,
    portraits: Portraits,
    coloring: batch_coloring.Coloring,
    scores: scoring.Scores,
    run: Run,
) -> list[str | Part]:
    """Draw Figures 2 to 4, of the portraits chosen by rule, with captions and alt texts.

    Args:
        scores: of the coloring, on all portraits.
        run: the model's.
    """
    chosen = scoring.choose_portraits(scores.values["mse"])
    names = list(chosen.values())
    batch = batch_coloring.read_batch(portraits, list(chosen))
    colored, _ = batch_coloring.apply_coloring(coloring, batch)
    paper.save_figure(paper.colorization_figure(batch.rgb, colored, names), folder / "figure3.png")
    median = next(place for place, name in enumerate(names) if "median" in name)
    counts = [paper.count_levels(pictures[median]) for pictures in (colored, batch.rgb)]
    rows = [
        paper.Distribution("median portrait", *counts),
        paper.Distribution(f"all {len(portraits)}", scores.levels, scores.true_levels),
    ]
    paper.save_figure(paper.distribution_figure(rows), folder / "figure4.png")
    mean, true = (
        values.mean() for values in (scores.values["colorfulness"], scores.true_colorfulness)
    )
    return [
        "## Figures",
        *loss_section(folder, run),
        figure(folder, "figure3.png", f"Portraits in gray, colored and true: {', '.join(names)}"),
        f"**Figure 3.** Gray, colored and true, with colorfulness M below each. {RULE} "
        f"{shown_portraits(portraits, chosen)}.",
        figure(
            folder,
            "figure4.png",
            "Histograms of red, green and blue: the colored portraits' as a line over the true",
        ),
        "**Figure 4.** Distributions of the three color channels, of the median portrait and of "
        f"all. Mean M of the colored is {mean:.1f}, of the true {true:.1f}.",
    ]


def portraits_section(
    scores: scoring.Scores, pictures: Sequence[gallery.Thumbnails]
) -> list[str | Part]:
    """Every portrait under a slider, and where its numbers are."""
    errors, changes = (scores.values[key] for key in ("mse", "colorfulness_difference"))
    exhibits = [
        gallery.Exhibit(*one) for one in zip(scores.paths, errors, changes, pictures, strict=True)
    ]
    return [
        "## Each portrait",
        link("portraits.csv", "holds every metric of each, the model's and the baselines'."),
        "Drag over a portrait, or choose it with Tab and use the arrow keys. The pictures are "
        f"small copies, {gallery.THUMBNAIL} pixels at most, in the photographs' own proportions.",
        gallery.gallery(exhibits),
    ]
