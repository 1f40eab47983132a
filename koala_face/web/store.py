"""The photographs that the page holds: albums of unguessable names in one private folder."""

import dataclasses
import itertools
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from koala_face.colorizer.jobs import Job, name_result
from koala_face.foundation.errors import KoalaFaceError
from koala_face.web.style import Style

log = logging.getLogger(__name__)

# What becomes of a photograph.
WAITING, WORKING, READY, FAILED = "waiting", "working", "ready", "failed"
# A page asks every minute at least; one that did not for ten was closed.
ABANDONED = 600.0
MOST_ALBUMS, MOST_PHOTOGRAPHS = 1000, 2000


class StorageError(KoalaFaceError):
    """More than the private folder may hold."""


class GoneError(KoalaFaceError):
    """A photograph or an album that is not here, or no longer."""


@dataclasses.dataclass
class Entry:
    """One photograph: `folder` holds the file as it came, and what was made of it.

    error: why it could not be coloured.
    notes: what is converted or left out in its result.
    size: height and width in pixels, once it is ready.
    stored: its bytes in the folder.
    style: that of the result which lies in the folder.
    removed: whether it is gone, though a job may still be at work on it.
    """

    id: str
    name: str
    folder: Path
    state: str = WAITING
    error: str | None = None
    notes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    stored: int = 0
    style: Style | None = None
    removed: bool = False

    @property
    def source(self) -> Path:
        return self.folder / "photograph"

    @property
    def seen(self) -> Path:
        """What the networks saw and said, and a reduced copy (`coloring.prepare`)."""
        return self.folder / "seen.npz"

    @property
    def result(self) -> Path:
        return self.folder / "result"

    @property
    def job(self) -> Job:
        """What `colorize` would do with a photograph of this name: the result's name and format."""
        return name_result(Path(self.name), Path(self.name))

    def describe(self, error: BaseException) -> str:
        """Why it failed, in one line, by its own name instead of its place."""
        if isinstance(error, KoalaFaceError):
            text = str(error)
            for path in (self.source, self.result):
                text = text.replace(f"{path}: ", "").replace(str(path), self.name)
            return text
        if isinstance(error, MemoryError):
            return "not enough memory."
        log.debug("%s", self.id, exc_info=error)
        return f"unexpected {type(error).__name__}."


@dataclasses.dataclass
class Album:
    """The photographs of one page, by their ids, and the styles in which all shall be sent.

    asked: when the page last asked for it.
    """

    id: str
    asked: float
    entries: dict[str, Entry] = dataclasses.field(default_factory=dict)
    styles: dict[str, Style] = dataclasses.field(default_factory=dict)


class Store:
    """Albums and photographs in a private folder of `limit` bytes at most.

    Nothing that a browser says becomes part of a path: ids are looked up, and folders bear ids
    that were made here. All methods may be called by several threads.
    """

    def __init__(self, folder: Path, limit: int, clock: Callable[[], float] = time.monotonic):
        self.folder, self.limit, self.used = folder, limit, 0
        self._clock, self._lock = clock, threading.RLock()
        self._albums: dict[str, Album] = {}
        self._arriving: dict[str, int] = {}
        self._numbers = itertools.count()

    def new_album(self) -> Album:
        """An empty album.

        Raises:
            StorageError: there are too many.
        """
        with self._lock:
            if len(self._albums) >= MOST_ALBUMS:
                self._drop_abandoned()
            if len(self._albums) >= MOST_ALBUMS:
                raise StorageError(f"Expected at most {MOST_ALBUMS} pages at once. Close some.")
            album = Album(secrets.token_urlsafe(16), self._clock())
            self._albums[album.id] = album
            return album

    def album(self, id: str) -> Album:
        """The album of this id.

        Raises:
            GoneError: there is none.
        """
        with self._lock:
            album = self._albums.get(id)
            if album is None:
                raise GoneError("Expected a page of this program's run. Load the page anew.")
            album.asked = self._clock()
            return album

    def entry(self, album_id: str, id: str) -> Entry:
        """The photograph of this id in this album, and in no other.

        Raises:
            GoneError: there is none.
        """
        entry = self.album(album_id).entries.get(id)
        if entry is None:
            raise GoneError("Expected a photograph of this page. It was removed: drop it again.")
        return entry

    def new_entry(self, name: str) -> Entry:
        """A photograph with a folder of its own, not yet in an album."""
        id = secrets.token_urlsafe(16)
        folder = self.folder / id
        folder.mkdir(mode=0o700)
        return Entry(id, name, folder)

    def add(self, album: Album, entry: Entry) -> None:
        """Put a photograph whose file is here whole into its album; it is the last to arrive.

        Raises:
            StorageError: the album is full.
        """
        with self._lock:
            if len(album.entries) >= MOST_PHOTOGRAPHS:
                raise StorageError(
                    f"Expected at most {MOST_PHOTOGRAPHS} photographs on a page. Remove some."
                )
            album.entries[entry.id] = entry
            self._arriving[entry.id] = next(self._numbers)

    def arrived(self, entry: Entry) -> None:
        """The photograph waits no longer."""
        with self._lock:
            self._arriving.pop(entry.id, None)

    def ahead(self) -> dict[str, int]:
        """How many photographs, of any page, come before each that waits."""
        with self._lock:
            return {id: ahead for ahead, id in enumerate(self._arriving)}

    def reserve(self, entry: Entry, count: int) -> None:
        """Count `count` further bytes, or fewer if it is negative, as the photograph's.

        Raises:
            StorageError: they do not fit, albums that were left behind being dropped.
            GoneError: it was removed.
        """
        with self._lock:
            if entry.removed:
                if count > 0:
                    raise GoneError(f"{entry.name} was removed.")
                return
            if count > 0 and self.used + count > self.limit:
                self._drop_abandoned()
            if count > 0 and self.used + count > self.limit:
                raise StorageError(
                    f"The {self.limit / 1e9:g} GB for photographs are full. Remove some that are "
                    "done, or start the program with a larger --storage."
                )
            self.used += count
            entry.stored += count

    def drop_result(self, entry: Entry) -> None:
        """Delete the result that lies in the photograph's folder, if there is one."""
        if entry.style is not None:
            size = entry.result.stat().st_size
            entry.style = None
            entry.result.unlink()
            self.reserve(entry, -size)

    def remove(self, entry: Entry, album: Album | None = None) -> None:
        """Delete a photograph and all that was made of it; again if a job wrote after that."""
        with self._lock:
            entry.removed = True
            if album is not None:
                album.entries.pop(entry.id, None)
            self.arrived(entry)
            shutil.rmtree(entry.folder, ignore_errors=True)
            self.used -= entry.stored
            entry.stored = 0

    def _drop_abandoned(self) -> None:
        for album in list(self._albums.values()):
            if self._clock() - album.asked > ABANDONED:
                del self._albums[album.id]
                for entry in list(album.entries.values()):
                    self.remove(entry, album)
