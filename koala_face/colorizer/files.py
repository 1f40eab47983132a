"""Colour files: while the networks work on some, others are decoded and encoded in threads."""

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from koala_face.colorizer.colorizer import BATCH_SIZE, Colorizer, NetworkInput
from koala_face.colorizer.jobs import Job
from koala_face.colorizer.pictures import jpeg_of
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.decoding import Photograph, count_pixels, read_photograph
from koala_face.photographs.encoding import write_photograph

log = logging.getLogger(__name__)

THREADS = min(8, os.cpu_count() or 1)
# Photographs decoded ahead of the networks, and the pixels that all in work may have
# together: each takes up to 20 bytes. A larger one is coloured alone.
READ_AHEAD = 2 * BATCH_SIZE
PIXELS_IN_WORK = 2**25


class Outcome(NamedTuple):
    """What became of a photograph.

    error: why it was not coloured; None if it was.
    notes: what was converted or left out.
    seconds: time by stage: "decode" (with the reduction to the networks' sizes),
        "descriptor", "network", "upsampling" (with the conversion to sRGB), "encode". The
        stages overlap: their sum is more than the time that passed.
    """

    job: Job
    error: str | None
    notes: tuple[str, ...]
    seconds: dict[str, float]


class Read(NamedTuple):
    """A decoded photograph that waits for the networks."""

    photograph: Photograph
    seen: NetworkInput
    seconds: float


def colorize_files(
    jobs: list[Job], colorizer: Colorizer, quality: int = 95, side_by_side: bool = False
) -> Iterator[Outcome]:
    """Colour each job's photograph; a failure of any kind is an outcome and stops no other.

    Args:
        quality: of JPEG and WebP, 1 to 100.
        side_by_side: write the gray photograph and, on its right, the coloured one.

    Yields:
        Outcomes as photographs are written; the order may differ from that of `jobs`.
    """
    readers, writers = ThreadPoolExecutor(THREADS), ThreadPoolExecutor(THREADS)
    queue = deque(jobs)
    reading: deque[tuple[Job, int, Future]] = deque()
    writing: dict[Future, int] = {}
    in_work = 0
    try:
        while queue or reading or writing:
            while queue and len(reading) < READ_AHEAD:
                size = count_pixels(queue[0].source)
                if in_work and in_work + size > PIXELS_IN_WORK:
                    break
                in_work += size
                job = queue.popleft()
                reading.append((job, size, readers.submit(_read, colorizer, job)))
            batch = []
            while reading and reading[0][2].done() and len(batch) < BATCH_SIZE:
                batch.append(reading.popleft())
            for future, size in _start_writing(batch, colorizer, writers, quality, side_by_side):
                writing[future] = size
            if not batch:
                first = [future for _, _, future in list(reading)[:1]]
                wait([*first, *writing], return_when=FIRST_COMPLETED)
            for future in [future for future in writing if future.done()]:
                in_work -= writing.pop(future)
                yield future.result()
    finally:
        readers.shutdown(cancel_futures=True)
        writers.shutdown(cancel_futures=True)


def _start_writing(batch, colorizer, writers, quality, side_by_side):
    """Send a batch through the networks and its photographs to the writers."""
    good = []
    for job, size, future in batch:
        try:
            good.append((job, size, future.result()))
        except Exception as error:
            yield _failed(writers, job, error), size
    if not good:
        return
    try:
        predictions, seconds = _predict(colorizer, [read.seen for _, _, read in good])
    except Exception as error:  # such as too little memory for all of them together
        if len(good) == 1:
            yield _failed(writers, good[0][0], error), good[0][1]
            return
        for one in batch:
            if one[2].exception() is None:
                yield from _start_writing([one], colorizer, writers, quality, side_by_side)
        return
    for (job, size, read), ab in zip(good, predictions, strict=True):
        arguments = (colorizer, job, read, ab, seconds, quality, side_by_side)
        yield writers.submit(_write, *arguments), size


def _predict(colorizer: Colorizer, inputs: list[NetworkInput]) -> tuple[np.ndarray, dict]:
    """The network's ab, and the seconds that each photograph took."""
    start = time.perf_counter()
    vectors = colorizer.embed(inputs)
    middle = time.perf_counter()
    predictions = colorizer.predict(inputs, vectors)
    end = time.perf_counter()
    stages = {"descriptor": middle - start, "network": end - middle}
    return predictions, {stage: spent / len(inputs) for stage, spent in stages.items()}


def _failed(writers: ThreadPoolExecutor, job: Job, error: Exception) -> Future:
    return writers.submit(Outcome, job, _describe_failure(job, error), (), {})


def _read(colorizer: Colorizer, job: Job) -> Read:
    start = time.perf_counter()
    photograph = read_photograph(job.source)
    seen = colorizer.prepare(photograph.pixels, jpeg_of(job.source, photograph))
    return Read(photograph, seen, time.perf_counter() - start)


def _write(colorizer, job, read: Read, ab, networks_seconds, quality, side_by_side) -> Outcome:
    photograph, seen, read_seconds = read
    seconds = {"decode": read_seconds, **networks_seconds}
    try:
        start = time.perf_counter()
        colored = colorizer.finish_photograph(photograph, seen, ab, side_by_side)
        middle = time.perf_counter()
        notes = write_photograph(job.target, colored, job.format, quality)
        seconds.update(upsampling=middle - start, encode=time.perf_counter() - middle)
    except Exception as error:
        return Outcome(job, _describe_failure(job, error), photograph.notes, seconds)
    return Outcome(job, None, (*colored.notes, *notes), seconds)


def _describe_failure(job: Job, error: Exception) -> str:
    """A failure in one line; a defect of this program keeps its trace in the debug log."""
    if isinstance(error, KoalaFaceError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory."
    log.debug("%s", job.source, exc_info=error)
    return f"{job.source}: unexpected {type(error).__name__} ({error})."
