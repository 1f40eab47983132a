"""Row `files`: photographs coloured from file to file, and where the time goes."""

import itertools
import multiprocessing
import shutil
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from koala_face import models
from koala_face.backbones import build_descriptor, find_backbone, locate_weights
from koala_face.benchmark.timing import (
    Measurement,
    Setup,
    median_seconds,
    peak_flops,
    share_of_peak,
)
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.files import colorize_files
from koala_face.colorizer.jobs import plan_jobs
from koala_face.colorizer.threads import use_single_threads
from koala_face.model_files.files import load_model
from koala_face.model_files.shipped import VARIANTS, shipped_model
from koala_face.photographs.reading import read_rgb, resize

# Shorter sides of the photographs, how many of each are coloured, and the milliseconds asked.
SIDES = ((256, 40, 150), (2000, 8, None))
VARIANT = VARIANTS[0]


def measure_files(setup: Setup) -> list[Measurement]:
    """Small and large photographs by the model that `colorize` takes, and how near the small ones
    come to what the networks' multiplications alone would allow."""
    # In a process of its own, whose libraries keep to the threads that the command gives them.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, use_single_threads) as process:
        measured, flops = process.submit(_measure_sides, setup).result()
    share = f"files, share of the peak, {flops / 1e9:.1f} GFLOP a photograph"
    return [
        *(line for line, _ in measured),
        share_of_peak(share, measured[0][1] * flops, peak_flops(setup.repeats)),
    ]


def _measure_sides(setup: Setup) -> tuple[list[tuple[Measurement, float]], float]:
    """`_measure` of each of `SIDES`, and the arithmetic of a photograph."""
    model, description = load_model(shipped_model(VARIANT))
    colorizer = Colorizer.of_network(model, description)
    measured = [_measure(setup, colorizer, *side) for side in SIDES]
    return measured, flops_of_photograph(model, description)


def flops_of_photograph(model, description) -> float:
    """Additions and multiplications of all predictions for a photograph and of its descriptor."""
    backbone = find_backbone(*description.descriptor)
    descriptor = build_descriptor(backbone, locate_weights(backbone))
    predictions = (1 + description.mirrored) * sum(scale**2 for scale in description.scales)
    return 2 * (predictions * models.multiply_adds(model) + models.multiply_adds(descriptor))


def _measure(
    setup: Setup, colorizer: Colorizer, side: int, count: int, asked: int | None
) -> tuple[Measurement, float]:
    """The line of photographs of a size, and how many a second."""
    count = min(count, setup.count)
    folder, output = setup.folder / f"files-{side}", setup.folder / f"colored-{side}"
    write_photographs(setup.photographs, folder, side, count)
    stages: dict[str, list[float]] = {}

    def colorize() -> None:
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        for outcome in colorize_files(plan_jobs([folder], output).jobs, colorizer):
            if outcome.error is not None:
                raise RuntimeError(f"{outcome.job.source} was not coloured: {outcome.error}")
            for stage, spent in outcome.seconds.items():
                stages.setdefault(stage, []).append(spent)

    seconds = median_seconds({"files": colorize}, setup.repeats)["files"]
    parts = [f"{stage} {1000 * statistics.median(spent):.0f}" for stage, spent in stages.items()]
    line = Measurement(
        f"files, {side} px, {VARIANT}, descriptor included",
        f"{count / seconds:.3g} photographs/s, {1000 * seconds / count:.0f} ms each",
        f"overlapping: {', '.join(parts)} ms",
        "",
        f"< {asked} ms" if asked else "",
    )
    return line, count / seconds


def write_photographs(sources, folder: Path, side: int, count: int) -> None:
    """Write `count` JPEGs, the shorter side of each `side` pixels, from `sources` in turns."""
    folder.mkdir()
    for number, source in enumerate(itertools.islice(itertools.cycle(sources), count)):
        pixels = read_rgb(source)
        scale = side / min(pixels.shape[:2])
        height, width = (round(scale * n) for n in pixels.shape[:2])
        Image.fromarray(resize(pixels, height, width)).save(folder / f"{number}.jpg", quality=95)
