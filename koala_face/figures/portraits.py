"""Portraits as the notebooks show them: L*, a*, b* apart, Table IV as pictures, errors as maps."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from koala_face import color
from koala_face.figures.paper import (
    PAGE_WIDTH,
    Picture,
    comparison_row,
    hide_frame,
    pictures_figure,
)
from koala_face.metrics import COLORFULNESS_ATTRIBUTES, colorfulness

# L* at which a and b are shown alone: bright enough for skin, dark enough for strong colours.
SHOWN_LUMINANCE = 65.0
# The largest factor on a*, b*; M hardly grows beyond, as sRGB ends.
LARGEST_SATURATION = 8.0
HALVINGS = 12
# a*, b* in the maps and scatters; hardly a pixel of a portrait lies outside.
AB_LIMIT = 60
BLUE_TO_YELLOW = LinearSegmentedColormap.from_list("b*", ["#1f4fbf", "#f7f7f7", "#d9a400"])
PICTURES_IN_A_LINE = 4


def lab_figure(rgb: np.ndarray) -> Figure:
    """Section II.A: a portrait, uint8 (H, W, 3), and its L*, a* and b*, each with its scale."""
    lab = np.asarray(color.rgb_to_lab(rgb))
    figure = Figure(figsize=(PAGE_WIDTH, 0.36 * PAGE_WIDTH), layout="constrained")
    axes = figure.subplots(1, 4)
    panels = (
        ("portrait", None, 0, 1),
        ("L*: black to white", "gray", 0, 100),
        ("a*: green to magenta", "PiYG_r", -AB_LIMIT, AB_LIMIT),
        ("b*: blue to yellow", BLUE_TO_YELLOW, -AB_LIMIT, AB_LIMIT),
    )
    pictures = (rgb, *np.moveaxis(lab, -1, 0))
    for axis, picture, (title, cmap, low, high) in zip(axes, pictures, panels, strict=True):
        image = axis.imshow(picture, cmap=cmap, vmin=low, vmax=high)
        axis.set_title(title, fontsize=10)
        ticks = [low, (low + high) / 2, high]
        bar = figure.colorbar(image, ax=axis, location="bottom", ticks=ticks)
        bar.ax.tick_params(labelsize=8)
        bar.ax.set_visible(cmap is not None)  # the portrait's keeps its place, for all to align
    for axis in axes:
        hide_frame(axis)
    return figure


def show_ab(ab: np.ndarray | tf.Tensor) -> np.ndarray:
    """Colour alone: a*, b* (H, W, 2) at one L* everywhere, as uint8 RGB (H, W, 3)."""
    ab = np.asarray(ab, "float32")
    luminance = np.full((*ab.shape[:2], 1), SHOWN_LUMINANCE, "float32")
    return color.to_uint8(color.lab_to_rgb(np.concatenate([luminance, ab], axis=-1))).numpy()


def pairs_figure(
    luminance: tf.Tensor, ab: tf.Tensor, descriptor_input: tf.Tensor, row_names: Sequence[str]
) -> Figure:
    """What training takes, side by side: the network's input, its target, the descriptor's input.

    Args:
        luminance, ab: (B, S, S, 1) in 0-1 and (B, S, S, 2) in -1 to 1.
        descriptor_input: (B, s, s, 3) in 0-255.
        row_names: the text left of each of the B rows.
    """
    rows = []
    for one, target, seen in zip(luminance, ab, descriptor_input, strict=True):
        lab = np.concatenate([color.unscale_luminance(one), color.unscale_ab(target)], axis=-1)
        gray = color.to_uint8(color.luminance_to_gray(lab[..., 0])).numpy()
        rgb = color.to_uint8(color.lab_to_rgb(lab)).numpy()
        seen = np.asarray(seen).astype("uint8")
        pictures = (gray, show_ab(lab[..., 1:]), rgb, seen)
        rows.append([Picture(pixels, _size(pixels)) for pixels in pictures])
    columns = ("input: L*", "target: a*, b*", "both: the portrait", "descriptor's input")
    return pictures_figure(rows, columns, row_names)


def epochs_figure(
    true: np.ndarray, colored: Sequence[np.ndarray], history: Sequence[Mapping]
) -> Figure:
    """A portrait in gray, colored after each epoch, and true, in rows of four.

    Args:
        true: the portrait, uint8 (H, W, 3).
        colored: its colorization after each epoch so far.
        history: a mapping with `epoch` and `loss` for each of them.
    """
    titles = ["gray", *(f"epoch {row['epoch']}, loss {row['loss']:.4f}" for row in history), "true"]
    return lines_figure(comparison_row(true, colored), titles)


def lines_figure(pictures: Sequence[Picture], titles: Sequence[str], title: str = "") -> Figure:
    """Many pictures of one size, as lines of a text: four in a line, the title above each."""
    lines = -(-len(pictures) // PICTURES_IN_A_LINE)
    height, width = pictures[0].pixels.shape[:2]
    cell = PAGE_WIDTH / PICTURES_IN_A_LINE
    figure = Figure(
        figsize=(PAGE_WIDTH, lines * (cell * height / width + 0.65)), layout="constrained"
    )
    grid = figure.subplots(lines, PICTURES_IN_A_LINE, squeeze=False).ravel()
    for axis in grid[len(pictures) :]:
        axis.remove()
    for axis, picture, text in zip(grid, pictures, titles, strict=False):
        axis.imshow(picture.pixels, cmap="gray", vmin=0, vmax=255)
        axis.set_title(text, fontsize=9)
        axis.set_xlabel(picture.caption.replace("\n", ", "), fontsize=8)
        hide_frame(axis)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def coarsen_ab(rgb: np.ndarray, size: int) -> np.ndarray:
    """A portrait at its own L*, with a* and b* known at size x size only; uint8 (H, W, 3)."""
    lab = np.array(color.rgb_to_lab(rgb))
    small = tf.image.resize(lab[..., 1:], (size, size), method="area")
    lab[..., 1:] = tf.image.resize(small, lab.shape[:2], method="bicubic")
    return color.to_uint8(color.lab_to_rgb(lab)).numpy()


def saturate(rgb: np.ndarray, factor: float) -> np.ndarray:
    """A portrait with a* and b* times `factor`, uint8; what leaves sRGB is clipped."""
    lab = np.array(color.rgb_to_lab(rgb))
    lab[..., 1:] *= factor
    return color.to_uint8(color.lab_to_rgb(lab)).numpy()


def find_saturation(rgb: np.ndarray, value: float) -> float:
    """The factor on a* and b* that gives a portrait the colorfulness `value`, or the largest."""
    low, high = 0.0, LARGEST_SATURATION
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        duller = colorfulness(saturate(rgb, middle)) < value
        low, high = (middle, high) if duller else (low, middle)
    return high


def colorfulness_figure(rgb: np.ndarray) -> Figure:
    """Table IV as pictures: one portrait, saturated until M is that of each row."""
    pictures = []
    for row in COLORFULNESS_ATTRIBUTES:
        factor = find_saturation(rgb, row.value) if row.value else 0.0
        shown = saturate(rgb, factor)
        pictures.append(Picture(shown, f"M {colorfulness(shown):.0f}\nab × {factor:.2f}"))
    names = [row.attribute for row in COLORFULNESS_ATTRIBUTES]
    return lines_figure(pictures, names, "Table IV: one portrait in seven saturations")


def error_figure(
    true: Sequence[np.ndarray], colored: Sequence[np.ndarray], row_names: Sequence[str]
) -> Figure:
    """Where a colorization errs: true, colored, and each pixel's distance in the ab plane.

    Args:
        true, colored: portraits, uint8 (H, W, 3) each.
        row_names: the text left of each row.
    """
    figure = Figure(figsize=(PAGE_WIDTH, 2.3 * len(true) + 0.3), layout="constrained")
    grid = figure.subplots(len(true), 3, squeeze=False)
    for one, other, name, axes in zip(true, colored, row_names, grid, strict=True):
        errors = np.linalg.norm(_ab(other) - _ab(one), axis=-1)
        axes[0].imshow(one)
        axes[1].imshow(other)
        image = axes[2].imshow(errors, cmap="magma", vmin=0, vmax=AB_LIMIT)
        axes[0].set_ylabel(name, fontsize=9)
        axes[2].set_xlabel(f"mean {errors.mean():.1f}", fontsize=8)
        for axis in axes:
            hide_frame(axis)
    for axis, title in zip(grid[0], ("true", "colored", "error"), strict=True):
        axis.set_title(title, fontsize=10)
    bar = figure.colorbar(image, ax=grid[:, 2], shrink=0.8, extend="max")
    bar.set_label("distance in the ab plane", fontsize=9)
    return figure


def predicted_over_true_figure(true_ab: np.ndarray, predicted_ab: np.ndarray) -> Figure:
    """How often each predicted a* and b* meets each true one; a perfect network's diagonal.

    Args:
        true_ab, predicted_ab: (..., 2), in units of a* and b*.
    """
    figure = Figure(figsize=(PAGE_WIDTH, 0.5 * PAGE_WIDTH), layout="constrained")
    axes = figure.subplots(1, 2)
    limits = (-AB_LIMIT, AB_LIMIT)
    for channel, (axis, name) in enumerate(zip(axes, ("a*", "b*"), strict=True)):
        true, predicted = (np.asarray(ab)[..., channel].ravel() for ab in (true_ab, predicted_ab))
        axis.hist2d(true, predicted, bins=60, range=(limits, limits), norm="log", cmap="Blues")
        axis.plot(limits, limits, color="black", linewidth=0.8, linestyle="--", label="perfect")
        axis.set(xlabel=f"true {name}", ylabel=f"predicted {name}", aspect="equal")
        axis.set_title(f"{name} of all pixels, darker is more", fontsize=10)
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def _ab(rgb) -> np.ndarray:
    return np.asarray(color.rgb_to_lab(rgb))[..., 1:]


def _size(pixels) -> str:
    return f"{pixels.shape[0]} × {pixels.shape[1]}"
