"""From a folder of photographs to a file of rows: compute what is missing, keep what is there."""

import contextlib
import errno
import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

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


def hash_photographs(folder) -> Photographs:
    """Find the photographs under `folder` and hash their content.

    Raises:
        PhotographError: for a missing folder, or one without photographs.
    """
    folder = Path(folder)
    found = search_folder(folder)
    names = [path.as_posix() for path in found.photographs]
    keys = []
    unreadable = {place.as_posix(): why for place, why in found.unreadable.items()}
    for name, digest in zip(names, _in_threads(_hash, folder, names, 16), strict=True):
        if isinstance(digest, bytes):
            keys.append(Key(name, digest))
        else:
            unreadable[name] = str(digest)
    return Photographs(folder, keys, unreadable)


def fill_rows(
    path,
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
        The file, open for reading, and the photographs that it has rows of.

    Raises:
        PhotographError: if no photograph can be read, or with `strict` not all; names each.
        RowFileError, LockError: see `filling`.
    """
    rows = open_rows(path, kind)
    missing = _missing(rows, photographs)
    if rows is not None and (photographs.keys and not missing):
        _check_readable(photographs, strict)
        return rows, photographs
    if rows is not None:
        rows.close()
    if strict:
        _check_readable(_without(photographs, _find_unreadable(photographs, missing, decode)), True)
    _check_readable(photographs, strict=False)
    with filling(path, kind, photographs.keys) as rows:
        photographs = _fill(rows, photographs, decode, compute, batch_size)
    _check_readable(photographs, strict)
    return RowFile(path, kind), photographs


def report_unreadable(photographs: Photographs) -> None:
    """Log the photographs that are left out, if any, each with its reason."""
    if photographs.unreadable:
        log.warning("%s They are left out.", _describe_unreadable(photographs))


@contextlib.contextmanager
def filling(
    path, kind: RowKind, keys: Sequence[Key], wait: float = LONGEST_WAIT
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
            if not os.access(path.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
            stack.enter_context(locked(path, wait))
        rows = open_rows(path, kind)
        if rows is None or not all(map(rows.has_place, keys)):
            _rewrite(path, kind, keys, rows)
        if rows is not None:
            rows.close()
        yield stack.enter_context(contextlib.closing(RowFile(path, kind, writable=True)))


def _fill(rows: RowFile, photographs: Photographs, decode, compute, batch_size) -> Photographs:
    missing = _missing(rows, photographs)
    names = [key.path for key in missing]
    arrays = _in_threads(decode, photographs.folder, names, 2 * batch_size)
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


def _find_unreadable(photographs: Photographs, keys: list[Key], decode) -> dict[str, str]:
    names = [key.path for key in keys]
    arrays = _in_threads(decode, photographs.folder, names, 16)
    pairs = zip(names, arrays, strict=True)
    return {name: str(array) for name, array in pairs if isinstance(array, Exception)}


def _missing(rows: RowFile | None, photographs: Photographs) -> list[Key]:
    if rows is None:
        return photographs.keys
    numbers = rows.find(photographs.keys)
    return [key for key, number in zip(photographs.keys, numbers, strict=True) if number < 0]


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


def _rewrite(path: Path, kind: RowKind, keys: Sequence[Key], old: RowFile | None) -> None:
    """Write a file with a place for each key and the old one's rows; rename it over the old one."""
    kept = list(keys)
    if old is not None:
        names = {key.path for key in keys}
        kept += [
            Key(name, sha256.tobytes())
            for name, sha256 in zip(old.paths, old.hashes, strict=True)
            if name not in names and sha256.any()
        ]
    with explained(path), replacing(path) as new_path:
        create_rows(new_path, kind, [key.path for key in kept])
        with contextlib.closing(RowFile(new_path, kind, writable=True)) as new:
            numbers = old.find(kept) if old is not None else np.full(len(kept), -1)
            for start in range(0, len(kept), COPIED_ROWS):
                part = slice(start, start + COPIED_ROWS)
                found = [
                    (key, n) for key, n in zip(kept[part], numbers[part], strict=True) if n >= 0
                ]
                if found:
                    found_keys, found_numbers = zip(*found, strict=True)
                    new.write(found_keys, old.read(found_numbers))


def _in_threads(function, folder, names: Sequence[str], ahead: int) -> Iterator:
    """`function(folder / name)` for each name in order, computed at most `ahead` ahead in threads.

    A photograph that cannot be read gives its error in place of the result.
    """

    def attempt(name: str):
        try:
            return function(Path(folder) / name)
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


def _hash(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.digest()
