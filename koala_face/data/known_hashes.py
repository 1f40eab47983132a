"""The hashes of a folder's photographs from an earlier start, as long as no file has changed.

Reading 200,000 photographs at each start, only to learn that they are the same, takes minutes;
their size and time stamps take seconds. A file of the same size whose stamps differ is read.
"""

import contextlib
import csv
import io
import os
import time
from pathlib import Path
from typing import NamedTuple

from koala_face.foundation.files import file_hash, replacing

COLUMNS = ("sha256", "size", "mtime_ns", "ctime_ns", "path")
# A file changed once more within its time stamp's grain would look the same: what was changed
# less than these nanoseconds before it was read is read again the next time.
GRAIN = 2 * 10**9


class Stamp(NamedTuple):
    """What the file system says of a file: bytes, and nanoseconds of its last changes."""

    size: int
    mtime_ns: int
    ctime_ns: int


class KnownHashes:
    """Hashes by path and stamp; `file` keeps them from run to run, None keeps nothing.

    With `rehash` what was kept is not believed.
    """

    def __init__(self, file: Path | None, rehash: bool = False):
        self.file = file
        self._known: dict[str, tuple[Stamp, str]] = _read(file) if file and not rehash else {}
        self._now: dict[str, tuple[Stamp, str]] = {}

    def hash(self, folder: Path, name: str) -> str:
        """The SHA-256 of a photograph, in hexadecimal; for use by several threads.

        Raises:
            OSError: the file cannot be read.
        """
        start = time.time_ns()
        stamp = stamp_of(folder / name)
        known, digest = self._known.get(name, (None, ""))
        if known != stamp:
            digest = file_hash(folder / name, "sha256")
            # One that changed while it was read, or just before, is not known for certain.
            if max(stamp[1:]) > start - GRAIN or stamp_of(folder / name) != stamp:
                return digest
        self._now[name] = stamp, digest
        return digest

    def keep(self) -> None:
        """Write what is known now, if that is news, and where it may be written."""
        if self.file is None or self._now == self._known:
            return
        text = io.StringIO(newline="")
        rows = ((digest, *stamp, name) for name, (stamp, digest) in sorted(self._now.items()))
        csv.writer(text).writerows([COLUMNS, *rows])
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.file) as temporary:
                temporary.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file, of a link's target."""
    status = os.stat(path)
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(file: Path) -> dict[str, tuple[Stamp, str]]:
    """What an earlier run kept; nothing of a file that is no such list."""
    try:
        text = file.read_bytes().decode("utf-8", "surrogateescape")
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(header) != COLUMNS or not all(len(bytes.fromhex(row[0])) == 32 for row in rows):
            return {}
        return {name: (Stamp(*map(int, stamp)), digest) for digest, *stamp, name in rows}
    except (OSError, ValueError, TypeError, IndexError, csv.Error):
        return {}
