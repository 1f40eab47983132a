"""Each portrait's vector from a pretrained descriptor (Section II.C), computed once.

The vectors lie in an HDF5 file beside the photographs' relative paths and content
hashes; its attributes say which descriptor made them. `row_file` says what a crash
leaves of it.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face.backbones import Backbone, build_descriptor, locate_weights, weights_sha256
from koala_face.color import rgb_to_gray, to_uint8
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
) -> Embedded:
    """Compute the vectors of a folder's photographs that `file` does not hold yet.

    Args:
        folder: of photographs, searched recursively.
        file: the HDF5 file, made if there is none. The descriptor `none` needs no file.
        weights: the descriptor's; None looks in the usual places.
        strict: stop before the first vector if any photograph cannot be read.

    Raises:
        PhotographError: no photographs, none that can be read, or with `strict` not all.
        RowFileError: the file was made by something else, or cannot be written.
        LockError: another process works on it for too long.
        WeightsError: the descriptor's weights are not on this machine.
    """
    photographs = hash_photographs(folder)
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
    if backbone.weights_file is None:
        shape = (len(photographs.keys), backbone.embedding_dim)
        return np.broadcast_to(np.float32(0.0), shape), photographs
    weights_path = locate_weights(backbone, weights)
    size = backbone.input_size
    # The network is built at the first vector that is missing.
    build = functools.lru_cache(lambda: compile_descriptor(backbone, weights_path))
    rows, photographs = fill_rows(
        file,
        embedding_kind(backbone, weights_path),
        photographs,
        decode=lambda path: descriptor_input(read_rgb(path, OVERSAMPLING * size), size),
        compute=lambda grays: build()(grays).numpy(),
        batch_size=batch_size,
        strict=strict,
    )
    return Rows([(rows, row) for row in rows.find(photographs.keys)]), photographs


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


def embedding_kind(backbone: Backbone, weights_path: Path) -> RowKind:
    """What a file of this descriptor's vectors holds and declares."""
    made_by = {
        "descriptor": backbone.name,
        "layer": backbone.layer,
        "weights_sha256": weights_sha256(weights_path),
        "input_size": backbone.input_size,
        "preprocessing": backbone.preprocessing,
    }
    return RowKind("embeddings", (backbone.embedding_dim,), "float32", made_by)


def compile_descriptor(backbone: Backbone, weights_path: Path) -> Callable:
    """A descriptor's network as one graph: (B, input_size, input_size) uint8 gray to vectors.

    Not compiled by XLA, which is slower here than TensorFlow's own kernels on a CPU.
    """
    descriptor = build_descriptor(backbone, weights_path)
    size = backbone.input_size

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, size, size), tf.uint8)])
    def embed(grays):
        portraits = tf.repeat(tf.cast(grays, tf.float32)[..., None], 3, axis=-1)
        return descriptor(portraits, training=False)

    return embed
