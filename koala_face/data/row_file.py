"""HDF5 files of rows computed from photographs, which no crash can break.

A row belongs to a photograph's relative path and the SHA-256 of its content. HDF5
lays the file out once, with all its space taken; from then on rows are filled in
place by plain writes into the datasets' contiguous bytes: first the rows and, when
those are on the disk, their hashes. A row counts from its hash on. So HDF5's own
structures never change, and a process killed at any moment leaves a file that opens
and lacks at most the rows of the last write.
"""

import contextlib
import errno
import itertools
import math
import os
import re
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.hdf5 import BROKEN, find_plain

SCHEMA = "koala_face rows 1"
HASH_BYTES = 32
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class RowFileError(KoalaFaceError):
    """A file of rows cannot be used: made by something else, broken, no space, no rights."""


class RowKind(NamedTuple):
    """What a file holds: the dataset's name, a row's shape and type, and what made the rows."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    made_by: dict[str, str | int | float]


class Key(NamedTuple):
    """Whose row it is: relative path with forward slashes, SHA-256 of the content (32 bytes)."""

    path: str
    sha256: bytes


class RowFile:
    """The rows of a file, read from the disk at each call; safe in threads.

    `paths` are the relative paths in the file's order; `filled` gives the number of each row
    that counts, by its key.

    Raises:
        RowFileError: if the file is no such file, or holds another kind of rows.
    """

    def __init__(self, path: str | os.PathLike, kind: RowKind, writable: bool = False):
        self.path = Path(path)
        self.kind = kind
        self._lock = threading.Lock()
        self._row_bytes = math.prod(kind.shape) * np.dtype(kind.dtype).itemsize
        with explained(self.path):
            if not self.path.is_file():  # a pipe would never open
                raise OSError("it is no file")
            self._file = open(path, "r+b" if writable else "rb", buffering=0)  # noqa: SIM115
        # Whoever lets go of the rows lets go of the file.
        weakref.finalize(self, self._file.close)
        try:
            with h5py.File(self._file, "r") as file:
                self._read_structure(file)
        except BROKEN as error:
            raise RowFileError(
                f"Expected an HDF5 file of {kind.name}, made by koala_face, in {path}. "
                f"Found: {error}. Delete it or name another file, then run again."
            ) from error

    def _read_structure(self, file: h5py.File) -> None:
        _check_maker(self.path, self.kind, file.attrs)
        names, hashes, rows = (find_plain(file, n) for n in ("paths", "sha256", self.kind.name))
        found = (names.ndim, names.dtype.kind, hashes.shape, hashes.dtype, rows.shape, rows.dtype)
        count = names.shape[:1]
        shapes = (*count, HASH_BYTES), "uint8", (*count, *self.kind.shape), self.kind.dtype
        if found != (1, "S", *shapes):
            raise ValueError(f"datasets of other shapes or types: {found}")
        self.paths = [os.fsdecode(name) for name in names[:]]
        self._rows_start, self._hashes_start = rows.id.get_offset(), hashes.id.get_offset()
        self._empty = {name: number for number, name in enumerate(self.paths)}
        if len(self._empty) < len(self.paths):
            raise ValueError("a path that stands twice")
        self.filled = {
            Key(name, content.tobytes()): self._empty.pop(name)
            for name, content in zip(self.paths, hashes[:], strict=True)
            if content.any()
        }

    def __len__(self) -> int:
        return len(self.paths)

    def find(self, keys: Iterable[Key]) -> np.ndarray:
        """Row numbers of the keys, int64; -1 where the row is missing or of another content."""
        return np.array([self.filled.get(key, -1) for key in keys], dtype="int64")

    def has_place(self, key: Key) -> bool:
        """Whether the key's row is there, or empty and free to be filled."""
        return key in self.filled or key.path in self._empty

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        """Rows in the order of `numbers`: (n, *kind.shape) of kind.dtype."""
        rows = np.empty((len(numbers), *self.kind.shape), dtype=self.kind.dtype)
        for row, number in zip(rows, numbers, strict=True):
            if not 0 <= number < len(self):
                raise IndexError(f"Expected a row in 0 to {len(self) - 1}. Received: {number}.")
            with self._lock:
                self._file.seek(self._rows_start + int(number) * self._row_bytes)
                count = self._file.readinto(row)
            if count != self._row_bytes:
                raise RowFileError(f"{self.path} breaks off. Delete it and run again.")
        return rows

    def write(self, keys: Sequence[Key], rows: np.ndarray) -> None:
        """Fill the rows of `keys`, which have a place; when this returns they are safe.

        Raises:
            RowFileError: on a full disk, for one; rows written before stay.
        """
        rows, expected = np.asarray(rows, dtype=self.kind.dtype), (len(keys), *self.kind.shape)
        if rows.shape != expected:
            raise ValueError(f"Expected rows of shape {expected}. Received: {rows.shape}.")
        numbers = [self.filled.get(key, self._empty.get(key.path)) for key in keys]
        hashes = [key.sha256 for key in keys]
        with explained(self.path), self._lock:
            self._write(self._rows_start, numbers, [row.tobytes() for row in rows])
            self._write(self._hashes_start, numbers, hashes)
            for key, number in zip(keys, numbers, strict=True):
                self.filled[key] = number
                self._empty.pop(key.path, None)

    def clear(self) -> None:
        """Write zeros over all hashes and rows, so that the file owns its space on the disk."""
        numbers, rows = range(len(self)), (self._rows_start, bytes(self._row_bytes))
        for start, zeros in ((self._hashes_start, bytes(HASH_BYTES)), rows):
            self._write(start, numbers, itertools.repeat(zeros, len(numbers)))

    def _write(self, start: int, numbers: Sequence[int], values: Iterable[bytes]) -> None:
        """Write values of one length to their places, and wait until they are on the disk."""
        for number, value in zip(numbers, values, strict=True):
            self._file.seek(start + number * len(value))
            view = memoryview(value)
            while view:
                view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Rows:
    """Rows of one or several files as one array that stays on the disk.

    Indexed like a NumPy array along the first axis: `rows[3]`, `rows[:10]`, `rows[[4, 2]]`.

    Args:
        pairs: of a file and a row's number in it, one at least; the files hold rows of one shape.
    """

    def __init__(self, pairs: Sequence[tuple[RowFile, int]]):
        self.pairs = list(pairs)
        kinds = {(file.kind.shape, file.kind.dtype) for file, _ in self.pairs}
        if len(kinds) != 1:
            raise ValueError(f"Expected rows of one shape and type. Received: {sorted(kinds)}.")
        ((shape, dtype),) = kinds
        self.shape, self.dtype = (len(self.pairs), *shape), np.dtype(dtype)
        self._places = np.arange(len(self.pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index) -> np.ndarray:
        places = self._places[index]
        rows = np.empty((places.size, *self.shape[1:]), self.dtype)
        for row, place in zip(rows, np.atleast_1d(places), strict=True):
            file, number = self.pairs[place]
            row[...] = file.read([number])[0]
        return rows if places.ndim else rows[0]

    def take(self, places: Sequence[int], axis: int = 0) -> "Rows":
        """The rows at `places`, in that order; they stay on the disk. As NumPy's, along axis 0."""
        return Rows([self.pairs[place] for place in places])


def open_rows(path: str | os.PathLike, kind: RowKind) -> RowFile | None:
    """Open a file of rows for reading, None if there is none. Needs no right to write."""
    return RowFile(path, kind) if Path(path).exists() else None


def create_rows(path: str | os.PathLike, kind: RowKind, names: Sequence[str]) -> None:
    """Write a file with an empty row for each relative path, all its space taken.

    Raises:
        OSError, RuntimeError: no space, no right to write; see `explained`.
    """
    encoded = [os.fsencode(name) for name in names]
    text = h5py.string_dtype("utf-8", max(map(len, encoded)))
    with h5py.File(path, "w") as file:
        file.attrs.update(_attributes(kind))
        file.create_dataset("paths", data=np.array(encoded, dtype=text))
        _reserve(file, "sha256", (len(names), HASH_BYTES), "uint8")
        _reserve(file, kind.name, (len(names), *kind.shape), kind.dtype)
    with contextlib.closing(RowFile(path, kind, writable=True)) as rows:
        rows.clear()


@contextlib.contextmanager
def explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn the system's errors about `path` into a RowFileError that says what to do."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # HDF5 tells the system's error in words.
        in_words = re.search(r"errno = (\d+)", str(error))
        number = int(in_words[1]) if in_words else getattr(error, "errno", None)
        if number in FULL:
            raise RowFileError(
                f"No space left on the disk to write {path}. Finished rows are kept. Free some "
                "space, or name a place on another disk, and run again: it goes on from there."
            ) from error
        if number in FORBIDDEN:
            raise RowFileError(
                f"Expected the right to use {path} and to write beside it. "
                f"Found: {os.strerror(number)}. Name another place for it, or change its rights."
            ) from error
        raise RowFileError(f"Cannot use {path}: {error}. Finished rows are kept.") from error


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> None:
    """A contiguous dataset at a fixed place; HDF5, which a full disk crashes, never writes it."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(shape), properties)


def _attributes(kind: RowKind) -> dict[str, str | int | float]:
    return {"schema": SCHEMA, **kind.made_by}


def _check_maker(path: Path, kind: RowKind, attributes: h5py.AttributeManager) -> None:
    expected = _attributes(kind)
    found = {
        name: value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        for name, value in attributes.items()
    }
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if names:
        both = (expected, found)
        sides = [", ".join(f"{n}={side.get(n, 'nothing')!r}" for n in names) for side in both]
        raise RowFileError(
            f"{path} was made by something else. Expected: {sides[0]}. Found: {sides[1]}. "
            "Go back to the settings that made it, name another file, or delete this one."
        )
