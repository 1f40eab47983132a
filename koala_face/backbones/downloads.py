"""Fetches the descriptors' weights, for `python -m koala_face.weights` alone.

A file arrives under its name with ".part" added, is verified there, and only then
takes its name: what bears the name is whole. A fetch that was interrupted goes on
where it stopped, if the server still has the same file.
"""

import errno
import http.client
import logging
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from koala_face.backbones.saved_layers import check_shapes
from koala_face.backbones.weight_files import (
    CHUNK,
    PART,
    WeightsError,
    WeightsFile,
    altered,
    broken,
    cache_path,
    check_whole,
    file_hash,
    record_path,
    recorded_sha256,
    weights_sha256,
)
from koala_face.foundation.files import locked

log = logging.getLogger(__name__)

# Seconds of silence after which a server counts as gone.
TIMEOUT = 60
# Seconds to wait for another process that fetches the same file: a slow line's 580 MB.
WAIT = 4 * 3600
# What a disk says, not a server: full, read-only, somebody else's.
DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM)


def download(
    file: WeightsFile,
    folder: str | Path | None = None,
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
                receive(file, response, part, progress)
                return
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


def open_from(address: str, part: Path):
    """Ask for the rest of `part`, if the server knows the file it began as; else for all."""
    request = urllib.request.Request(address, headers={"User-Agent": "koala_face"})
    tag = tag_path(part)
    if part.is_file() and tag.is_file():
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        request.add_header("If-Range", tag.read_text(encoding="latin-1"))
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def receive(file: WeightsFile, response, part: Path, progress: bool | None) -> None:
    """Write an answer's body to `part`; it must be as long as announced and as published."""
    goes_on = response.status == http.HTTPStatus.PARTIAL_CONTENT
    start = part.stat().st_size if goes_on else 0
    if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        discard(part)
        raise ConnectionError("another part of the file than the one asked for")
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    if None not in (total, file.size) and total != file.size:
        discard(part)
        raise broken(file, part, f"{file.size} bytes", f"{total} from {response.url}")
    if total and shutil.disk_usage(part.parent).free < total - start:
        raise OSError(errno.ENOSPC, f"{total - start} more bytes do not fit on the disk")
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        tag_path(part).write_text(tag, encoding="latin-1")
    bar = tqdm(
        total=total,
        initial=start,
        unit="B",
        unit_scale=True,
        desc=file.name,
        disable=None if progress is None else not progress,
    )
    with bar, part.open("ab" if goes_on else "wb") as stream:
        while chunk := response.read(CHUNK):
            stream.write(chunk)
            bar.update(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())
    if total not in (None, part.stat().st_size):
        missing = total - part.stat().st_size
        raise ConnectionError(f"an answer that ended {missing} bytes early")


def tag_path(part: Path) -> Path:
    """The server's mark of the very file that `part` began as (HTTP's ETag)."""
    return part.with_name(part.name + ".etag")


def discard(part: Path) -> None:
    """Forget a partial file."""
    part.unlink(missing_ok=True)
    tag_path(part).unlink(missing_ok=True)


def unreachable(file: WeightsFile, address: str, error) -> WeightsError:
    """The error for a fetch that did not end; what came stays for the next one."""
    return WeightsError(
        f"Expected {file.name} ({file.about}) from {address}. Received: {error}. "
        f"Next: {file.command}, which goes on where this stopped; or fetch it by a browser and "
        f"put it at {cache_path(file)}"
    )
