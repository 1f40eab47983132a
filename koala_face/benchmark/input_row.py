"""Rows `input` and `color`: the way of a portrait to the network, without the network."""

import itertools
import time

import numpy as np
import tensorflow as tf
from skimage.color import rgb2lab
from skimage.io import imread
from skimage.transform import resize

from koala_face.benchmark.ancestors import read_batch
from koala_face.benchmark.timing import (
    Measurement,
    Setup,
    compare,
    link_photographs,
    median_seconds,
)
from koala_face.benchmark.training_row import cached_portraits
from koala_face.color import rgb_to_lab
from koala_face.data import pipeline
from koala_face.training.sampling import training_batches

BATCH_SIZE = 50
# The descriptor's input in the cold row: VGG-Face's.
INPUT_SIZE = 224
# Photographs that the partner decodes in a call, which it does much more slowly.
PARTNER_COUNT = 10
# Portraits that scikit-image converts in a call, one by one, and how often the pipeline goes
# over them: starting it takes as long as ten portraits, which an epoch does not feel.
CONVERTED = 20
PASSES = 10


def measure_input(setup: Setup) -> list[Measurement]:
    """Warm: from the cache, as they are or aged anew by each step. Cold: from the files to all that
    network and descriptor take."""
    count = min(BATCH_SIZE, setup.count)
    portraits = cached_portraits(setup)
    order = np.arange(len(portraits))
    paths = link_photographs(setup.photographs, setup.folder / "cold", setup.count)
    few = paths[:PARTNER_COUNT]

    steps, photographs = max(1, len(portraits) // count), len(paths)
    seconds = median_seconds(
        {
            "aged": lambda: exhaust(training_batches(portraits, 0, steps, count, 0, aged=True)),
            "warm": lambda: exhaust(pipeline.batches(portraits, order, count)),
            "cold": lambda: exhaust(
                pipeline.decode_portraits(paths, setup.size, INPUT_SIZE, count)
            ),
            "generator": lambda: read_batch(few, setup.size, INPUT_SIZE),
        },
        setup.repeats,
    )
    partner = len(few) / seconds["generator"]
    warm = f"input, warm cache, batch {count}, no network"
    return [
        compare(what, number / seconds[way], partner, "scikit-image", "portraits/s", asked)
        for what, way, number, asked in (
            (warm, "warm", photographs, ">= 400 on two cores"),
            (f"{warm}, --ageing", "aged", steps * count, ""),
            ("input, cold, from the files, no network", "cold", photographs, ">= 100 on two cores"),
        )
    ]


def measure_color(setup: Setup) -> list[Measurement]:
    """RGB to Lab alone in a pipeline of one thread; scikit-image is given its quicker float32."""
    sources = itertools.islice(itertools.cycle(setup.photographs), CONVERTED)
    shape = (setup.size, setup.size)
    floats = [resize(imread(path)[..., :3], shape).astype("float32") for path in sources]
    levels = [np.round(portrait * 255).astype("uint8") for portrait in floats]

    ways = {
        "uint8": convert_in_one_thread(levels),
        "float32": convert_in_one_thread(floats),
        "scikit-image": lambda: [rgb2lab(portrait) for portrait in floats],
    }
    seconds = median_seconds(ways, setup.repeats, clock=time.process_time)
    passes = {"scikit-image": 1}
    rate = {way: passes.get(way, PASSES) * CONVERTED / value for way, value in seconds.items()}
    return [
        compare(
            f"color, RGB to Lab, {setup.size}x{setup.size} {dtype}",
            rate[dtype],
            rate["scikit-image"],
            "scikit-image, float32",
            "portraits/s of a core",
            "ratio >= 2",
        )
        for dtype in ("uint8", "float32")
    ]


def convert_in_one_thread(portraits):
    """A function that sends portraits through `rgb_to_lab` in a pipeline, PASSES times."""
    dataset = tf.data.Dataset.from_tensor_slices(np.stack(portraits)).repeat(PASSES)
    dataset = dataset.map(rgb_to_lab)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return lambda: exhaust(dataset.with_options(options))


def exhaust(dataset) -> None:
    """Make every element and forget it."""
    for _ in dataset:
        pass
