"""Photographs at addresses, such as s3://bucket/scans: found, fetched, and put back whole."""

import contextlib
import glob
import logging
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from koala_face.foundation.files import PART, PREFIX
from koala_face.photographs.decoding import PhotographError
from koala_face.photographs.reading import SUFFIXES

if TYPE_CHECKING:
    from upath import UPath

log = logging.getLogger(__name__)

T = TypeVar("T")
# Where a name is given to a file once it is whole, as a folder's are. Elsewhere, as in a bucket,
# an object appears when its last byte is there, and a new name costs a copy.
RENAMING = frozenset(("file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"))
# Seconds between tries, for a server that is out of breath.
WAITS = (1, 3, 9)
# What no other try can mend.
FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def is_address(text: str | os.PathLike) -> bool:
    """Whether an input or output is an address of fsspec's, not a path of this machine."""
    return isinstance(text, str) and "://" in text


def open_address(text: str) -> "UPath | Path":
    """The place that an address names; file:///scans is a path like any other.

    Raises:
        PhotographError: a package is missing, or fsspec knows no such address.
    """
    try:
        from upath import UPath
    except ImportError as error:
        raise PhotographError(
            f"Expected the package {error.name} for {text}. Install it: pip install '.[cluster]'"
        ) from error
    try:
        place = UPath(text)
        place.fs  # noqa: B018  asks for the package of its protocol
    except Exception as error:  # each protocol has its own
        raise PhotographError(
            f"Expected an address that fsspec can open. Received: {text} ({reason_of(error)})."
        ) from error
    return Path(place.path) if place.protocol in ("file", "local") else place


def search_address(root: "UPath") -> tuple[list[tuple["UPath", Path]], int]:
    """The photographs of an address, as `reading.search_folder` finds those of a folder.

    Args:
        root: a folder, a photograph, or a pattern such as s3://bucket/scans/*.tif.

    Returns:
        Photographs, each with its place below the output folder, and how many other files
        there are.

    Raises:
        PhotographError: nothing there, or it cannot be listed.
    """
    files, folder = root.fs, root
    files.invalidate_cache()
    try:
        if glob.has_magic(root.path):
            names = [name for name in files.glob(root.path) if not files.isdir(name)]
            while glob.has_magic(folder.path):
                folder = folder.parent
        elif files.isfile(root.path):
            names, folder = [root.path], root.parent
        else:
            names = files.find(root.path)
    except Exception as error:
        raise PhotographError(f"{root}: cannot be listed, {reason_of(error)}.") from error
    found, others = [], 0
    for name in sorted(names):
        place = _below(name, folder)
        if any(part.startswith(".") for part in place.parts):
            continue
        if folder is root and place.suffix.lower() not in SUFFIXES:
            others += 1
            continue
        found.append((folder / place, Path(place if folder is root else place.name)))
    if not found:
        raise PhotographError(f"Expected photographs in {root}. Found: {others} other files.")
    return found, others


def list_files(folder: "UPath") -> set[str]:
    """The addresses of all files below a folder; none if there is no such folder."""
    try:
        folder.fs.invalidate_cache()
        return {str(folder / _below(name, folder)) for name in folder.fs.find(folder.path)}
    except FileNotFoundError:
        return set()
    except Exception as error:
        raise PhotographError(f"{folder}: cannot be listed, {reason_of(error)}.") from error


def check_place(folder: "UPath") -> None:
    """Write into a folder, to learn before the work whether that is possible.

    Raises:
        PhotographError: the store's reason.
    """
    probe = folder / _hidden_name()
    try:
        _make_folder(folder)
        folder.fs.pipe_file(probe.path, b"")
    except Exception as error:
        raise PhotographError(
            f"Expected a folder that can be written. {folder}: {reason_of(error)}."
        ) from error
    with contextlib.suppress(Exception):
        folder.fs.rm_file(probe.path)


def fetch(source: "UPath", local: Path) -> None:
    """Copy a file to this machine.

    Raises:
        PhotographError: the store's reason, after some tries.
    """
    _insist(lambda: source.fs.get_file(source.path, os.fspath(local)), f"{source}: cannot be read")


def put(local: Path, target: "UPath") -> None:
    """Copy a file to its address, whole or not at all, over what is there.

    Raises:
        PhotographError: the store's reason, after some tries.
    """

    def write() -> None:
        if target.protocol not in RENAMING:
            target.fs.put_file(os.fspath(local), target.path)
            return
        _make_folder(target.parent)
        beside = target.with_name(_hidden_name())
        try:
            target.fs.put_file(os.fspath(local), beside.path)
            target.fs.mv(beside.path, target.path)
        except BaseException:
            with contextlib.suppress(Exception):
                beside.fs.rm_file(beside.path)
            raise

    _insist(write, f"{target}: cannot be written")


def _insist(do: Callable[[], T], failure: str) -> T:
    """Try again after each of WAITS, unless the reason is one that stays."""
    for wait in (*WAITS, None):
        try:
            return do()
        except FINAL as error:
            raise PhotographError(f"{failure}, {reason_of(error)}.") from error
        except Exception as error:  # each store has its own
            if wait is None:
                raise PhotographError(
                    f"{failure} in {len(WAITS) + 1} tries, {reason_of(error)}."
                ) from error
            log.info("%s, %s: tried again in %d s", failure, reason_of(error), wait)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _make_folder(folder: "UPath") -> None:
    if folder.protocol in RENAMING:
        folder.fs.makedirs(folder.path, exist_ok=True)


def _below(name: str, folder: "UPath") -> PurePosixPath:
    """A file's place below a folder; some stores begin their names with a slash."""
    return PurePosixPath(name.lstrip("/")).relative_to(folder.path.strip("/"))


def _hidden_name() -> str:
    return f"{PREFIX}{secrets.token_hex(8)}{PART}"


def reason_of(error: Exception) -> str:
    """The system's or the store's reason in one line, without a full stop."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
