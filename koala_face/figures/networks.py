"""The network as the notebooks show it: Tables I-III beside the built layers, and drawings."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from koala_face.figures.paper import BLUE, PAGE_WIDTH, VERMILLION
from koala_face.figures.report import table
from koala_face.models import PAPER, Conv, Upsampling

keras = tf.keras

GREEN = "#009E73"  # Okabe & Ito's, as the other two
PARTS = {
    "encoder": ("Encoder, Table I", BLUE),
    "fusion": ("Fusion, Table II", VERMILLION),
    "decoder": ("Decoder, Table III", GREEN),
}
# Of the drawings: units of height and of width for a volume of N x N x C.
HEIGHT_PER_DOUBLING = 0.5
WIDTH_PER_DOUBLING = 0.055
SLANT = 0.22


def layer_table(model: keras.Model, rows: Sequence[Conv | Upsampling], part: str) -> str:
    """A table of the paper beside the layers that were built of it, in Markdown.

    Args:
        model: as `models.build_colorizer` makes it.
        rows: `models.ENCODER`, `models.FUSION` or `models.DECODER`.
        part: "encoder", "fusion" or "decoder", as the layers' names begin.
    """
    header = ["Layer", "Kernels", "Stride", "Activation", "built as", "output", "parameters"]
    layers = [layer for layer in built_layers(model, part) if layer.name != "fusion"]
    lines = []
    if part == "fusion":
        volume = model.get_layer("fusion")
        lines.append(["Fusion", "-", "-", "-", "`fusion`", _shape(volume), "0"])
    for row, layer in zip(rows, layers, strict=True):
        if isinstance(row, Conv):
            kernels = f"{row.filters} x ({row.kernel}x{row.kernel})"
            paper = ["Conv", kernels, f"{row.stride}x{row.stride}", row.activation]
        else:
            paper = ["Upsamp", "-", "-", "-"]
        lines.append([*paper, f"`{layer.name}`", _shape(layer), f"{layer.count_params():,}"])
    return table(header, lines)


def built_layers(model: keras.Model, part: str) -> list[keras.layers.Layer]:
    """The layers of one part that a table names: convolutions, upsamplings and the fusion."""
    kinds = (keras.layers.Conv2D, keras.layers.UpSampling2D, keras.layers.Concatenate)
    names = (part, "ab") if part == "decoder" else (part,)
    return [x for x in model.layers if isinstance(x, kinds) and x.name.startswith(names)]


def network_figure(model: keras.Model) -> Figure:
    """Figure 1: each layer's output as a box, its face N x N and its thickness the channels."""
    figure = Figure(figsize=(PAGE_WIDTH, 0.5 * PAGE_WIDTH), layout="constrained")
    axis = figure.subplots()
    x = _draw_volume(axis, 0.0, model.get_layer("luminance").output.shape, "#777777") + 0.35
    for part, (title, ink) in PARTS.items():
        start = x
        for layer in built_layers(model, part):
            x = _draw_volume(axis, x, layer.output.shape, ink) + 0.35
        # The ancestor has one table for all, its parts no numbers.
        title = title if model.name == PAPER.name else title.partition(",")[0]
        axis.text((start + x - 0.35) / 2, 2.75, title, ha="center", color=ink, fontsize=9)
        if part == "fusion":
            dim = model.get_layer("embedding").output.shape[-1]
            axis.annotate(
                f"vector of {dim}",
                (start + 0.3, -1.75),
                (start + 0.3, -2.75),
                ha="center",
                color=ink,
                fontsize=8,
                arrowprops={"arrowstyle": "->", "color": ink},
            )
    axis.set(xlim=(-0.3, x), ylim=(-3.0, 3.1))
    axis.set_axis_off()
    axis.set_title("Each layer's output: N x N above, channels below", fontsize=10)
    return figure


