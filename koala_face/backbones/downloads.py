"""Fetches the descriptors' weights, for `python -m koala_face weights` alone.

A file arrives under its name with ".part" added, is verified there, and only then
takes its name: what bears the name is whole. A fetch that was interrupted goes on
where it stopped, if the server shows that it still has the same file.
"""

import errno
import http.client
import logging
import os
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from koala_face.backbones.saved_layers import check_shapes
from koala_face.backbones.weight_files import (
    PART,
    WeightsError,
    WeightsFile,
    altered,
    broken,
    cache_path,
    check_whole,
    record_path,
    recorded_sha256,
    weights_sha256,
)
from koala_face.foundation.files import file_hash, locked

log = logging.getLogger(__name__)

CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+|\*)$")
# Bytes written at a time at most.
CHUNK = 1 << 20
# Seconds of silence after which a server counts as gone.
TIMEOUT = 60
# Seconds to wait for another process that fetches the same file: a slow line's 580 MB.
WAIT = 4 * 3600
# Bytes; what is longer is none of these files, the longest of which has 580 MB.
LARGEST = 1 << 30
# What a disk says, not a server: full, read-only, somebody else's.
DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM)


def download(
    file: WeightsFile,
    folder: str | os.PathLike | None = None,
    address: str | None = None,
    progress: bool | None = None,
) -> Path:
    """Fetch a published file, unless it is there already; verified in both cases.

    Args:
        file: a row of `WEIGHTS_FILES`.
        folder: where to put it; None is Keras's cache, where `locate_file` looks.
        address: fetch from there instead of the published address.
        progress: draw a progress bar on standard error; None does on a terminal only.

    Returns:
        The file.

    Raises:
        WeightsError: no answer, an interruption, too small a disk, or a file that is
            not the published one.
        LockError: another process fetches it for too long.
    """
    path = cache_path(file) if folder is None else Path(folder) / file.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, WAIT):
            if path.is_file():
                record(file, path, verify(file, path))
            else:
                fetch_whole(file, address or file.address, path, progress)
    except OSError as error:
        raise WeightsError(
            f"Expected to write {path}. Received: {error}. Next: make room, or set KERAS_HOME to "
            f"a folder of yours; then {file.command}"
        ) from error
    return path


def verify(file: WeightsFile, path: Path) -> str:
    """Read a whole file and compare it with what was published, or recorded at first.

    Returns:
        Its SHA-256.

    Raises:
        WeightsError: the file is cut off, altered or another one.
    """
    check_whole(file, path, size=file.size)
    for algorithm, expected in (("md5", file.md5), ("sha256", file.sha256)):
        found = file_hash(path, algorithm) if expected else None
        if found != expected:
            raise broken(file, path, f"the published {algorithm} {expected}", f"{found}")
    if file.shapes:
        check_shapes(file.shapes, path, file)
    return weights_sha256(path)


def fetch_whole(file: WeightsFile, address: str, path: Path, progress: bool | None) -> None:
    """Fetch beside `path`, verify, and only then give the file its name."""
    part = path.with_name(path.name + PART)
    fetch(file, address, part, progress)
    try:
        record(file, path, verify(file, part))
    except WeightsError:
        discard(part)
        raise
    os.replace(part, path)
    discard(part)
    log.info("%s: whole and verified", path)


def record(file: WeightsFile, path: Path, sha256: str) -> None:
    """Record the SHA-256 of the first file of this name; later ones must have the same."""
    recorded = recorded_sha256(path)
    if recorded is None:
        record_path(path).write_text(f"{sha256}  {path.name}\n", encoding="ascii")
    elif recorded != sha256:
        raise altered(path, recorded, sha256, file.command)


def fetch(file: WeightsFile, address: str, part: Path, progress: bool | None) -> None:
    """Bring `address` into `part`, going on after what an earlier fetch left there."""
    log.info("fetching %s (%s)", address, file.about)
    for _ in range(2):
        try:
            with open_from(address, part) as response:
                if response.status != http.HTTPStatus.PARTIAL_CONTENT or is_rest(response, part):
                    return receive(file, response, part, progress)
                discard(part)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if error.headers.get("Content-Range") == f"bytes */{part.stat().st_size}":
                    return  # it had come to its end already
                discard(part)
                continue
            raise unreachable(file, address, f"{error.code} {error.reason}") from error
        except (http.client.HTTPException, OSError, ValueError) as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            raise unreachable(file, address, error) from error
    raise unreachable(file, address, "no part of the file")


