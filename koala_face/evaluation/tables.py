"""Tables V and VI of ours beside the paper's own numbers, in Markdown."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from koala_face.evaluation.bootstrap import Estimate, difference, share
from koala_face.evaluation.scoring import METRICS
from koala_face.figures.report import table
from koala_face.metrics import colorfulness_attribute

PAPER_PORTRAITS = 799


class PaperRow(NamedTuple):
    """A row of Tables V and VI."""

    extractor: str
    colorfulness: float
    mse: float | None = None
    mae: float | None = None
    colorfulness_difference: float | None = None


# Tables V and VI, as printed.
PAPER_ROWS = {
    "inception_resnet_v2": PaperRow("Inception-ResNet-v2", 22.09, 374.23, 12.06, -19.78),
    "vgg19": PaperRow("VGG19", 28.89, 387.15, 12.71, -12.98),
    "vggface": PaperRow("VGGFace", 25.10, 368.57, 11.88, -16.77),
}
# How tables and figures print the descriptors that the paper does not have.
EXTRACTORS = {"facenet": "FaceNet", "none": "none (zeros)"}
PAPER_TRUTH = PaperRow("Ground truth", 41.87)

DIGITS = {metric.key: metric.digits for metric in METRICS}
TITLES = {metric.key: metric.title for metric in METRICS}
# The paper's own metrics, and those that stand beside them.
PAPER_METRICS = ("mse", "mae", "colorfulness", "colorfulness_difference")
FURTHER_METRICS = ("ab_mse", "ab_mae", "psnr", "ssim", "gamut_mse", "gamut_mae")
# M of gray is 0; decibels and likeness are no errors.
WITHOUT_SHARE = ("colorfulness", "psnr", "ssim")
NOTHING = "–"
# Below, the bootstrap knows too little of the other portraits there might be (our choice).
FEW_PORTRAITS = 10


def number(value: float | None, digits: int) -> str:
    """A number with a true minus sign; a dash for none."""
    if value is None or np.isnan(value):
        return NOTHING
    if np.isinf(value):
        return "∞"
    return f"{value:.{digits}f}".replace("-", "−")


def with_interval(estimate: Estimate, digits: int) -> str:
    """The value and, on a second line, its 95 % interval: `368.6<br>[350.1, 387.0]`."""
    value = number(estimate.value, digits)
    low, high = (number(bound, digits) for bound in estimate.interval)
    return value if low == NOTHING or low == high == value else f"{value}<br>[{low}, {high}]"


def metric_cell(estimates: dict[str, Estimate], key: str) -> str:
    """A metric's cell; below M the words of Table IV."""
    text = with_interval(estimates[key], DIGITS[key])
    if key == "colorfulness":
        text += f"<br>{colorfulness_attribute(estimates[key].value)}"
    return text


def paper_cells(row: PaperRow | None, keys: Sequence[str] = PAPER_METRICS) -> list[str]:
    """The paper's numbers in the columns `keys`; dashes where it has none."""
    cells = []
    for key in keys:
        value = getattr(row, key, None)
        cell = number(value, 2)
        if key == "colorfulness" and value is not None:
            cell += f"<br>{colorfulness_attribute(value)}"
        cells.append(cell)
    return cells


def results_table(
    results: dict[str, dict[str, Estimate]], keys: Sequence[str], quote_paper: bool = False
) -> str:
    """A row per coloring and a column per metric; the truth's M and the paper's rows below.

    Args:
        results: the coloring's name to its `scoring.estimate`.
        keys: of the metrics.
        quote_paper: add the truth's M and the paper's rows; `keys` are then `PAPER_METRICS`.
    """
    rows = [[name, *(metric_cell(one, key) for key in keys)] for name, one in results.items()]
    if quote_paper:
        truth = next(iter(results.values()))["true_colorfulness"]
        cells = {"colorfulness": metric_cell({"colorfulness": truth}, "colorfulness")}
        rows.append(["the true portraits", *(cells.get(key, NOTHING) for key in keys)])
        for row in (*PAPER_ROWS.values(), PAPER_TRUTH):
            name = f"*the paper's {row.extractor}, its {PAPER_PORTRAITS} images*"
            rows.append([name, *paper_cells(row, keys)])
    return table(["", *(TITLES[key] for key in keys)], rows)


def extractor_title(name: str) -> str:
    """A descriptor's name as the paper prints it; another name as it is."""
    return PAPER_ROWS[name].extractor if name in PAPER_ROWS else EXTRACTORS.get(name, name)


