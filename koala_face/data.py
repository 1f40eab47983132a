"""Portraits for training and evaluation (Section II.B): from a folder to batches.

`load_portraits` reads each photograph once, into two files side by side: the portraits,
uint8 RGB at the network's size, and the descriptor's vectors. `batches` makes training
pairs of them. Rows come from the disk as they are needed, so that memory does not grow
with the folder. `sampling` says which come, in which order and how they are varied.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from koala_face.backbones import Backbone, find_backbone
from koala_face.color import rgb_to_lab, rgb_to_luminance_and_ab, scale_ab, scale_luminance
from koala_face.embeddings import OVERSAMPLING, descriptor_input, embed_photographs
from koala_face.photographs import read_rgb, resize
from koala_face.row_file import RowKind, Rows
from koala_face.row_filling import fill_rows, hash_photographs, report_unreadable

# Portraits written at a time: a crash loses no more.
WRITTEN_AT_ONCE = 32
# Portraits in memory at once while their colours are looked at, and the pixels skipped.
SAMPLED_AT_ONCE = 50
SAMPLED_STRIDE = 4
# Batches made ready while a training step runs.
READ_AHEAD = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Portraits:
    """A folder's portraits, sorted by path. The arrays stay on the disk until they are indexed.

    paths: N relative paths with forward slashes.
    portraits: (N, size, size, 3) uint8 sRGB.
    embeddings: (N, embedding_dim) float32, of the gray versions.
    unreadable: relative path to reason, for the photographs left out.
    joined: how many are of each folder, where those of several follow each other.
    """

    paths: list[str]
    portraits: Rows | np.ndarray
    embeddings: Rows | np.ndarray
    unreadable: dict[str, str]
    joined: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def parts(self) -> tuple[int, ...]:
        """How many portraits are of each folder."""
        return self.joined or (len(self),)


def load_portraits(
    folder, size: int, backbone: Backbone, cache="data/cache", weights=None, strict: bool = False
) -> Portraits:
    """Read a folder's portraits and their vectors, computing those that the cache lacks.

    Args:
        folder: of photographs, searched recursively; nothing is written there.
        size: height and width in pixels; photographs are resized whole, as the paper does.
        cache: folder of the two HDF5 files, made if there is none.
        weights: the descriptor's; None looks in the usual places.
        strict: stop if any photograph cannot be read, instead of leaving it out.

    Raises:
        PhotographError: no photographs, none that can be read, or with `strict` not all.
        RowFileError: a file in the cache was made by something else, or cannot be written.
        LockError: another process works on one of them for too long.
        WeightsError: the descriptor's weights are not on this machine.
    """
    photographs = hash_photographs(folder)
    rows, photographs = fill_rows(
        cache_file(cache, folder, f"portraits-{size}"),
        portrait_kind(size),
        photographs,
        decode=lambda path: resize(read_rgb(path, OVERSAMPLING * size), size, size),
        compute=lambda portraits: portraits,
        batch_size=WRITTEN_AT_ONCE,
        strict=strict,
    )
    file = embedding_file(cache, folder, backbone)
    embeddings, photographs = embed_photographs(photographs, backbone, file, weights)
    report_unreadable(photographs)
    portraits = Rows(rows, rows.find(photographs.keys))
    paths = [key.path for key in photographs.keys]
    return Portraits(paths, portraits, embeddings, photographs.unreadable)


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
        rgb = portraits.portraits[row]
        return rgb[:, ::-1] if mirrored else rgb, portraits.embeddings[row]

    def make_pair(row, mirrored, window=None):
        rgb, embedding = tf.numpy_function(read, [row, mirrored], (tf.uint8, tf.float32))
        rgb.set_shape(portraits.portraits.shape[1:])
        embedding.set_shape(portraits.embeddings.shape[1:])
        rgb = rgb if window is None else enlarge(rgb, window)
        luminance, ab = split_lab(rgb)
        return (luminance, embedding), ab

    # One by one: a whole batch leaves the processor's caches at every step of the conversion.
    samples = tf.data.Dataset.from_tensor_slices(samples).map(make_pair, os.cpu_count())
    # `drop_remainder` drops nothing here, but makes the batch's size known to the network.
    whole = len(order) % batch_size == 0
    return _read_ahead(samples.batch(batch_size, drop_remainder=whole))


def enlarge(rgb, window) -> tf.Tensor:
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
    paths: Sequence, size: int, input_size: int, batch_size: int = 32
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


def mean_ab(portraits: Portraits) -> list[float]:
    """The mean a* and b* of all portraits, in CIELAB's units: the best single colour for them.

    Measured on every fourth pixel of every fourth line, which is exact enough for a baseline.
    """
    means = [ab.mean(axis=(1, 2)) for ab in sampled_ab(portraits.portraits)]
    return np.concatenate(means).mean(axis=0, dtype="float64").tolist()


def sampled_ab(rgb) -> Iterator[np.ndarray]:
    """The a*, b* of every fourth pixel of every fourth line: enough to know a portrait's colours.

    Args:
        rgb: (N, S, S, 3) uint8, an array or the rows of a file.

    Yields:
        (n, S/4, S/4, 2) float32 of some portraits at a time, in order.
    """
    for start in range(0, len(rgb), SAMPLED_AT_ONCE):
        part = rgb[start : start + SAMPLED_AT_ONCE][:, ::SAMPLED_STRIDE, ::SAMPLED_STRIDE]
        yield rgb_to_lab(part).numpy()[..., 1:]


def split_lab(rgb) -> tuple[tf.Tensor, tf.Tensor]:
    """(..., 3) uint8 sRGB to what the network takes and gives: luminance (..., 1), ab (..., 2)."""
    luminance, ab = rgb_to_luminance_and_ab(rgb)
    return scale_luminance(luminance), scale_ab(ab)


def portrait_kind(size: int) -> RowKind:
    """What a file of portraits holds and declares."""
    made_by = {"size": size, "color": "sRGB", "resize": "whole photograph, Pillow bicubic"}
    return RowKind("portraits", (size, size, 3), "uint8", made_by)


def embedding_file(cache, folder, backbone: Backbone) -> Path:
    """Where the cache keeps the vectors of a folder's portraits."""
    default = backbone.layer == find_backbone(backbone.name).layer
    return cache_file(cache, folder, backbone.name + ("" if default else f"-{backbone.layer}"))


def cache_file(cache, folder, what: str) -> Path:
    """`<cache>/<folder's name>-<8 hex digits of its absolute path>-<what>.h5`."""
    folder = Path(folder).resolve()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    return Path(cache) / f"{folder.name}-{digest}-{what}.h5"
