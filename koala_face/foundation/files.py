"""One process at a time on one file: the others wait and say whom they wait for."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from koala_face.foundation.errors import KoalaFaceError

log = logging.getLogger(__name__)


class LockError(KoalaFaceError):
    """Another process kept the file longer than this one would wait."""


@contextlib.contextmanager
def locked(path, wait: float) -> Iterator[None]:
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
