"""Batches for training and evaluation (Section II.B): Lab targets and the descriptor's inputs.

`batches` makes training pairs of the rows of a cache; `decode_portraits` is the way without one.
Both read and convert while a training step runs.
"""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from koala_face.color import rgb_to_luminance_and_ab, scale_ab, scale_luminance
from koala_face.data.embeddings import OVERSAMPLING, descriptor_input
from koala_face.data.portraits import Portraits
from koala_face.photographs.reading import read_rgb, resize

# Batches made ready while a training step runs.
READ_AHEAD = 2


def batches(
    portraits: Portraits,
    order: Sequence[int],
    batch_size: int,
    flips: Sequence[bool] | None = None,
    windows: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Training pairs ((luminance, embedding), ab), read and converted while a step runs.

    Args:
        order: row numbers, shuffled as the caller wants; the last batch may be smaller.
        flips: for each of `order`, whether to mirror the portrait left to right. Its vector
            is that of the portrait as it is.
        windows: for each of `order`, the part of the portrait to enlarge to the whole size,
            (N, 4) as `sampling.sample_windows` gives them. None takes the portraits whole.

    Returns:
        A dataset of luminance (B, size, size, 1) in 0-1, embedding (B, embedding_dim) and
        ab (B, size, size, 2) in -1 to 1, all float32, in `order`.
    """
    order = np.asarray(order, dtype="int64")
    flips = np.zeros(len(order), bool) if flips is None else np.asarray(flips, bool)
    if flips.shape != order.shape:
        raise ValueError(f"Expected {len(order)} flips, as many as rows. Received: {len(flips)}.")
    samples = (order, flips) if windows is None else (order, flips, windows)

    def read(row, mirrored):
        rgb = portraits.rgb[row]
        return rgb[:, ::-1] if mirrored else rgb, portraits.embeddings[row]

    def make_pair(row, mirrored, window=None):
        rgb, embedding = tf.numpy_function(read, [row, mirrored], (tf.uint8, tf.float32))
        rgb.set_shape(portraits.rgb.shape[1:])
        embedding.set_shape(portraits.embeddings.shape[1:])
        rgb = rgb if window is None else enlarge(rgb, window)
        luminance, ab = split_lab(rgb)
        return (luminance, embedding), ab

    # One by one: a whole batch leaves the processor's caches at every step of the conversion.
    samples = tf.data.Dataset.from_tensor_slices(samples).map(make_pair, os.cpu_count())
    # `drop_remainder` drops nothing here, but makes the batch's size known to the network.
    whole = len(order) % batch_size == 0
    return _read_ahead(samples.batch(batch_size, drop_remainder=whole))


def enlarge(rgb: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Enlarge a part of a portrait to its whole size, bilinearly.

    Args:
        rgb: (size, size, 3) uint8.
        window: (4,) top, left, bottom and right edge, as shares of height and width.

    Returns:
        (size, size, 3) float32 in 0-1.
    """
    portrait, size = tf.cast(rgb, tf.float32)[None], rgb.shape[:2]
    return tf.image.crop_and_resize(portrait, window[None], [0], size)[0] / 255.0


def decode_portraits(
    paths: Sequence[str | os.PathLike], size: int, input_size: int, batch_size: int = 32
) -> tf.data.Dataset:
    """The way without a cache: photographs to (luminance, ab, descriptor input) in one pass.

    Returns:
        A dataset of luminance (B, size, size, 1) in 0-1, ab (B, size, size, 2) in -1 to 1, and
        the gray version (B, input_size, input_size, 3) in 0-255, all float32, in `paths`' order.

    Raises:
        tf.errors.UnknownError: while it runs, for a photograph that cannot be read.
    """
    names = [os.fsencode(path) for path in paths]

    def read(name):
        rgb = read_rgb(os.fsdecode(name), OVERSAMPLING * max(size, input_size))
        return resize(rgb, size, size), descriptor_input(rgb, input_size)

    def decode(name):
        rgb, gray = tf.numpy_function(read, [name], (tf.uint8, tf.uint8))
        rgb.set_shape((size, size, 3))
        gray.set_shape((input_size, input_size))
        luminance, ab = split_lab(rgb)
        return luminance, ab, tf.repeat(tf.cast(gray, tf.float32)[..., None], 3, axis=-1)

    samples = tf.data.Dataset.from_tensor_slices(names).map(decode, os.cpu_count())
    return _read_ahead(samples.batch(batch_size))


def _read_ahead(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset with batches made ready while a training step runs.

    All parallelism is given: nothing is left for tf.data's autotuning, whose thread at times misses
    that an iterator ends and then holds up the program until its next turn, up to a minute later.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(READ_AHEAD).with_options(options)


def split_lab(rgb: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(..., 3) uint8 sRGB to what the network takes and gives: luminance (..., 1), ab (..., 2)."""
    luminance, ab = rgb_to_luminance_and_ab(rgb)
    return scale_luminance(luminance), scale_ab(ab)
