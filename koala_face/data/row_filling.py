"""From a folder of photographs to a file of rows: compute what is missing, keep what is there."""

import contextlib
import errno
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from koala_face.data.known_hashes import KnownHashes
from koala_face.data.row_file import Key, RowFile, RowKind, create_rows, explained, open_rows
from koala_face.foundation.files import locked, replacing
from koala_face.photographs.reading import PhotographError, search_folder

log = logging.getLogger(__name__)

# Rows copied at a time when a file is enlarged.
COPIED_ROWS = 64
LONGEST_WAIT = 3600.0  # Seconds, for another process that fills the same file.


class Photographs(NamedTuple):
    """The photographs of a folder: keys of those that can be read, as far as is known, sorted
    by path; the reason for each that cannot, by relative path."""

    folder: Path
    keys: list[Key]
    unreadable: dict[str, str]


def hash_photographs(
    folder: str | os.PathLike, known: str | os.PathLike | None = None, rehash: bool = False
) -> Photographs:
    """Find the photographs under `folder` and hash their content.

    Args:
        known: a file that keeps the hashes, so that what has not changed is not read again.
        rehash: read everything all the same.

    Raises:
        PhotographError: for a missing folder, or one without photographs.
    """
    folder = Path(folder)
    found = search_folder(folder)
    names = [path.as_posix() for path in found.photographs]
    unreadable = {place.as_posix(): why for place, why in found.unreadable.items()}
    hashing = KnownHashes(None if known is None else Path(known), rehash)
    hashes = list(_in_threads(lambda name: hashing.hash(folder, name), names, 16))
    hashing.keep()
    both = list(zip(names, hashes, strict=True))
    keys = [Key(name, bytes.fromhex(one)) for name, one in both if isinstance(one, str)]
    return Photographs(folder, keys, unreadable | _errors(both))


def fill_rows(
    path: str | os.PathLike,
    kind: RowKind,
    photographs: Photographs,
    decode: Callable[[Path], np.ndarray],
    compute: Callable[[np.ndarray], np.ndarray],
    batch_size: int,
    strict: bool = False,
) -> tuple[RowFile, Photographs]:
    """Compute the rows that the file lacks, with a progress bar; decoding runs ahead in threads.

    Args:
        decode: a photograph's path to an array; raises PhotographError.
        compute: a batch of such arrays, (n, ...) with n <= batch_size, to n rows.
        strict: if any photograph cannot be read, stop before the first row.

    Returns:
        The file, open for reading, and the photographs that it has rows of. A complete file
        needs no right to write.

    Raises:
        PhotographError: if no photograph can be read, or with `strict` not all; names each.
        RowFileError, LockError: see `filling`.
    """
    rows = open_rows(path, kind)
    missing = _missing(rows, photographs)
    if missing and (strict or (rows and not _is_writable(Path(path)))):
        names = [key.path for key in missing]
        arrays = _in_threads(lambda name: decode(photographs.folder / name), names, 16)
        photographs = _without(photographs, _errors(zip(names, arrays, strict=True)))
        missing = _missing(rows, photographs)
    _check_readable(photographs, strict)
    if missing:
        with filling(path, kind, photographs.keys) as rows:
            photographs = _fill(rows, photographs, decode, compute, batch_size)
        _check_readable(photographs, strict)
        rows = RowFile(path, kind)
    return rows, photographs


def report_unreadable(photographs: Photographs) -> None:
    """Log the photographs that are left out, if any, each with its reason."""
    if photographs.unreadable:
        log.warning("%s They are left out.", _describe_unreadable(photographs))


