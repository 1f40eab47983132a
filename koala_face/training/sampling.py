"""What each step of training sees: the portraits' order and their random variations.

All of it depends on the seed and on a sample's position in the run alone, so that training
can go on from any step. The paper (II.F) names no variation; those here are our choice.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from koala_face import color
from koala_face.color.luminance import gray_to_luminance
from koala_face.data import pipeline
from koala_face.data.portraits import Portraits
from koala_face.data.row_file import Rows
from koala_face.training import ageing

# Variations are drawn in blocks, so that a position is reached without those before it.
BLOCK = 4096
WHOLE = slice(None)


def training_batches(
    portraits: Portraits,
    start: int,
    stop: int,
    batch_size: int,
    seed: int,
    flip: bool = False,
    crop: float = 0.0,
    noise: np.ndarray | None = None,
    shares: Sequence[float] = (),
    aged: bool = False,
    part: slice = WHOLE,
) -> tf.data.Dataset:
    """What steps `start` to `stop` see, and what they should give.

    Args:
        flip: mirror every other portrait.
        crop: the largest cut of `sample_windows`.
        noise: its standard deviation for `vary_embeddings`; None adds none.
        shares: of the portraits' folders; see `sample_shares`.
        aged: show portraits as old photographs; see `ageing`.
        part: the positions of each batch that are wanted, where other processes take the rest.

    Returns:
        A dataset of ((luminance, embedding), (ab,)), as `pipeline.batches` gives them; of
        ((aged luminance, embedding), (ab, the portrait's own luminance)) for `aged`.
    """
    span = (seed, start * batch_size, stop * batch_size)
    places = np.arange((stop - start) * batch_size).reshape(-1, batch_size)[:, part]
    wanted, size = places.ravel(), places.shape[1]
    order = sample_shares(portraits.parts, shares, *span)[wanted]
    flips = sample_flips(*span)[wanted] if flip else None
    windows = sample_windows(crop, *span)[wanted] if crop else None
    pairs = pipeline.batches(portraits, order, size, flips, windows)
    if noise is not None:
        pairs = vary_embeddings(pairs, noise, seed, start, batch_size, part)
    if aged:
        return age_portraits(pairs, batch_size, seed, start, part)
    return pairs.map(lambda inputs, ab: (inputs, (ab,)))


def age_portraits(
    pairs: tf.data.Dataset, batch_size: int, seed: int, step: int, part: slice = WHOLE
) -> tf.data.Dataset:
    """Show portraits as old photographs; see `training_batches`.

    Args:
        pairs: from `pipeline.batches`; the first batch is the `part` of that of `step`.
    """

    def age(number, pair):
        (luminance, embedding), ab = pair
        lab = (color.unscale_luminance(luminance), color.unscale_ab(ab))
        linear = tf.clip_by_value(color.lab_to_linear(tf.concat(lab, axis=-1)), 0.0, 1.0)
        seen = tf.numpy_function(age_batch, [linear, number], tf.float32)
        seen.set_shape(luminance.shape)
        return (seen, embedding), (ab, luminance)

    def age_batch(portraits, number):
        positions = number * batch_size + np.arange(batch_size)[part]
        grays = [
            ageing.age(linear, seed, position, ageing.draw_effects(seed, position))
            for linear, position in zip(portraits, positions, strict=True)
        ]
        return color.scale_luminance(gray_to_luminance(np.stack(grays))[..., None])

    return pairs.enumerate(step).map(age, os.cpu_count()).prefetch(pipeline.READ_AHEAD)


def sample_shares(
    parts: Sequence[int], shares: Sequence[float], seed: int, start: int, stop: int
) -> np.ndarray:
    """As `sample_order`, of portraits in several folders, each with its share of the positions.

    Of every `BLOCK` positions each folder has its share, rounded; within a folder every portrait
    comes once before any comes again.

    Args:
        parts: how many portraits are of each folder; their rows follow each other.
        shares: one number for each of `parts`; what counts is their proportion. None at all
            mixes the portraits as if they were of one folder.
    """
    if not shares:
        return sample_order(sum(parts), seed, start, stop)
    edges = np.round(BLOCK * np.cumsum(shares) / np.sum(shares)).astype("int64")
    quotas = np.diff(edges, prepend=0)

    def draw(random: np.random.RandomState) -> np.ndarray:
        """Of each position its folder, and how many of that folder come before in the block."""
        folders = np.searchsorted(edges, random.permutation(BLOCK), side="right")
        before = np.empty(BLOCK, "int64")
        before[np.argsort(folders, kind="stable")] = np.arange(BLOCK)
        return np.stack([folders, before - (edges - quotas)[folders]], axis=1)

    folders, places = _blocks(BLOCK, (3, seed), start, stop, draw).T
    places = places + quotas[folders] * (np.arange(start, stop) // BLOCK)
    rows = np.empty(stop - start, "int64")
    for folder, count in enumerate(parts):
        (found,) = np.nonzero(folders == folder)
        if len(found):
            first, last = places[found].min(), places[found].max() + 1
            order = sample_order(count, seed, int(first), int(last))
            rows[found] = sum(parts[:folder]) + order[places[found] - first]
    return rows


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
    pairs: tf.data.Dataset,
    deviation: np.ndarray,
    seed: int,
    step: int,
    batch_size: int,
    part: slice = WHOLE,
) -> tf.data.Dataset:
    """Add normal noise to the vectors of training pairs.

    Args:
        pairs: from `pipeline.batches`.
        deviation: (embedding_dim,), the noise's standard deviation.
        seed, step: the noise of a batch depends on the seed and on its step alone; `step` is
            that of the first.
        part: of the batch's `batch_size` positions, those that `pairs` has.
    """

    def vary(number, pair):
        (luminance, embedding), ab = pair
        noise = tf.random.stateless_normal([batch_size, len(deviation)], [seed, number])
        return (luminance, embedding + noise[part] * deviation), ab

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
