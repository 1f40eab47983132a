"""Row `training`: from the cache to the updated weights, portraits a second."""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from koala_face import models
from koala_face.backbones import find_backbone
from koala_face.benchmark import ancestors, arithmetic
from koala_face.benchmark.timing import (
    Measurement,
    Setup,
    compare,
    link_photographs,
    median_seconds,
    peak_flops,
    share_of_peak,
)
from koala_face.data import pipeline
from koala_face.data.portraits import load_portraits
from koala_face.foundation.allocator import keep_freed_memory
from koala_face.training.step import make_optimizer, make_train_step

# Of VGG-Face, the paper's descriptor. The ancestors' embedding has 1000: less work for them.
EMBEDDING_DIM = 2622
# Portraits in a timed call; a batch that is larger makes a call of one step.
PORTRAITS_IN_A_CALL = 30


def cached_portraits(setup: Setup, name: str = "portraits", count: int | None = None):
    """`count` portraits from a warm cache, with made vectors of the paper's length."""
    folder = setup.folder / name
    count = count or setup.count
    if not folder.exists():
        link_photographs(setup.photographs, folder, count)
    cache = setup.folder / "cache"
    portraits = load_portraits(folder, setup.size, find_backbone("none"), cache)
    vectors = np.random.RandomState(0).rand(len(portraits), EMBEDDING_DIM).astype("float32")
    return dataclasses.replace(portraits, embeddings=vectors)


def measure_training(setup: Setup) -> list[Measurement]:
    """Ours, the ancestors' way, and the network of the tables without the other arithmetic."""
    # As `koala_face.train` does; the others profit from it as well.
    keep_freed_memory()
    return [line for size in setup.batch_sizes for line in _measure_batch_size(setup, size)]


def _measure_batch_size(setup: Setup, batch_size: int) -> list[Measurement]:
    steps = max(1, PORTRAITS_IN_A_CALL // batch_size)
    portraits = cached_portraits(setup)
    train = ancestors.make_training(
        [portraits_path(setup, path) for path in portraits.paths], setup.size, batch_size
    )
    ways = {
        "ours": _our_training(portraits, setup.size, batch_size, steps),
        "ancestors": lambda: train(steps),
        "xla": _table_steps(setup.size, batch_size, steps, compiled=True),
        "plain": _table_steps(setup.size, batch_size, steps, compiled=False),
    }
    seconds = median_seconds(ways, setup.repeats)
    rate = {way: steps * batch_size / value for way, value in seconds.items()}
    products = _seconds_of_products(setup.size, batch_size, setup.repeats)
    peak = peak_flops(setup.repeats)
    return _lines(rate, products, peak, setup.size, batch_size)


def _lines(
    rate: dict[str, float], products: float, peak: float, size: int, batch_size: int
) -> list[Measurement]:
    what = f"training, {size}x{size}, batch {batch_size}"
    table = arithmetic.step_flops(arithmetic.multiply_adds(size, EMBEDDING_DIM), 1)
    done = arithmetic.step_flops(arithmetic.fast_multiply_adds(size, EMBEDDING_DIM), 1)
    unit = "portraits/s"
    return [
        compare(what, rate["ours"], rate["ancestors"], "ancestors' way", unit, "ratio >= 2"),
        compare(f"{what}, against the tables' layers", rate["ours"], rate["xla"], "XLA", unit),
        compare(f"{what}, against the tables' layers", rate["ours"], rate["plain"], "no XLA", unit),
        share_of_peak(
            f"{what}, share of the peak, the tables' {table / 1e9:.1f} GFLOP a portrait",
            rate["ours"] * table,
            peak,
            ">= 65 %",
        ),
        share_of_peak(
            f"{what}, share of the peak, the {done / 1e9:.1f} GFLOP really multiplied",
            rate["ours"] * done,
            peak,
        ),
        Measurement(
            f"{what}, its matrix products alone",
            f"{products:.2f} s",
            f"the step: {batch_size / rate['ours']:.2f} s",
            f"{products * rate['ours'] / batch_size:.0%}",
        ),
    ]


def _seconds_of_products(size: int, batch_size: int, repeats: int) -> float:
    """What of a step is arithmetic: forward, and backward by the inputs and by the kernels."""

    @tf.function(autograph=False, jit_compile=True)
    def multiply(x, kernel, y):
        by_inputs = tf.matmul(y, kernel, transpose_b=True)
        return x @ kernel, by_inputs, tf.matmul(x, y, transpose_a=True)

    seconds = 0.0
    for count, rows, channels, filters in arithmetic.matrix_products(size):
        rows *= batch_size
        shapes = (count, rows, channels), (count, channels, filters), (count, rows, filters)
        operands = [tf.random.stateless_uniform(shape, (0, 0)) for shape in shapes]
        ways = {"product": lambda operands=operands: multiply(*operands)}
        seconds += median_seconds(ways, repeats)["product"]
    return seconds


def measure_networks(setup: Setup) -> list[Measurement]:
    """A step of each network in `models.NETWORKS` as training takes it, beside the paper's."""
    keep_freed_memory()
    lines = []
    for batch_size in setup.batch_sizes:
        calls = {name: _one_step(setup.size, batch_size, name) for name in models.NETWORKS}
        seconds = median_seconds(calls, setup.repeats)
        paper = seconds[models.PAPER.name]
        for name in models.NETWORKS:
            lines.append(
                Measurement(
                    f"networks, a step of {name}, {setup.size}x{setup.size}, batch {batch_size}",
                    f"{seconds[name]:.3f} s",
                    f"{models.PAPER.name}: {paper:.3f}",
                    f"{seconds[name] / paper:.2f}",
                )
            )
    return lines


def portraits_path(setup: Setup, path: str):
    """Where a portrait of `cached_portraits` lies."""
    return setup.folder / "portraits" / path


def _our_training(portraits, size: int, batch_size: int, steps: int):
    model = models.build_colorizer(EMBEDDING_DIM, size)
    step = make_train_step(model, make_optimizer(model, 0.001))
    order = np.arange(steps * batch_size) % len(portraits)

    def train():
        for (luminance, embedding), ab in pipeline.batches(portraits, order, batch_size):
            float(step(luminance, embedding, ab))

    return train


def _one_step(size: int, batch_size: int, network: str):
    model = models.build_colorizer(EMBEDDING_DIM, size, network=network)
    step = make_train_step(model, make_optimizer(model, 0.001))
    batch = _ready_batch(size, batch_size)
    return lambda: float(step(*batch))


def _ready_batch(size: int, batch_size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    shapes = (size, size, 1), (EMBEDDING_DIM,), (size, size, 2)
    return tuple(
        tf.random.stateless_uniform((batch_size, *shape), (0, seed))
        for seed, shape in enumerate(shapes)
    )


def _table_steps(size: int, batch_size: int, steps: int, compiled: bool):
    """Steps of the layers as the tables have them, on a ready batch."""
    model = models.build_colorizer(EMBEDDING_DIM, size)
    optimizer = make_optimizer(model, 0.001)
    luminance, embedding, target = _ready_batch(size, batch_size)

    @tf.function(autograph=False, jit_compile=compiled or None)
    def step():
        with tf.GradientTape() as tape:
            ab = model([luminance, embedding], training=True)
            loss = tf.reduce_mean(tf.math.squared_difference(ab, target))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def train():
        for _ in itertools.repeat(None, steps):
            float(step())

    return train