def fusion_figure(model: keras.Model) -> Figure:
    """Section II.D.3: the vector is repeated at every position and laid behind the features."""
    volume = model.get_layer("fusion").output.shape
    size, channels = volume[1], volume[3]
    dim = model.get_layer("embedding").output.shape[-1]
    figure = Figure(figsize=(PAGE_WIDTH, 0.36 * PAGE_WIDTH), layout="constrained")
    axis = figure.subplots()
    parts = (
        (0.0, 0.6, BLUE, f"encoder's features\n{size} × {size} × {channels - dim}"),
        (2.5, 1.6, VERMILLION, f"the vector of {dim},\nrepeated {size} × {size} times"),
        (6.0, 0.6, BLUE, ""),
        (6.6, 1.6, VERMILLION, ""),
        (10.2, 0.6, VERMILLION, f"1 × 1 convolution:\n{size} × {size} × 256"),
    )
    for left, width, ink, text in parts:
        _draw_box(axis, left, width, 1.6, ink)
        axis.text(left + width / 2, -1.1, text, ha="center", va="top", fontsize=9)
    axis.text(7.1, -1.1, f"fusion\n{size} × {size} × {channels}", ha="center", va="top", fontsize=9)
    for x, sign in ((1.75, "+"), (5.15, "="), (9.35, "→")):
        axis.text(x, 0, sign, ha="center", va="center", fontsize=16)
    axis.set(xlim=(-0.9, 11.9), ylim=(-1.75, 1.3))
    axis.set_axis_off()
    axis.set_title("Fusion: channels are stacked, not summed", fontsize=10)
    return figure


def parameters_figure(model: keras.Model) -> Figure:
    """How many of the network's numbers each convolution holds."""
    layers = [
        (layer, PARTS[part][1])
        for part in PARTS
        for layer in built_layers(model, part)
        if layer.count_params()
    ]
    counts = np.array([layer.count_params() for layer, _ in layers])
    figure = Figure(figsize=(PAGE_WIDTH, 0.5 * PAGE_WIDTH), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh(range(len(layers)), counts, color=[ink for _, ink in layers])
    shares = [f" {100 * count / model.count_params():.1f} %" for count in counts]
    axis.bar_label(bars, shares, fontsize=8)
    axis.set_yticks(range(len(layers)), [layer.name for layer, _ in layers], fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
    axis.set(xlabel="parameters, millions")
    axis.set_title(f"Where the {model.count_params():,} parameters sit", fontsize=10)
    return figure


def _shape(layer) -> str:
    return " × ".join(str(size) for size in layer.output.shape[1:])


def _draw_volume(axis, left: float, shape, ink: str) -> float:
    """Draw an N x N x C volume on the middle line; gives its right end."""
    size, channels = shape[1], shape[3]
    height = HEIGHT_PER_DOUBLING * np.log2(size) - 0.6
    width = WIDTH_PER_DOUBLING * (1 + np.log2(channels))
    _draw_box(axis, left, width, height, ink)
    axis.text(left + width / 2, height / 2 + 0.35, str(size), ha="center", fontsize=7)
    axis.text(left + width / 2, -height / 2 - 0.55, str(channels), ha="center", fontsize=7)
    return left + width


def _draw_box(axis, left: float, width: float, height: float, ink: str) -> None:
    """A box seen from the side: front of width x height, its top and right side slanted."""
    right, low, high = left + width, -height / 2, height / 2
    faces = (
        ([(left, low), (right, low), (right, high), (left, high)], 0.55),
        (
            [
                (left, high),
                (right, high),
                (right + SLANT, high + SLANT),
                (left + SLANT, high + SLANT),
            ],
            0.3,
        ),
        (
            [
                (right, low),
                (right, high),
                (right + SLANT, high + SLANT),
                (right + SLANT, low + SLANT),
            ],
            0.8,
        ),
    )
    for corners, strength in faces:
        axis.add_patch(Polygon(corners, facecolor=_lighten(ink, strength), edgecolor="white"))


def _lighten(ink: str, strength: float) -> np.ndarray:
    """A colour mixed with white; 1 leaves it as it is."""
    return 1 - strength * (1 - np.array(to_rgb(ink)))
