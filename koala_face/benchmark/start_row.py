"""Row `start`: what the first photograph waits for, beside what `import tensorflow` takes alone."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from koala_face.benchmark.files_row import write_photographs
from koala_face.benchmark.timing import Measurement, Setup, number

SIDE = 256
# Of one command to the other, in CPU time as in wall time.
ASKED = "ratio <= 2"

# The command's own steps, in its order, with the seconds between them. What a graph takes at its
# first call more than at its second is its tracing and TensorFlow's rewriting of it.
STEPS = """
import json, sys, time
seconds, before = {}, time.process_time()
def mark(step):
    global before
    now = time.process_time()
    seconds[step], before = seconds.get(step, 0.0) + now - before, now
import koala_face.colorize
mark("koala_face")
import tensorflow as tf
tf.keras.Model
mark("TensorFlow")
from pathlib import Path
from koala_face.backbones import find_backbone, locate_weights
from koala_face.colorizer.colorizer import Colorizer, compile_descriptor, load_model
from koala_face.colorizer.threads import use_single_threads
from koala_face.colorizer.pictures import jpeg_of
from koala_face.model_files.shipped import shipped_model
from koala_face.photographs.decoding import read_photograph
from koala_face.photographs.encoding import write_photograph
use_single_threads()
mark("koala_face")
network, description = load_model(shipped_model())
mark("model")
backbone = find_backbone(*description.descriptor)
embed = compile_descriptor(backbone, locate_weights(backbone))
mark("descriptor")
colorizer = Colorizer(network, embed, backbone.input_size, description=description)
mark("model")
source, target = map(Path, sys.argv[1:])
photograph = read_photograph(source)
mark("photograph")
for step in ("first calls", "the calls again"):
    seen = colorizer.prepare(photograph.pixels, jpeg_of(source, photograph))
    ab = colorizer.predict([seen], colorizer.embed([seen]))[0]
    colored = colorizer.finish_photograph(photograph, seen, ab)
    mark(step)
write_photograph(target, colored, "jpeg")
mark("photograph")
print(json.dumps(seconds))
"""


class Spent(NamedTuple):
    """Seconds of a process and of all that it started."""

    wall: float
    cpu: float


def measure_start(setup: Setup) -> list[Measurement]:
    """The whole command on one photograph by the model that ships, and where its time goes."""
    folder = setup.folder / "start"
    write_photographs(setup.photographs[:1], folder, SIDE, 1)
    source, target = folder / "0.jpg", folder / "colored.jpg"
    python = [sys.executable, "-c"]
    command = [sys.executable, "-m", "koala_face", "colorize", str(source), "-o", str(target)]
    ours, theirs = in_turns(
        [[*command, "--overwrite"], [*python, "import tensorflow"]], setup.repeats
    )
    steps = [
        json.loads(_run([*python, STEPS, str(source), str(target)]).splitlines()[-1])
        for _ in range(setup.repeats)
    ]
    parts = {step: statistics.median(one[step] for one in steps) for step in steps[0]}
    return [
        *lines(ours, theirs),
        Measurement(
            "start, the CPU time of its steps",
            ", ".join(f"{step} {number(seconds)}" for step, seconds in parts.items()) + " s",
        ),
    ]


def lines(ours: Spent, theirs: Spent) -> list[Measurement]:
    """The lines of a command and of `import tensorflow`; a ratio says how many times longer."""
    return [
        Measurement(
            f"start, `colorize` of a {SIDE}-px photograph, {kind}",
            f"{number(own)} s",
            f"import tensorflow: {number(other)} s",
            f"{own / other:.2f}",
            ASKED,
        )
        for kind, own, other in zip(("wall time", "CPU time"), ours, theirs, strict=True)
    ]


def in_turns(
    commands: Sequence[list[str]], repeats: int, spend: Callable[[list[str]], Spent] | None = None
) -> list[Spent]:
    """The medians of commands, each in processes of its own, run in turns; the first left out."""
    spent = [[(spend or _spend)(command) for command in commands] for _ in range(repeats + 1)]
    columns = zip(*spent[1:], strict=True)
    return [Spent(*map(statistics.median, zip(*one, strict=True))) for one in columns]


def _spend(command: list[str]) -> Spent:
    start, before = time.perf_counter(), os.times()
    _run(command)
    wall, after = time.perf_counter() - start, os.times()
    user = after.children_user - before.children_user
    return Spent(wall, user + after.children_system - before.children_system)


def _run(command: list[str]) -> str:
    """What a command prints; what it says beside is of no interest unless it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {done.stderr[-2000:]}")
    return done.stdout
