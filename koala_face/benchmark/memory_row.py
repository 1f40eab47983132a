"""Row `memory`: the largest resident size, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

from koala_face.benchmark.timing import Measurement, Setup, link_photographs

GIBIBYTE = 2**30
# A training step must fit a card of the K80's class (Section II.F): 12 GB a processor.
STEP_LIMIT = 11.0
STEP_BATCH = 50
TENFOLD = 10

# Every program below begins as `koala_face.train` does.
BEGIN = """
from koala_face.foundation.allocator import keep_freed_memory
keep_freed_memory()
"""
TRAIN_A_STEP = """
import tensorflow as tf
from koala_face import models
from koala_face.training.step import make_optimizer, make_train_step
size, batch_size = {size}, {batch_size}
model = models.build_colorizer(size=size)
step = make_train_step(model, make_optimizer(model, 0.001))
inputs = [tf.zeros((batch_size, *shape)) for shape in [(size, size, 1), (2622,), (size, size, 2)]]
for _ in range(2):
    float(step(*inputs))
"""
READ_A_FOLDER = """
from koala_face.data import pipeline
from koala_face.data.portraits import load_portraits
from koala_face.training import sampling
from koala_face.backbones import find_backbone
portraits = load_portraits({folder!r}, {size}, find_backbone("none"), {cache!r})
order = sampling.sample_order(len(portraits), 0, 0, {samples})
for batch in pipeline.batches(portraits, order, {batch_size}):
    pass
"""
# Not getrusage's ru_maxrss on Linux: a process starts with that of the one that started it.
REPORT = """
import pathlib, resource, sys
status = pathlib.Path("/proc/self/status")
if status.exists():
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    print(int(lines["VmHWM"].split()[0]) * 1024)
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak if sys.platform == "darwin" else peak * 1024)
"""


def peak_memory(program: str) -> int:
    """Run a Python program in a new process; its largest resident size in bytes."""
    return int(run_program(program)[-1])


def run_program(program: str) -> list[str]:
    """Run a Python program in a new process; the lines it prints, its largest size the last."""
    command = [sys.executable, "-c", BEGIN + program + REPORT]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def measure_memory(setup: Setup) -> list[Measurement]:
    """A training step, and filling and reading the cache of a folder and of one ten times it.

    As many portraits are read from both, in ten epochs and in one: after a few batches only,
    the allocator has not taken yet what it keeps for the next ones.
    """
    step = peak_memory(TRAIN_A_STEP.format(size=setup.size, batch_size=STEP_BATCH)) / GIBIBYTE
    few, many = (_folder_memory(setup, count) for count in (setup.count, TENFOLD * setup.count))
    return [
        Measurement(
            f"memory, training step, {setup.size}x{setup.size}, batch {STEP_BATCH}",
            f"{step:.2f} GiB",
            f"K80: {STEP_LIMIT:.0f} GiB",
            f"{step / STEP_LIMIT:.2f}",
            f"< {STEP_LIMIT:.0f} GiB",
        ),
        Measurement(
            f"memory, folder of {TENFOLD * setup.count} portraits",
            f"{many:.2f} GiB",
            f"folder of {setup.count}: {few:.2f} GiB",
            f"{many / few:.2f}",
            "ratio < 1.10",
        ),
    ]


def _folder_memory(setup: Setup, count: int) -> float:
    folder = setup.folder / f"memory-{count}"
    link_photographs(setup.photographs, folder, count)
    program = READ_A_FOLDER.format(
        folder=str(Path(folder).resolve()),
        cache=str(setup.folder / "cache"),
        size=setup.size,
        samples=TENFOLD * setup.count,
        batch_size=min(STEP_BATCH, setup.count),
    )
    return peak_memory(program) / GIBIBYTE