def open_from(address: str, part: Path) -> http.client.HTTPResponse:
    """Ask for the rest of `part`, if the server knows the file it began as; else for all."""
    request = urllib.request.Request(address, headers={"User-Agent": "koala_face"})
    tag, _ = read_mark(part)
    if part.is_file() and tag:
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        request.add_header("If-Range", tag)
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def is_rest(response: http.client.HTTPResponse, part: Path) -> bool:
    """Whether a partial answer shows that it is of the very file that `part` began as.

    Some servers ignore If-Range: then the mark and the length tell.

    Raises:
        ConnectionError: for another part than the one asked for.
    """
    found = CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if not found or not part.is_file() or int(found["start"]) != part.stat().st_size:
        discard(part)
        raise ConnectionError("another part of the file than the one asked for")
    tag, total = read_mark(part)
    known = found["total"] != "*" and total in (None, found["total"])
    return known and response.headers.get("ETag") == tag


def receive(
    file: WeightsFile, response: http.client.HTTPResponse, part: Path, progress: bool | None
) -> None:
    """Write an answer's body to `part`; it must be as long as announced and as published."""
    goes_on = response.status == http.HTTPStatus.PARTIAL_CONTENT
    start = part.stat().st_size if goes_on else 0
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    if total is not None:
        check_length(file, response, part, total)
        if shutil.disk_usage(part.parent).free < total - start:
            raise OSError(errno.ENOSPC, f"{total - start} more bytes do not fit on the disk")
    if not goes_on:
        write_mark(part, response.headers.get("ETag"), total)
    bar = tqdm(
        total=total,
        initial=start,
        unit="B",
        unit_scale=True,
        desc=file.name,
        disable=None if progress is None else not progress,
    )
    with bar, part.open("ab" if goes_on else "wb") as stream:
        # What has come is written at once: a reset loses nothing.
        while chunk := response.read1(CHUNK):
            stream.write(chunk)
            bar.update(len(chunk))
            if stream.tell() > (file.size or LARGEST):
                check_length(file, response, part, stream.tell())
        stream.flush()
        os.fsync(stream.fileno())
    if total not in (None, part.stat().st_size):
        missing = total - part.stat().st_size
        raise ConnectionError(f"an answer that ended {missing} bytes early")


def check_length(
    file: WeightsFile, response: http.client.HTTPResponse, part: Path, length: int
) -> None:
    """Refuse a file of another length than the published one; what came of it goes."""
    if length > LARGEST or file.size not in (None, length):
        discard(part)
        expected = f"{file.size} bytes" if file.size else file.about
        raise broken(file, part, expected, f"{length} bytes from {response.url}")


def mark_path(part: Path) -> Path:
    """Beside `part`: the server's mark of the very file that it began as, and its length."""
    return part.with_name(part.name + ".etag")


def read_mark(part: Path) -> tuple[str | None, str | None]:
    """HTTP's ETag and the bytes of the whole file, None where unknown."""
    try:
        lines = mark_path(part).read_text(encoding="latin-1").splitlines()
    except OSError:
        lines = []
    tag, total, *_ = [*lines, None, None]
    return tag, total


def write_mark(part: Path, tag: str | None, total: int | None) -> None:
    """Note of what file the first byte is; a weak tag is none, as halves might not fit."""
    mark_path(part).unlink(missing_ok=True)
    if tag and not tag.startswith("W/"):
        lines = [tag] if total is None else [tag, str(total)]
        mark_path(part).write_text("\n".join(lines), encoding="latin-1")


def discard(part: Path) -> None:
    """Forget a partial file."""
    part.unlink(missing_ok=True)
    mark_path(part).unlink(missing_ok=True)


def unreachable(file: WeightsFile, address: str, error: Exception | str) -> WeightsError:
    """The error for a fetch that did not end; what came stays for the next one."""
    return WeightsError(
        f"Expected {file.name} ({file.about}) from {address}. Received: {error}. "
        f"Next: {file.command}, which goes on where this stopped; or fetch it by a browser and "
        f"put it at {cache_path(file)}"
    )
