"""Colour files, several at a time, each in one thread but for the tiles of a large one.

A prediction's last bits depend on how many threads share an operation, and on what else is in
its batch. So each photograph is asked alone, by operations of one thread
(`threads.use_single_threads`): it gets the same bytes again, on any number of cores and in any
company, and no fewer a second.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from koala_face.colorizer.jobs import Job
from koala_face.colorizer.threads import count_cores
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.decoding import count_pixels, read_photograph
from koala_face.photographs.encoding import write_photograph

if TYPE_CHECKING:
    from koala_face.colorizer.colorizer import Colorizer

log = logging.getLogger(__name__)

# Pixels that the photographs in work may have together: each takes up to 20 bytes. A larger
# photograph is coloured alone.
PIXELS_IN_WORK = 2**25


class Outcome(NamedTuple):
    """What became of a photograph.

    error: why it was not coloured; None if it was.
    notes: what was converted or left out.
    seconds: time by stage: "decode" (with the reduction to the networks' sizes),
        "descriptor", "network", "upsampling" (with the conversion to sRGB), "encode". Other
        photographs' overlap.
    """

    job: Job
    error: str | None
    notes: tuple[str, ...]
    seconds: dict[str, float]


def colorize_files(
    jobs: list[Job], colorizer: "Colorizer", quality: int = 95, side_by_side: bool = False
) -> Iterator[Outcome]:
    """Colour each job's photograph; a failure of any kind is an outcome and stops no other.

    Args:
        quality: of JPEG and WebP, 1 to 100.
        side_by_side: write the gray photograph and, on its right, the coloured one.

    Yields:
        Outcomes as photographs are written; the order may differ from that of `jobs`.
    """
    # One more than cores: while one waits for Python's lock, another has what its core can do.
    threads = count_cores() + 1
    queue, in_work = deque(jobs), set()
    pool = ThreadPoolExecutor(threads)
    try:
        while queue or in_work:
            while queue and len(in_work) < 2 * threads:
                arguments = (queue.popleft(), colorizer, quality, side_by_side)
                in_work.add(pool.submit(color_file, *arguments))
            done, in_work = wait(in_work, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def color_file(
    job: Job, colorizer: "Colorizer", quality: int = 95, side_by_side: bool = False
) -> Outcome:
    """Colour one photograph, as `colorize_files` does, in this thread."""
    from koala_face.colorizer.pictures import jpeg_of

    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    try:
        with _pixels.of(count_pixels(job.source)):
            with _timed("decode", seconds):
                photograph = read_photograph(job.source)
                notes = photograph.notes
                seen = colorizer.prepare(photograph.pixels, jpeg_of(job.source, photograph))
            with _timed("descriptor", seconds):
                vectors = colorizer.embed([seen])
            with _timed("network", seconds):
                ab = colorizer.predict([seen], vectors)[0]
            with _timed("upsampling", seconds):
                colored = colorizer.finish_photograph(photograph, seen, ab, side_by_side)
            with _timed("encode", seconds):
                lost = write_photograph(job.target, colored, job.format, quality)
    except Exception as error:
        return Outcome(job, describe_failure(job, error), notes, seconds)
    return Outcome(job, None, (*colored.notes, *lost), seconds)


def describe_failure(job: Job, error: Exception) -> str:
    """A failure in one line; a defect of this program keeps its trace in the debug log."""
    if isinstance(error, KoalaFaceError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory."
    log.debug("%s", job.source, exc_info=error)
    return f"{job.source}: unexpected {type(error).__name__} ({error})."


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


class _Pixels:
    """Lets photographs into the memory while they fit; a larger one waits to be alone."""

    def __init__(self):
        self._free = threading.Condition()
        self._in_work = 0

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        with self._free:
            self._free.wait_for(
                lambda: not self._in_work or self._in_work + count <= PIXELS_IN_WORK
            )
            self._in_work += count
        try:
            yield
        finally:
            with self._free:
                self._in_work -= count
                self._free.notify_all()


_pixels = _Pixels()
