"""What each step of training sees: the portraits' order and their random variations.

All of it depends on the seed and on a sample's position in the run alone, so that training
can go on from any step. The paper (II.F) names no variation; those here are our choice.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from koala_face.data import pipeline
from koala_face.data.portraits import Portraits
from koala_face.data.row_file import Rows

# Variations are drawn in blocks, so that a position is reached without those before it.
BLOCK = 4096


def training_batches(
    portraits: Portraits,
    start: int,
    stop: int,
    batch_size: int,
    seed: int,
    flip: bool = False,
    crop: float = 0.0,
    noise: np.ndarray | None = None,
) -> tf.data.Dataset:
    """The training pairs of steps `start` to `stop`; see `pipeline.batches`.

    Args:
        flip: mirror every other portrait.
        crop: the largest cut of `sample_windows`.
        noise: its standard deviation for `vary_embeddings`; None adds none.
    """
    span = (seed, start * batch_size, stop * batch_size)
    order = sample_order(len(portraits), *span)
    flips = sample_flips(*span) if flip else None
    windows = sample_windows(crop, *span) if crop else None
    pairs = pipeline.batches(portraits, order, batch_size, flips, windows)
    return pairs if noise is None else vary_embeddings(pairs, noise, seed, start)


def sample_order(count: int, seed: int, start: int, stop: int) -> np.ndarray:
    """Rows at positions `start` to `stop` of an endless row of shuffles of `count` portraits.

    Every portrait comes once before any comes again. The order depends on `seed` and
    position alone: any part can be had without the parts before it.

    Returns:
        (stop - start,) int64 in 0 to count - 1.
    """
    if count <= 0:
        raise ValueError(f"Expected at least one portrait to draw from. Received: {count}.")
    return _blocks(count, (0, seed), start, stop, lambda random: random.permutation(count))


def sample_flips(seed: int, start: int, stop: int) -> np.ndarray:
    """Whether the samples at positions `start` to `stop` are mirrored: (stop - start,) bool."""
    return _blocks(BLOCK, (1, seed), start, stop, lambda random: random.rand(BLOCK) < 0.5)


def sample_windows(largest_cut: float, seed: int, start: int, stop: int) -> np.ndarray:
    """Random parts of the portraits at positions `start` to `stop`, of their own proportions.

    Args:
        largest_cut: the share of height and width that is cut off is drawn evenly from 0 to this.

    Returns:
        (stop - start, 4) float32: top, left, bottom and right edge, as shares of height and width.
    """

    def draw(random: np.random.RandomState) -> np.ndarray:
        side = 1.0 - largest_cut * random.rand(BLOCK, 1)
        corner = (1.0 - side) * random.rand(BLOCK, 2)
        return np.concatenate([corner, corner + side], axis=1).astype("float32")

    return _blocks(BLOCK, (2, seed), start, stop, draw)


def vary_embeddings(
    pairs: tf.data.Dataset, deviation: np.ndarray, seed: int, step: int
) -> tf.data.Dataset:
    """Add normal noise to the vectors of training pairs.

    Args:
        pairs: from `pipeline.batches`.
        deviation: (embedding_dim,), the noise's standard deviation.
        seed, step: the noise of a batch depends on the seed and on its step alone; `step` is
            that of the first.
    """

    def vary(number, pair):
        (luminance, embedding), ab = pair
        noise = tf.random.stateless_normal(tf.shape(embedding), [seed, number])
        return (luminance, embedding + noise * deviation), ab

    return pairs.enumerate(step).map(vary)


def noise_deviation(share: float, embeddings: Rows | np.ndarray) -> np.ndarray | None:
    """A share of the vectors' spread, as `noise`; with 0 they are not read off the disk."""
    return share * embedding_spread(embeddings) if share else None


def embedding_spread(embeddings: Rows | np.ndarray, count: int = 1000) -> np.ndarray:
    """The standard deviation of each component of the first `count` vectors, (D,) float32."""
    return np.std(embeddings[:count], axis=0, dtype="float64").astype("float32")


def _blocks(
    length: int,
    seed: Sequence[int],
    start: int,
    stop: int,
    draw: Callable[[np.random.RandomState], np.ndarray],
) -> np.ndarray:
    """Positions `start` to `stop` of an endless row of blocks, each from a generator of its own.

    RandomState, because NumPy promises that its numbers never change between versions.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"Expected 0 <= start <= stop. Received: start={start}, stop={stop}.")
    first, last = start // length, stop // length
    drawn = [draw(np.random.RandomState([*seed, block])) for block in range(first, last + 1)]
    return np.concatenate(drawn)[start - first * length : stop - first * length]
