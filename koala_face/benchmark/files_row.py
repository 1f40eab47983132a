"""Row `files`: photographs coloured from file to file, and where the time goes."""

import itertools
import shutil
import statistics
from pathlib import Path

from PIL import Image

from koala_face import models
from koala_face.backbones import find_backbone, locate_weights
from koala_face.benchmark.timing import Measurement, Setup, median_seconds
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.files import colorize_files
from koala_face.colorizer.jobs import plan_jobs
from koala_face.data.embeddings import compile_descriptor
from koala_face.photographs.reading import read_rgb, resize

# Shorter sides of the photographs, how many of each are coloured, and the milliseconds asked.
SIDES = ((256, 40, 150), (2000, 8, None))
DESCRIPTOR = "facenet"


def measure_files(setup: Setup) -> list[Measurement]:
    """Small and large photographs, with a descriptor that needs no download, untrained colours."""
    backbone = find_backbone(DESCRIPTOR)
    model = models.build_colorizer(backbone.embedding_dim, setup.size)
    embed = compile_descriptor(backbone, locate_weights(backbone))
    colorizer = Colorizer(model, embed, backbone.input_size)
    return [
        _measure(setup, colorizer, side, min(count, setup.count), asked)
        for side, count, asked in SIDES
    ]


def _measure(setup: Setup, colorizer: Colorizer, side: int, count: int, asked) -> Measurement:
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
    return Measurement(
        f"files, {side} px, {DESCRIPTOR}, descriptor included",
        f"{count / seconds:.3g} photographs/s, {1000 * seconds / count:.0f} ms each",
        f"overlapping: {', '.join(parts)} ms",
        "",
        f"< {asked} ms" if asked else "",
    )


def write_photographs(sources, folder: Path, side: int, count: int) -> None:
    """Write `count` JPEGs, the shorter side of each `side` pixels, from `sources` in turns."""
    folder.mkdir()
    for number, source in enumerate(itertools.islice(itertools.cycle(sources), count)):
        pixels = read_rgb(source)
        scale = side / min(pixels.shape[:2])
        height, width = (round(scale * n) for n in pixels.shape[:2])
        Image.fromarray(resize(pixels, height, width)).save(folder / f"{number}.jpg", quality=95)
