"""How everything is timed: ways side by side, in turns, and the machine that it ran on."""

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face.foundation.versions import keras_version

# Side of the matrices whose product stands for the machine's peak.
PEAK_SIDE = 3072


class Measurement(NamedTuple):
    """A line of the table: what was measured, of what it was compared with, what was asked."""

    what: str
    value: str
    partner: str = ""
    ratio: str = ""
    asked: str = ""


class Setup(NamedTuple):
    """What every row gets.

    photographs: the files to work on, JPEG or PNG; rows take as many as they need, in turns.
    folder: for caches and links, empty at first, deleted at the end.
    count: photographs in a pass over a folder.
    pictures: the folder for what a row shows; without it nothing is drawn.
    """

    photographs: tuple[Path, ...]
    folder: Path
    size: int = 256
    batch_sizes: tuple[int, ...] = (10, 50)
    count: int = 200
    repeats: int = 5
    pictures: Path | None = None


def median_seconds(
    ways: dict[str, Callable[[], object]], repeats: int, clock=time.perf_counter
) -> dict[str, float]:
    """Time ways of doing one thing in turns, so that a busy moment hits all of them.

    Args:
        ways: name to a function without arguments; each is called once more, for warm-up.
        clock: `time.process_time` counts the seconds of all cores instead of the wall's.

    Returns:
        Name to the median seconds of a call.
    """
    seconds = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, call in ways.items():
            start = clock()
            call()
            if repeat:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def compare(what, ours: float, theirs: float, partner: str, unit: str, asked: str = ""):
    """A line for two speeds in the same unit; the ratio says how many times quicker ours is."""
    return Measurement(
        what,
        f"{number(ours)} {unit}",
        f"{partner}: {number(theirs)}",
        f"{ours / theirs:.2f}",
        asked,
    )


def number(value: float) -> str:
    """Three digits of a number, all before the point if there are more."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def share_of_peak(what: str, flops: float, peak: float, asked: str = "") -> Measurement:
    """The line of a rate in additions and multiplications a second, beside `peak_flops`."""
    return Measurement(
        what,
        f"{flops / 1e9:.0f} GFLOP/s",
        f"matrix product: {peak / 1e9:.0f} GFLOP/s",
        f"{flops / peak:.0%}",
        asked,
    )


def peak_flops(repeats: int) -> float:
    """Additions and multiplications a second of a large float32 matrix product."""
    matrix = tf.random.stateless_uniform((PEAK_SIDE, PEAK_SIDE), seed=(0, 0))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    seconds = median_seconds({"product": lambda: float(multiply())}, repeats)["product"]
    return 2 * PEAK_SIDE**3 / seconds


def link_photographs(sources, folder: Path, count: int) -> list[Path]:
    """Make `count` links in `folder` to `sources` in turns, or copies where links cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for index in range(count):
        source = Path(sources[index % len(sources)]).resolve()
        link = folder / f"{index:06}{source.suffix}"
        try:
            link.symlink_to(source)
        except OSError:
            link.write_bytes(source.read_bytes())
        links.append(link)
    return links


def environment() -> str:
    """One line: the day, the processor and its cores, the device, the versions."""
    gpus = tf.config.list_physical_devices("GPU")
    return (
        f"{datetime.date.today().isoformat()}, {processor()}, {os.cpu_count()} cores, "
        f"{len(gpus)} GPU, {platform.system()}, Python {platform.python_version()}, TensorFlow "
        f"{tf.__version__}, {keras_version()}, NumPy {np.__version__}"
    )


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
