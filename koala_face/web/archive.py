"""All results of an album as one ZIP, sent as it is made: one result lies on the disk at a time."""

import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO

from koala_face.foundation.errors import KoalaFaceError
from koala_face.web.names import unique_names
from koala_face.web.store import Entry
from koala_face.web.style import Style

PIECE = 2**18
# Lists the photographs that could not be written, and why.
FAILURES = "not coloured.txt"


class Pipe:
    """What a ZIP is written into, and read out of again."""

    def __init__(self):
        self._pieces = []

    def write(self, data) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def take(self) -> bytes:
        """What was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def stream_zip(
    asked: list[tuple[Entry, Style]],
    result: Callable[[Entry, Style], Awaitable[BinaryIO]],
    sent: Callable[[Entry], None],
) -> AsyncIterator[bytes]:
    """The pieces of a ZIP of results, stored as they are, under names that differ.

    Args:
        asked: photographs, each with its style.
        result: gives a photograph's result, opened; a KoalaFaceError becomes a line in a file of
            the ZIP, and the others go on.
        sent: told of each photograph whose result may go.
    """
    pipe, failures = Pipe(), []
    names = unique_names([FAILURES, *(entry.job.target.name for entry, _ in asked)])[1:]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for (entry, style), name in zip(asked, names, strict=True):
            try:
                file = await result(entry, style)
            except KoalaFaceError as error:
                failures.append(f"{entry.name}: {error}\n")
                continue
            try:
                with file, archive.open(_member(name), "w", force_zip64=True) as target:
                    while piece := file.read(PIECE):
                        target.write(piece)
                        yield pipe.take()
            finally:
                sent(entry)
        if failures:
            archive.writestr(_member(FAILURES), "".join(failures))
    yield pipe.take()


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, time.localtime()[:6])
