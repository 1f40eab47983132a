"""Files that are written whole or not at all, and held by one process at a time."""

import contextlib
import hashlib
import itertools
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from koala_face.foundation.errors import KoalaFaceError

log = logging.getLogger(__name__)

PREFIX, PART = ".koala_face-", ".part"
# Numbers the files that this process writes, so that no two threads share a name.
_numbers = itertools.count()
# Folders that this process has rid of what killed processes left there.
_cleared: set[Path] = set()


class LockError(KoalaFaceError):
    """Another process kept the file longer than this one would wait."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a new path beside `path` to write; when the block succeeds it takes `path`'s place.

    A reader sees the old file or the whole new one, after a power cut too. What a process that
    was killed left beside is removed at this process's first write into the folder.

    Raises:
        OSError: if the folder cannot be written, or its disk is full; nothing is left then.
    """
    path = Path(path)
    _clear_remains(path.parent)
    temporary = path.with_name(f"{PREFIX}{_host()}-{os.getpid()}-{next(_numbers)}{PART}")
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk; only POSIX opens folders."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def short_name(path: str | os.PathLike) -> str:
    """The last two names of a path: what may stand in a file that travels."""
    return "/".join(Path(path).resolve().parts[-2:])


def file_hash(path: str | os.PathLike, algorithm: str) -> str:
    """Hash a file of any size: "md5" or "sha256", in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(path: str | os.PathLike, wait: float) -> Iterator[None]:
    """Hold `path` for this process; `path` + ".lock" stays beside it, ".holder" while it is held.

    The system frees the lock of a process that dies, however it dies.

    Args:
        path: the file to hold; its folder exists.
        wait: seconds to wait for another process.

    Raises:
        LockError: naming the holder, when `wait` is over.
        OSError: if the folder cannot be written.
    """
    lock = filelock.FileLock(f"{path}.lock")
    holder = Path(f"{path}.holder")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.info("%s is in use by %s: waiting", path, _read_holder(holder))
        try:
            lock.acquire(timeout=wait)
        except filelock.Timeout as error:
            raise LockError(
                f"Expected {path} to be free. Found: {_read_holder(holder)} works on it, and did "
                f"for the {wait:g} seconds waited. Wait for its end, or stop it; then run again."
            ) from error
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _read_holder(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


def _clear_remains(folder: Path) -> None:
    """Remove what processes of this machine that are no more began to write into `folder`."""
    place = folder.absolute()
    if place in _cleared:
        return
    _cleared.add(place)
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{PREFIX}{_host()}-*{PART}"):
            process = path.name.removeprefix(f"{PREFIX}{_host()}-").partition("-")[0]
            if process.isdecimal() and not _is_running(int(process)):
                path.unlink(missing_ok=True)


def _host() -> str:
    """This machine in eight signs: a shared folder may hold another's unfinished files."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    """Whether a process may still be there; where that cannot be asked without harm, True."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
