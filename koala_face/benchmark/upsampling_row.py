"""Row `upsampling`: small ab at full size by the edges of L* and by bicubic, against the truth.

Two predictions are brought to each photograph's own size by the code of `colorize`: its true
ab, reduced to what a network gives, where nothing errs but the upsampling; and the shipped
model's, whose own errors both ways share.
"""

import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from koala_face import color
from koala_face.benchmark.timing import Measurement, Setup, median_seconds
from koala_face.colorizer.colorizer import Colorizer, block_mean
from koala_face.colorizer.full_size import color_pixels, luminance_of, tiles
from koala_face.colorizer.upsampling import EDGE_AWARE, PLAIN
from koala_face.evaluation.baselines import OUTPUT_REDUCTION
from koala_face.figures.paper import Picture, pictures_figure
from koala_face.metrics import mean_squared_error
from koala_face.photographs.reading import read_rgb, resize
from koala_face.photographs.sample_portraits import astronaut, grace_hopper

log = logging.getLogger(__name__)

WAYS = (EDGE_AWARE, PLAIN)
# Share of the pixels that counts as edges of colour: those where the true ab changes fastest.
EDGES = 0.1
# The figure: ab of an input of 64 px for a portrait of 512, as one of 256 for 2048.
FIGURE_SIZE, CROP = 64, 80
FIGURE_RESOLUTION = 110  # dots per inch: each pixel becomes three


class Prediction(NamedTuple):
    """(h, w, 2) ab to bring to full size, and the (h, w) L* that belongs to it."""

    name: str
    luminance: np.ndarray
    ab: np.ndarray


def measure_upsampling(setup: Setup) -> list[Measurement]:
    """Errors over the photographs, whole and at edges of colour, and the time of the largest."""
    colorizer = Colorizer.load()
    paths = setup.photographs[: setup.count]
    errors, sides, largest = {}, [], None
    for path in paths:
        true = read_rgb(path)
        edges = color_edges(true)
        for prediction in predict(true, setup.size, colorizer):
            whole, narrow = errors_of(true, edges, prediction)
            errors.setdefault(prediction.name, []).append(whole)
            errors.setdefault(f"{prediction.name}, edges of colour", []).append(narrow)
        sides.append(min(true.shape[:2]))
        if largest is None or true.size > largest.size:
            largest = true
    if setup.pictures is not None:
        draw_samples(setup.pictures / "upsampling.png")
    photographs = f"{len(paths)} photographs, shorter side {min(sides)}-{max(sides)} px"
    lines = [error_line(f"upsampling, {photographs}, {name}", errors[name]) for name in errors]
    return [*lines, time_line(largest, setup)]


def predict(true, size: int, colorizer: Colorizer) -> Iterator[Prediction]:
    """The true ab as a network of `size` px would give it at best, and the model's ab."""
    yield true_prediction(true, size)
    seen = colorizer.prepare(true)
    ab = colorizer.predict([seen], colorizer.embed([seen]))[0]
    name = f"ab of the shipped model, {len(ab)}x{len(ab)}"
    yield Prediction(name, block_mean(seen.luminance, len(ab)), ab)


def true_prediction(true, size: int) -> Prediction:
    """The (H, W, 3) photograph's own ab, averaged over the pixels of a network's small map."""
    side = size // OUTPUT_REDUCTION
    channels = np.moveaxis(true_ab(true), -1, 0)
    ab = [reduce(np.ascontiguousarray(channel), side) for channel in channels]
    luminance = luminance_of(resize(true, size, size))
    name = f"true ab, {side}x{side}"
    return Prediction(name, block_mean(luminance, side), np.stack(ab, axis=-1))


def reduce(channel, side: int) -> np.ndarray:
    """(H, W) float32 to the (side, side) means of its boxes."""
    return np.asarray(Image.fromarray(channel).resize((side, side), Image.Resampling.BOX))


def true_ab(rgb) -> np.ndarray:
    """(H, W, 3) uint8 to (H, W, 2) float32 ab, by tiles: large photographs need no more."""
    ab = np.empty((*rgb.shape[:2], 2), np.float32)
    for part in tiles(*rgb.shape[:2]):
        ab[part] = color.rgb_to_lab(rgb[part])[..., 1:]
    return ab


