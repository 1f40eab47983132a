"""Each portrait's vector from a pretrained descriptor (Section II.C), computed once.

The vectors lie in an HDF5 file beside the photographs' relative paths and content
hashes; its attributes say which descriptor made them. `row_file` says what a crash
leaves of it. A tuned descriptor's are made of the vectors below its head, which lie in
a file of their own, for all heads on that network.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from koala_face.backbones import (
    Backbone,
    check_tuned_on,
    descriptor_function,
    locate_weights,
    weights_sha256,
)
from koala_face.color import rgb_to_gray, to_uint8
from koala_face.data import color_clusters
from koala_face.data.row_file import RowKind, Rows
from koala_face.data.row_filling import Photographs, fill_rows, hash_photographs, report_unreadable
from koala_face.photographs.reading import read_rgb, resize

# Our choice: large enough for the network's full speed, small enough to lose little.
BATCH_SIZE = 32
# Large photographs are decoded at no less than this many times the size needed, so that
# the result is that of the full decode but for differences too small to see.
OVERSAMPLING = 2


class Embedded(NamedTuple):
    """The vectors of a folder's photographs.

    paths: relative paths of the photographs that can be read, sorted.
    embeddings: (N, embedding_dim) float32 in the order of `paths`, on the disk until indexed.
    unreadable: relative path to reason, for the photographs left out.
    """

    paths: list[str]
    embeddings: Rows | np.ndarray
    unreadable: dict[str, str]


def embed_folder(
    folder,
    backbone: Backbone,
    file,
    weights=None,
    batch_size: int = BATCH_SIZE,
    strict: bool = False,
    known: str | os.PathLike | None = None,
    rehash: bool = False,
) -> Embedded:
    """Compute the vectors of a folder's photographs that `file` does not hold yet.

    Args:
        folder: of photographs, searched recursively.
        file: the HDF5 file, made if there is none. The descriptor `none` needs no file.
        weights: the descriptor's; None looks in the usual places.
        strict: stop before the first vector if any photograph cannot be read.
        known, rehash: as `hash_photographs` takes them.

    Raises:
        PhotographError: no photographs, none that can be read, or with `strict` not all.
        RowFileError: the file was made by something else, or cannot be written.
        LockError: another process works on it for too long.
        WeightsError: the descriptor's weights are not on this machine.
    """
    photographs = hash_photographs(folder, known, rehash)
    embeddings, photographs = embed_photographs(
        photographs, backbone, file, weights, batch_size, strict
    )
    report_unreadable(photographs)
    paths = [key.path for key in photographs.keys]
    return Embedded(paths, embeddings, photographs.unreadable)


def embed_photographs(
    photographs: Photographs,
    backbone: Backbone,
    file,
    weights=None,
    batch_size: int = BATCH_SIZE,
    strict: bool = False,
) -> tuple[Rows | np.ndarray, Photographs]:
    """As `embed_folder`, for photographs that are found and hashed already.

    Returns:
        The vectors, (N, embedding_dim) float32, and the photographs that they are of.
    """
    if backbone.weights_file is None and backbone.head is None:
        shape = (len(photographs.keys), backbone.embedding_dim)
        return np.broadcast_to(np.float32(0.0), shape), photographs
    weights_path = locate_weights(backbone, weights)
    options = {"batch_size": batch_size, "strict": strict}
    if backbone.sees_color:
        way = _true_clusters(backbone)
    elif backbone.head is not None:
        below = base_file(file, backbone)
        features, photographs = embed_photographs(
            photographs, backbone.base, below, weights, **options
        )
        way = _by_head(backbone, weights_path, photographs, features)
    else:
        way = _by_network(backbone, weights_path)
    kind = embedding_kind(backbone, weights_path)
    rows, photographs = fill_rows(file, kind, photographs, *way, **options)
    return Rows([(rows, row) for row in rows.find(photographs.keys)]), photographs


def base_file(file: str | os.PathLike, backbone: Backbone) -> Path:
    """Where the vectors below a tuned descriptor's head lie: beside its own, for all such heads."""
    file = Path(file)
    stem = file.stem.removesuffix(f"-{file_words(backbone)}")
    return file.with_name(f"{stem}-{file_words(backbone.base)}{file.suffix}")


