"""Portraits for training and evaluation (Section II.B): from a folder to rows on the disk.

`load_portraits` reads each photograph once, into two files side by side: the portraits,
uint8 RGB at the network's size, and the descriptor's vectors. `pipeline.batches` makes
training pairs of them. Rows come from the disk as they are needed, so that memory does not grow
with the folder. `sampling` says which come, in which order and how they are varied.
"""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np

from koala_face.backbones import Backbone
from koala_face.data.embeddings import OVERSAMPLING, embed_photographs, file_words
from koala_face.data.row_file import RowKind, Rows
from koala_face.data.row_filling import fill_rows, hash_photographs, report_unreadable
from koala_face.photographs.reading import read_rgb, resize

# Portraits written at a time: a crash loses no more.
WRITTEN_AT_ONCE = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Portraits:
    """A folder's portraits, sorted by path. The arrays stay on the disk until they are indexed.

    paths: N relative paths with forward slashes.
    rgb: (N, size, size, 3) uint8 sRGB.
    embeddings: (N, embedding_dim) float32, of the gray versions.
    unreadable: relative path to reason, for the photographs left out.
    joined: how many are of each folder, where those of several follow each other.
    """

    paths: list[str]
    rgb: Rows | np.ndarray
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
    folder: str | os.PathLike,
    size: int,
    backbone: Backbone,
    cache: str | os.PathLike = "data/cache",
    weights: str | os.PathLike | None = None,
    strict: bool = False,
    rehash: bool = False,
) -> Portraits:
    """Read a folder's portraits and their vectors, computing those that the cache lacks.

    Args:
        folder: of photographs, searched recursively; nothing is written there.
        size: height and width in pixels; photographs are resized whole, as the paper does.
        cache: folder of the two HDF5 files, made if there is none.
        weights: the descriptor's; None looks in the usual places.
        strict: stop if any photograph cannot be read, instead of leaving it out.
        rehash: read photographs whose size and time stamps did not change since the last time, too.

    Raises:
        PhotographError: no photographs, none that can be read, or with `strict` not all.
        RowFileError: a file in the cache was made by something else, or cannot be written.
        LockError: another process works on one of them for too long.
        WeightsError: the descriptor's weights are not on this machine.
    """
    photographs = hash_photographs(folder, hashes_file(cache, folder), rehash)
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
    rgb = Rows([(rows, row) for row in rows.find(photographs.keys)])
    paths = [key.path for key in photographs.keys]
    return Portraits(paths, rgb, embeddings, photographs.unreadable)


def portrait_kind(size: int) -> RowKind:
    """What a file of portraits holds and declares."""
    made_by = {"size": size, "color": "sRGB", "resize": "whole photograph, Pillow bicubic"}
    return RowKind("portraits", (size, size, 3), "uint8", made_by)


def embedding_file(cache: str | os.PathLike, folder: str | os.PathLike, backbone: Backbone) -> Path:
    """Where the cache keeps the vectors of a folder's portraits."""
    return cache_file(cache, folder, file_words(backbone))


def hashes_file(cache: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """Where the cache keeps the hashes of a folder's photographs."""
    return cache_file(cache, folder, "hashes").with_suffix(".csv")


def cache_file(cache: str | os.PathLike, folder: str | os.PathLike, what: str) -> Path:
    """`<cache>/<folder's name>-<8 hex digits of its absolute path>-<what>.h5`."""
    folder = Path(folder).resolve()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    return Path(cache) / f"{folder.name}-{digest}-{what}.h5"
