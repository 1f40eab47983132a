"""Row `growth`: what a training waits for before its first step, by the number of portraits."""

import json

from koala_face.benchmark.files_row import write_photographs
from koala_face.benchmark.memory_row import GIBIBYTE, run_program
from koala_face.benchmark.timing import Measurement, Setup, link_photographs, number

# Folders of so many times `--portraits`: 1,000, 20,000 and 200,000 of its 200.
TIMES = (5, 100, 1000)
# The start reads no pixels, so they may be few; more would only fill the disk. Photographs, and
# their shorter side in pixels, to which the others are links.
SIDE, BATCH_SIZE, BATCHES = 16, 50, 100
WRITTEN, WRITTEN_SIDE = 20, 96

# As `koala_face.train` begins, on a cache that is filled.
START = """
import json, time
from pathlib import Path
from koala_face.backbones import find_backbone
from koala_face.data import pipeline
from koala_face.data.portraits import load_portraits
from koala_face.training import sampling
from koala_face.training.portrait_list import list_portraits, write_list

def load(rehash):
    start = time.perf_counter()
    found = load_portraits({folder!r}, {side}, find_backbone("none"), {cache!r}, rehash=rehash)
    write_list(Path({cache!r}) / "portraits.csv", list_portraits(found, found))
    return found, time.perf_counter() - start

portraits, loading = load(False)
order = sampling.sample_order(len(portraits), 0, 0, {batches} * {batch_size})
start = time.perf_counter()
for batch in pipeline.batches(portraits, order, {batch_size}):
    pass
reading = time.perf_counter() - start
print(json.dumps([loading, load(True)[1] if {rehash} else None, reading / {batches}]))
"""


def measure_growth(setup: Setup) -> list[Measurement]:
    """Seconds from a warm cache to the first step, a batch's own, and the memory."""
    written = setup.folder / "growth"
    write_photographs(setup.photographs, written, WRITTEN_SIDE, WRITTEN)
    small = setup._replace(photographs=tuple(sorted(written.iterdir())))
    return [_measure(small, times * setup.count) for times in TIMES]


def _measure(setup: Setup, count: int) -> Measurement:
    folder = setup.folder / f"growth-{count}"
    link_photographs(setup.photographs, folder, count)
    words = {"folder": str(folder), "cache": str(setup.folder / f"cache-{count}"), "side": SIDE}
    words |= {"batches": BATCHES, "batch_size": min(BATCH_SIZE, count)}
    _run(words | {"rehash": False})  # fills the cache
    (loading, hashing, reading), memory = _run(words | {"rehash": True})
    return Measurement(
        f"growth, {count:,} portraits, to the first step from a warm cache",
        f"{number(loading)} s, {memory / GIBIBYTE:.2f} GiB",
        f"every photograph read (--rehash): {number(hashing)} s",
        f"{hashing / loading:.1f}",
        f"a batch of {words['batch_size']}, {SIDE}x{SIDE}: {1000 * reading:.1f} ms",
    )


def _run(words: dict) -> tuple[list, int]:
    measured, memory = run_program(START.format(**words))[-2:]
    return json.loads(measured), int(memory)