@contextlib.contextmanager
def filling(
    path: str | os.PathLike, kind: RowKind, keys: Sequence[Key], wait: float = LONGEST_WAIT
) -> Iterator[RowFile]:
    """Open a file that has a place for each key, made or enlarged where needed, to be filled.

    One process at a time: another one waits, `wait` seconds at most. All space is taken
    here, before any row is computed. A row that counts never changes: for new and for
    changed photographs a new file is written and renamed over the old one. Rows of
    photographs that are gone stay, as these may come back; delete the file to be rid of them.

    Raises:
        RowFileError: another kind of rows, a full disk, a folder that cannot be written.
        LockError: another process kept the file all that time.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _is_writable(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            stack.enter_context(locked(path, wait))
        rows = open_rows(path, kind)
        if rows is None or not all(map(rows.has_place, keys)):
            _rewrite(path, kind, keys, rows)
        if rows is not None:
            rows.close()
        yield stack.enter_context(contextlib.closing(RowFile(path, kind, writable=True)))


def _rewrite(path: Path, kind: RowKind, keys: Sequence[Key], old: RowFile | None) -> None:
    """Write a file with a place for each key and the old one's rows; rename it over the old one."""
    names = {key.path for key in keys}
    gone = [key for key in old.filled if key.path not in names] if old else []
    kept = [key for key in keys if key in old.filled] + gone if old else []
    with explained(path), replacing(path) as new_path:
        create_rows(new_path, kind, [key.path for key in (*keys, *gone)])
        with contextlib.closing(RowFile(new_path, kind, writable=True)) as new:
            for start in range(0, len(kept), COPIED_ROWS):
                part = kept[start : start + COPIED_ROWS]
                new.write(part, old.read(old.find(part)))


def _fill(
    rows: RowFile,
    photographs: Photographs,
    decode: Callable[[Path], np.ndarray],
    compute: Callable[[np.ndarray], np.ndarray],
    batch_size: int,
) -> Photographs:
    missing = _missing(rows, photographs)
    names = [key.path for key in missing]
    folder = photographs.folder
    arrays = _in_threads(lambda name: decode(folder / name), names, 2 * batch_size)
    unreadable: dict[str, str] = {}
    batch: list[tuple[Key, np.ndarray]] = []
    # disable=None: no bar where the output is no terminal.
    with tqdm(total=len(missing), desc=rows.kind.name, unit="portrait", disable=None) as bar:
        for key, array in zip(missing, arrays, strict=True):
            if isinstance(array, Exception):
                unreadable[key.path] = str(array)
            else:
                batch.append((key, array))
            if batch and (len(batch) == batch_size or key is missing[-1]):
                keys, values = zip(*batch, strict=True)
                rows.write(keys, compute(np.stack(values)))
                batch = []
            bar.update()
    return _without(photographs, unreadable)


def _missing(rows: RowFile | None, photographs: Photographs) -> list[Key]:
    return [key for key in photographs.keys if rows is None or key not in rows.filled]


def _errors(results: Iterable[tuple[str, object]]) -> dict[str, str]:
    return {name: str(found) for name, found in results if isinstance(found, Exception)}


def _is_writable(path: Path) -> bool:
    """Whether a file may be changed, and others written beside it."""
    places = [path.parent, path] if path.exists() else [path.parent]
    return all(os.access(place, os.W_OK) for place in places)


def _without(photographs: Photographs, unreadable: dict[str, str]) -> Photographs:
    keys = [key for key in photographs.keys if key.path not in unreadable]
    return Photographs(photographs.folder, keys, photographs.unreadable | unreadable)


def _check_readable(photographs: Photographs, strict: bool) -> None:
    if photographs.unreadable and (strict or not photographs.keys):
        raise PhotographError(
            f"{_describe_unreadable(photographs)} Repair or remove them"
            f"{', or run without --strict' if photographs.keys else ''}."
        )


def _describe_unreadable(photographs: Photographs) -> str:
    count, total = len(photographs.unreadable), len(photographs.unreadable) + len(photographs.keys)
    reasons = "".join(f"\n  {name}: {why}" for name, why in sorted(photographs.unreadable.items()))
    return f"{count} of {total} photographs in {photographs.folder} cannot be read.{reasons}\n"


def _in_threads(function: Callable[[str], object], names: Sequence[str], ahead: int) -> Iterator:
    """`function(name)` for each name in order, computed at most `ahead` ahead in threads.

    A photograph that cannot be read gives its error in place of the result.
    """

    def attempt(name: str) -> object:
        try:
            return function(name)
        except (OSError, PhotographError) as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending: deque = deque()
        for name in names:
            pending.append(pool.submit(attempt, name))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