def table_v(
    results: dict[str, dict[str, Estimate]], names: dict[str, str], left_out: Iterable[str]
) -> str:
    """Table V: the mean M of each descriptor, ours and the paper's.

    Args:
        results: name to `scoring.estimate`, the baselines among them.
        names: the same names to what the table prints.
        left_out: names of descriptors that could not be compared.
    """
    keys = ("colorfulness",)
    truth = {"colorfulness": next(iter(results.values()))["true_colorfulness"]}
    rows = [*_extractor_rows(results, names, left_out, keys)]
    rows.append(["Ground truth", metric_cell(truth, *keys), *paper_cells(PAPER_TRUTH, keys)])
    return table(["Global feature extractor", "M", "paper's M"], rows)


def table_vi(
    results: dict[str, dict[str, Estimate]], names: dict[str, str], left_out: Iterable[str]
) -> str:
    """Table VI: the mean MSE, MAE and ΔM, ours and the paper's; arguments as for `table_v`."""
    keys = ("mse", "mae", "colorfulness_difference")
    titles = [TITLES[key] for key in keys]
    header = ["Global feature extractor", *titles, *(f"paper's {title}" for title in titles)]
    return table(header, _extractor_rows(results, names, left_out, keys))


def _extractor_rows(results, names, left_out, keys) -> list[list[str]]:
    rows = []
    for name, estimates in results.items():
        ours = [metric_cell(estimates, key) for key in keys]
        rows.append([names[name], *ours, *paper_cells(PAPER_ROWS.get(name), keys)])
    for name in left_out:
        reason = ["left out: no weights", *[NOTHING] * (len(keys) - 1)]
        rows.append([extractor_title(name), *reason, *paper_cells(PAPER_ROWS.get(name), keys)])
    return rows


def shares_table(results: dict[str, dict[str, Estimate]], of: dict[str, Estimate]) -> str:
    """Each error as a share of the estimates `of` (those of gray), paired."""
    keys = [metric.key for metric in METRICS if metric.key not in WITHOUT_SHARE]
    rows = [
        [name, *(with_interval(share(one[key], of[key]), 3) for key in keys)]
        for name, one in results.items()
    ]
    return table(["", *(TITLES[key] for key in keys)], rows)


def judgment(results: dict[str, dict[str, Estimate]], count: int) -> str:
    """In words, whether the model is better than gray and the constant, or may not be.

    Args:
        results: `scoring.estimate` of model, gray and constant.
        count: of the portraits.
    """
    portraits = f"On {count} portrait{'s' if count > 1 else ''}"
    if count < FEW_PORTRAITS:
        return (
            f"**{portraits} not certainly better than gray or the constant**, whatever the numbers "
            f"are: an interval over fewer than {FEW_PORTRAITS} portraits says little."
        )
    lines = []
    for key, name in itertools.product(("mse", "mae"), ("gray", "constant")):
        change = difference(results["model"][key], results[name][key])
        low, high = (number(bound, DIGITS[key]) for bound in change.interval)
        if change.is_noise:
            words = f"**In {TITLES[key]} not certainly better than {name}**"
            lines.append(f"- {words}: 0 lies in the difference's interval, [{low}, {high}].")
        elif change.value > 0:
            lines.append(f"- **In {TITLES[key]} worse than {name}**, by {low} to {high}.")
    if lines:
        return "\n".join([f"{portraits} the model is", "", *lines])
    return (
        f"{portraits} the model is better than gray and the constant, in MSE and in MAE: 0 lies "
        "outside the 95 % intervals of all four differences."
    )


def verdict(one: str, other: str, key: str, change: Estimate) -> str:
    """What a paired difference `one - other` says, in words."""
    if change.is_noise:
        return "may be noise: 0 lies in the interval"
    if key == "colorfulness_difference":
        return f"{one if change.value > 0 else other} is more colorful"
    return f"{one if change.value < 0 else other} has the lower error"


def differences_table(results: dict[str, dict[str, Estimate]]) -> str:
    """All pairs of colorings: paired differences of the paper's metrics, and what they say."""
    names, rows = list(results), []
    for position, one in enumerate(names):
        for other in names[position + 1 :]:
            for key in ("mse", "mae", "colorfulness_difference"):
                change = difference(results[one][key], results[other][key])
                part = share(change, results[other][key]).value
                relative = f"{number(100 * part, 1)} %" if key != "colorfulness_difference" else ""
                words = verdict(one, other, key, change)
                cells = with_interval(change, DIGITS[key]), relative, words
                rows.append([f"{one} − {other}", TITLES[key], *cells])
    return table(["", "", "difference", "relative", "verdict"], rows)
