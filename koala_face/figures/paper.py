"""The paper's Figures 2 to 5, drawn with matplotlib.

Each `..._figure` gives a `matplotlib.figure.Figure`, which a notebook shows and
`save_figure` writes. No window is opened and no global state is touched, so that
training can draw while somebody else plots. Widths fit a printed page. Where
colour codes something it is Okabe & Ito's, told apart by all kinds of colour
vision, and line style or fill says the same.
"""

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from koala_face import color
from koala_face.foundation.files import replacing
from koala_face.metrics import colorfulness, mean_squared_error

# Okabe & Ito (2008), "Color Universal Design".
BLUE = "#0072B2"
VERMILLION = "#D55E00"
BLACK = "#000000"
GRAY = "#BBBBBB"

PAGE_WIDTH = 7.0  # inches: an A4 page without its margins
RESOLUTION = 150  # dots per inch
LETTERS_PER_INCH = 11  # of a column's title
CHANNELS = ("Red", "Green", "Blue")
LEVELS = 256  # of an 8-bit channel
LEVELS_PER_BIN = 4


class Picture(NamedTuple):
    """A picture and the text below it: uint8 RGB (H, W, 3) or gray (H, W)."""

    pixels: np.ndarray
    caption: str = ""


class Distribution(NamedTuple):
    """A row of Figure 4: pixels per level, (3, 256) counts, of the colored and the true."""

    name: str
    colored: np.ndarray
    true: np.ndarray


def draw_loss(history: Sequence[Mapping], path: str | os.PathLike, loss: str = "mse") -> Path:
    """Draw Figure 2 into an image file; see `loss_figure`."""
    return save_figure(loss_figure(history, loss), path)


def draw_colorizations(
    true: Sequence[np.ndarray], colored: Sequence[np.ndarray], path: str | os.PathLike
) -> Path:
    """Draw Figure 3 into an image file; see `colorization_figure`."""
    return save_figure(colorization_figure(true, colored), path)


