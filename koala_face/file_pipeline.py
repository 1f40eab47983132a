"""Colour files: while the networks work on some, others are decoded and encoded in threads."""

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from koala_face.colorizer import BATCH_SIZE, Colorizer, NetworkInput
from koala_face.decoding import Photograph, count_pixels, read_photograph
from koala_face.encoding import write_photograph
from koala_face.errors import KoalaFaceError
from koala_face.full_size import gray_version
from koala_face.output_paths import Job

THREADS = min(8, os.cpu_count() or 1)
# Photographs decoded ahead of the networks, and the pixels that all in work may have
# together: each takes up to 20 bytes. A larger one is coloured alone.
READ_AHEAD = 2 * BATCH_SIZE
PIXELS_IN_WORK = 2**25
# Channels of a gray photograph saved as colour differ by so little, in 8-bit steps.
GRAY_TOLERANCE = 2


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
    """Colour each job's photograph; a failure is an outcome and does not stop the others.

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
        except (KoalaFaceError, MemoryError) as error:
            outcome = Outcome(job, str(error) or "not enough memory", (), {})
            yield writers.submit(lambda outcome=outcome: outcome), size
    if not good:
        return
    inputs = [read.seen for _, _, read in good]
    start = time.perf_counter()
    vectors = colorizer.describe(inputs)
    middle = time.perf_counter()
    predictions = colorizer.predict(inputs, vectors)
    seconds = {
        "descriptor": (middle - start) / len(good),
        "network": (time.perf_counter() - middle) / len(good),
    }
    for (job, size, read), ab in zip(good, predictions, strict=True):
        arguments = (colorizer, job, read, ab, seconds, quality, side_by_side)
        yield writers.submit(_write, *arguments), size


def _read(colorizer: Colorizer, job: Job) -> Read:
    start = time.perf_counter()
    photograph = read_photograph(job.source)
    seen = colorizer.prepare(photograph.pixels)
    return Read(photograph, seen, time.perf_counter() - start)


def _write(colorizer, job, read: Read, ab, networks_seconds, quality, side_by_side) -> Outcome:
    photograph, seen, read_seconds = read
    seconds = {"decode": read_seconds, **networks_seconds}
    notes = list(photograph.notes)
    if _is_colored(photograph.pixels):
        notes.append("it is in colour; it was coloured anew from its luminance")
    if colorizer.stretches(seen):
        notes.append("its range is narrow; the network saw it stretched")
    try:
        start = time.perf_counter()
        colored = colorizer.finish(photograph.pixels, seen, ab)
        colored = photograph._replace(pixels=colored)
        if side_by_side:
            colored = _beside_gray(photograph, colored)
        middle = time.perf_counter()
        notes += write_photograph(job.target, colored, job.format, quality)
        seconds.update(upsampling=middle - start, encode=time.perf_counter() - middle)
    except (KoalaFaceError, MemoryError) as error:
        reason = str(error) or f"{job.source}: not enough memory"
        return Outcome(job, reason, tuple(notes), seconds)
    return Outcome(job, None, tuple(notes), seconds)


def _is_colored(pixels) -> bool:
    if pixels.ndim == 2:
        return False
    tolerance = GRAY_TOLERANCE * (int(np.iinfo(pixels.dtype).max) // 255)
    # By rows, so that the differences of a large photograph need no second copy of it.
    return any(np.ptp(row, axis=-1).max() > tolerance for row in pixels)


def _beside_gray(photograph: Photograph, colored: Photograph) -> Photograph:
    gray = gray_version(photograph.pixels, photograph.pixels.dtype)
    pixels = np.concatenate([np.stack([gray] * 3, axis=-1), colored.pixels], axis=1)
    alpha = None if colored.alpha is None else np.concatenate([colored.alpha] * 2, axis=1)
    return colored._replace(pixels=pixels, alpha=alpha)