def file_words(backbone: Backbone) -> str:
    """What of a cache's name says whose vectors are in it; of a tuned descriptor also its hash."""
    hash = f"-{backbone.head.sha256[:8]}" if backbone.head else ""
    return backbone.plain_name + hash


# How vectors come about: what is decoded of a photograph's path, and vectors of several such.
Way: TypeAlias = tuple[Callable[[Path], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def _by_network(backbone: Backbone, weights_path: Path) -> Way:
    # The network is built at the first vector that is missing.
    build = functools.lru_cache(lambda: compile_descriptor(backbone, weights_path))
    size = backbone.input_size
    return (
        lambda path: descriptor_input(read_rgb(path, OVERSAMPLING * size), size),
        lambda grays: build()(grays).numpy(),
    )


def _by_head(
    backbone: Backbone,
    weights_path: Path | None,
    photographs: Photographs,
    features: Rows | np.ndarray,
) -> Way:
    """The head on the vectors of the network below, which are there already."""
    rows = {photographs.folder / key.path: row for row, key in enumerate(photographs.keys)}
    check = functools.lru_cache(lambda: check_tuned_on(backbone, weights_path))

    def compute(batch: np.ndarray) -> np.ndarray:
        check()
        return backbone.head(batch)

    return (lambda path: features[rows[path]]), compute


def _true_clusters(backbone: Backbone) -> Way:
    size = color_clusters.SIZE
    return (
        lambda path: resize(read_rgb(path, OVERSAMPLING * size), size, size),
        lambda rgb: color_clusters.true_clusters(rgb, backbone.head.centers),
    )


def descriptor_input(rgb, size: int) -> np.ndarray:
    """The gray version of a portrait, as a descriptor sees it in training and in use.

    The neutral gray of each pixel's L*, so that a colour photograph and a gray one enter
    alike; made before resizing, so that both are resized alike too.

    Args:
        rgb: (H, W, 3) uint8 sRGB, or (H, W) gray.
        size: the descriptor's input size.

    Returns:
        (size, size) uint8, the value of three equal channels.
    """
    gray = rgb if rgb.ndim == 2 else _gray_version(rgb).numpy()
    return resize(gray, size, size)


# One graph: the ops of `to_uint8` cost a third of the conversion if each runs by itself.
@tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])
def _gray_version(rgb):
    return to_uint8(rgb_to_gray(rgb))


def embedding_kind(backbone: Backbone, weights_path: Path | None) -> RowKind:
    """What a file of this descriptor's vectors holds and declares."""
    tuned = {"descriptor_sha256": backbone.head.sha256} if backbone.head else {}
    made_by = {
        "descriptor": backbone.name,
        **tuned,
        "layer": backbone.layer,
        "weights_sha256": weights_sha256(weights_path) if weights_path else "",
        "input_size": backbone.input_size,
        "preprocessing": backbone.preprocessing,
    }
    return RowKind("embeddings", (backbone.embedding_dim,), "float32", made_by)


def compile_descriptor(backbone: Backbone, weights_path: Path) -> Callable:
    """A descriptor's network as one graph: (B, input_size, input_size) uint8 gray to vectors.

    Not compiled by XLA, which is slower here than TensorFlow's own kernels on a CPU.
    """
    descriptor = descriptor_function(backbone, weights_path)
    size = backbone.input_size

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, size, size), tf.uint8)])
    def embed(grays):
        portraits = tf.repeat(tf.cast(grays, tf.float32)[..., None], 3, axis=-1)
        return descriptor(portraits)

    return embed