def color_edges(rgb) -> np.ndarray:
    """(H, W) bool: where the true ab changes fastest from pixel to pixel. L* has no say in it."""
    ab = true_ab(rgb)
    steepness = sum(np.square(np.gradient(ab, axis=axis)).sum(axis=-1) for axis in (0, 1))
    return steepness >= np.quantile(steepness, 1 - EDGES)


def errors_of(true, edges, prediction: Prediction) -> tuple[dict[str, float], dict[str, float]]:
    """Way to MSE of 8-bit RGB (equation 2), over the photograph and over its `edges`."""
    whole, narrow = {}, {}
    for way in WAYS:
        colored = color_pixels(true, prediction.luminance, prediction.ab, way)
        whole[way] = float(mean_squared_error(colored, true))
        # A row of pixels, as a picture.
        narrow[way] = float(mean_squared_error(colored[edges][None], true[edges][None]))
    return whole, narrow


def error_line(what: str, errors: list[dict[str, float]]) -> Measurement:
    """A line of the means over photographs; below 1 the edges of L* have helped."""
    aware, plain = (np.mean([each[way] for each in errors]) for way in WAYS)
    better = sum(each[EDGE_AWARE] < each[PLAIN] for each in errors)
    return Measurement(
        what,
        f"{EDGE_AWARE}: MSE {aware:.1f}, lower on {better} of {len(errors)}",
        f"{PLAIN}: {plain:.1f}",
        f"{aware / plain:.3f}" if plain else "",
        "ratio < 1",
    )


def time_line(true, setup: Setup) -> Measurement:
    """The time from small ab to pixels of one photograph; of a core, as this fits busy machines."""
    _, luminance, ab = true_prediction(true, setup.size)
    ways = {way: lambda way=way: color_pixels(true, luminance, ab, way) for way in WAYS}
    seconds = median_seconds(ways, setup.repeats, clock=time.process_time)
    height, width = true.shape[:2]
    return Measurement(
        f"upsampling, time of {width}x{height} px, L* and sRGB included",
        f"{EDGE_AWARE}: {1000 * seconds[EDGE_AWARE]:.0f} ms of a core",
        f"{PLAIN}: {1000 * seconds[PLAIN]:.0f} ms",
        f"{seconds[EDGE_AWARE] / seconds[PLAIN]:.2f}",
    )


def draw_samples(path) -> None:
    """Draw both samples from their true ab, 16 times smaller, where the two ways differ most."""
    rows = [figure_row(true) for true in (astronaut(), grace_hopper())]
    side = FIGURE_SIZE // OUTPUT_REDUCTION
    title = (
        f"From the true a*, b* at {side} x {side}: {CROP} x {CROP} px where the ways differ most"
    )
    columns, names = (PLAIN, EDGE_AWARE, "true"), ("astronaut", "Grace Hopper")
    pictures_figure(rows, columns, names, title).savefig(path, dpi=FIGURE_RESOLUTION)
    log.info("%s: the samples, by both ways.", path)


def figure_row(true) -> list[Picture]:
    """The same square of a portrait by plain, edge-aware and as it is, errors below."""
    _, luminance, ab = true_prediction(true, FIGURE_SIZE)
    colored = {way: color_pixels(true, luminance, ab, way) for way in WAYS}
    rows, columns = widest_difference(colored[PLAIN], colored[EDGE_AWARE], CROP)
    pictures = []
    for way in (PLAIN, EDGE_AWARE):
        crop = colored[way][rows, columns]
        error = mean_squared_error(crop, true[rows, columns])
        pictures.append(Picture(crop, f"MSE of the square {error:.0f}"))
    return [*pictures, Picture(true[rows, columns])]


def widest_difference(one, other, side: int) -> tuple[slice, slice]:
    """The square of `side` pixels in which two pictures have the largest mean squared difference.

    Squares begin at multiples of an eighth of their side.
    """
    step = side // 8
    height, width = one.shape[:2]
    squares = [
        (slice(top, top + side), slice(left, left + side))
        for top in range(0, height - side + 1, step)
        for left in range(0, width - side + 1, step)
    ]
    return max(squares, key=lambda square: mean_squared_error(one[square], other[square]))