def save_figure(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a figure, whole or not at all; the ending of `path` (.png, .pdf, .svg) chooses the
    format."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=RESOLUTION, format=path.suffix[1:] or None)
    return path


def loss_figure(history: Sequence[Mapping], loss: str = "mse") -> Figure:
    """Figure 2: the loss of each epoch; on a logarithmic axis if it falls below a tenth.

    The validation's is always the paper's, the mean squared error of ab. Training that makes
    another loss small has another unit, and a panel of its own.

    Args:
        history: one mapping per epoch with `epoch`, `loss` and, if there was a validation,
            `val_loss` and `val_loss_untreated`; numbers or their texts. A missing, empty or NaN
            value is left out.
        loss: what training made small, as `--loss` names it.
    """
    training = [("loss", "training", BLUE, "-", "o")]
    validation = [
        ("val_loss", "validation: MSE of a*/128 and b*/128", VERMILLION, "--", "s"),
        ("val_loss_untreated", "the same by batch norm's moving averages", BLACK, ":", "^"),
    ]
    panels = {"loss": training + validation}
    if loss != "mse":
        panels = {f"loss: {loss}": training, "MSE of a*/128 and b*/128": validation}
    figure = Figure(figsize=(PAGE_WIDTH, 0.55 * PAGE_WIDTH * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, (unit, lines) in zip(grid, panels.items(), strict=True):
        _draw_lines(axes, history, lines)
        axes.set_ylabel(unit)
    grid[0].set_title("Loss per epoch")
    grid[-1].set_xlabel("epoch")
    return figure


def _draw_lines(axes, history, lines) -> None:
    """Draw columns of a history: (key, name, ink, style, marker) each."""
    for key, name, ink, style, marker in lines:
        losses = [_as_number(row.get(key)) for row in history]
        if np.all(np.isnan(losses)):
            continue
        epochs = [_as_number(row["epoch"]) for row in history]
        axes.plot(epochs, losses, style, color=ink, marker=marker, markersize=4, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lowest, highest = axes.dataLim.intervaly
    if 0 < 10 * lowest < highest:
        _make_logarithmic(axes)
    else:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(frameon=False)


def _make_logarithmic(axes) -> None:
    """A logarithmic y axis whose ticks are plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def colorization_figure(
    true: Sequence[np.ndarray],
    colored: Sequence[np.ndarray],
    row_names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Figure 3: gray, colored and true in a row, with M (and the MSE) below each.

    Args:
        true: the portraits, uint8 (H, W, 3) each; their sizes may differ.
        colored: their colorizations, uint8 of the same shapes.
        row_names: the text left of each row.
        title: above the figure.
    """
    columns = ("gray", "colored", "true")
    rows = [comparison_row(one, [other]) for one, other in zip(true, colored, strict=True)]
    return pictures_figure(rows, columns, row_names or [""] * len(rows), title)


def comparison_row(true: np.ndarray, colored: Sequence[np.ndarray]) -> list[Picture]:
    """A row of Figures 3 and 5: gray, each of the colorizations of one portrait, true."""
    gray = np.asarray(color.to_uint8(color.rgb_to_gray(true)))
    pictures = [Picture(gray, "M 0.0"), Picture(true, f"M {colorfulness(true):.1f}")]
    for rgb in colored:
        caption = f"M {colorfulness(rgb):.1f}\nMSE {mean_squared_error(rgb, true):.0f}"
        pictures.insert(-1, Picture(rgb, caption))
    return pictures


def pictures_figure(
    rows: Sequence[Sequence[Picture]],
    columns: Sequence[str],
    row_names: Sequence[str],
    title: str = "",
) -> Figure:
    """One row per portrait, its pictures side by side, captions below.

    Args:
        rows: for each portrait a list of `Picture`, one for each column.
        columns: the columns' titles ("gray", "colored", "true", or the descriptors).
        row_names: the text left of each row: which portrait, by which rule.
        title: above the figure.
    """
    cell = PAGE_WIDTH / (len(columns) + 0.2)
    caption_lines = max(picture.caption.count("\n") + 1 for row in rows for picture in row)
    titles, fontsize = _fit_titles(columns, cell)
    title_height = 0.02 * fontsize * (1 + max(title.count("\n") for title in titles))
    height = len(rows) * (cell + 0.15 * caption_lines) + 0.5 + title_height
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for pictures, name, axes_row in zip(rows, row_names, grid, strict=True):
        axes_row[0].set_ylabel(name, fontsize=9)
        for picture, axes in zip(pictures, axes_row, strict=True):
            axes.imshow(picture.pixels, cmap="gray", vmin=0, vmax=LEVELS - 1)
            hide_frame(axes)
            axes.set_xlabel(picture.caption, fontsize=8)
    for axes, column in zip(grid[0], titles, strict=True):
        axes.set_title(column, fontsize=fontsize)
    figure.suptitle(title, fontsize=11)
    return figure


def _fit_titles(titles: Sequence[str], width: float) -> tuple[list[str], float]:
    """Break titles into lines as wide as a column, in inches, and give the size of their font.

    Lines end at spaces and behind underscores; the longest word says how small the font is.
    """
    texts = [title.replace("_", "_ ") for title in titles]
    fitting = int(width * LETTERS_PER_INCH)
    letters = max([fitting, *(len(word) for text in texts for word in text.split())])
    lines = [textwrap.fill(text, letters).replace("_ ", "_") for text in texts]
    return lines, 10 * fitting / letters


def distribution_figure(distributions: Sequence[Distribution]) -> Figure:
    """Figure 4: how often each level of R, G and B occurs, colored over true.

    Args:
        distributions: the rows, `Distribution`s; `count_levels` counts one picture's.
    """
    height = 2.1 * len(distributions) + 0.6
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    grid = figure.subplots(len(distributions), 3, squeeze=False, sharex=True, sharey="row")
    edges = np.arange(0, LEVELS + 1, LEVELS_PER_BIN)
    for distribution, axes_row in zip(distributions, grid, strict=True):
        colored, true = _bin(distribution.colored), _bin(distribution.true)
        for channel, axes in enumerate(axes_row):
            axes.stairs(true[channel], edges, fill=True, color=GRAY, label="true")
            axes.stairs(colored[channel], edges, color=VERMILLION, linewidth=1.4, label="colored")
            axes.set_xlim(0, LEVELS - 1)
            axes.set_xticks([0, 64, 128, 192, 255])
            axes.tick_params(labelsize=8)
        axes_row[0].set_ylabel(f"{distribution.name}\nshare of pixels, %", fontsize=9)
    for axes, channel in zip(grid[0], CHANNELS, strict=True):
        axes.set_title(f"{channel} channel", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("level", fontsize=9)
    grid[0][-1].legend(frameon=False, fontsize=8)
    return figure


def hide_frame(axes: Axes) -> None:
    """Leave a picture without ticks and frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def count_levels(rgb: np.ndarray) -> np.ndarray:
    """Pixels per level of each channel: uint8 (..., 3) to (3, 256) int64."""
    channels = np.moveaxis(np.asarray(rgb), -1, 0)
    return np.stack([np.bincount(channel.ravel(), minlength=LEVELS) for channel in channels])


def _bin(counts) -> np.ndarray:
    """(3, 256) counts to the share of pixels in each bin, in %."""
    binned = np.asarray(counts).reshape(3, -1, LEVELS_PER_BIN).sum(axis=-1)
    return 100 * binned / binned.sum(axis=-1, keepdims=True)


def _as_number(value) -> float:
    return float("nan") if value in (None, "") else float(value)
