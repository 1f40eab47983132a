"""Row `cluster`: an archive coloured by one and by two workers of a core each, and without any.

Starting is left out: the model is loaded everywhere before. The efficiency of two workers is
the time of one, by twice the time of two.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from koala_face.benchmark.files_row import write_photographs
from koala_face.benchmark.timing import (
    Measurement,
    Setup,
    link_photographs,
    median_seconds,
    number,
)
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.files import colorize_files
from koala_face.colorizer.jobs import Job, plan_jobs
from koala_face.colorizer.threads import use_single_threads
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.shipped import shipped_model

# Beside the photographs as they are, so many of this shorter side.
LARGE, LARGE_SIDE = 20, 2000
EMPTY_TASKS = 1000
DAY = 24 * 60 * 60


def measure_cluster(setup: Setup) -> list[Measurement]:
    """Seconds a photograph by none, one and two workers, Dask's own, and a million's days."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise KoalaFaceError(f"{error.name} is missing: pip install '.[cluster]'") from error
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise KoalaFaceError("it takes two cores, and a system that pins processes to them")
    use_single_threads()
    jobs, output = _write_archive(setup)
    with contextlib.ExitStack() as stack:
        ways = {"here": _color_here()}
        for count in (1, 2):
            ways[f"{count}"], overhead = stack.enter_context(_workers(count))
        calls = {name: lambda way=way: _check(way(jobs), output) for name, way in ways.items()}
        each = {k: s / len(jobs) for k, s in median_seconds(calls, setup.repeats).items()}
    days = each["2"] * 10**6 / DAY
    return [
        Measurement(
            f"archive, {len(jobs)} photographs, {LARGE} of {LARGE_SIDE} px; two workers of a core",
            f"{1000 * each['2']:.0f} ms each",
            f"one: {1000 * each['1']:.0f}; the command on both cores: {1000 * each['here']:.0f}",
            f"efficiency {each['1'] / each['2'] / 2:.2f}",
            ">= 0.85",
        ),
        Measurement("Dask's own part of a photograph", f"{1000 * overhead:.2f} ms"),
        Measurement(
            "a million of these, computed from it",
            f"{number(days)} days on two such cores",
            f"{number(2 * days / 100)} on 100",
        ),
    ]


def _write_archive(setup: Setup) -> tuple[list[Job], Path]:
    """Links to the photographs, and large ones, as jobs; and where the results go."""
    folder, output = setup.folder / "archive", setup.folder / "archive-colored"
    write_photographs(setup.photographs, folder, LARGE_SIDE, min(LARGE, setup.count))
    link_photographs(setup.photographs, folder, setup.count)
    return plan_jobs([folder], output).jobs, output


def _color_here() -> Callable[[list[Job]], Iterator]:
    colorizer = Colorizer.load()
    return lambda jobs: colorize_files(jobs, colorizer)


@contextlib.contextmanager
def _workers(count: int) -> Iterator[tuple[Callable[[list[Job]], Iterator], float]]:
    """Processes of a core each; gives how to colour by them, and an empty task's seconds."""
    from koala_face.colorizer.cluster.client import color_jobs, connect
    from koala_face.colorizer.cluster.worker import plan_way

    way = plan_way(shipped_model(), None)
    with connect(None, count) as client:
        workers = list(client.scheduler_info()["workers"])
        for worker, core in zip(workers, sorted(os.sched_getaffinity(0)), strict=False):
            client.run(_pin, core, workers=[worker])
        start = time.perf_counter()
        client.gather(client.map(_nothing, range(EMPTY_TASKS), pure=False))
        yield (
            lambda jobs: color_jobs(client, jobs, way),
            (time.perf_counter() - start) / EMPTY_TASKS,
        )


def _pin(core: int) -> None:
    """Keep all threads of this process on one core."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})


def _nothing(_: int) -> None:
    pass


def _check(outcomes: Iterator, output: Path) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            raise KoalaFaceError(outcome.error)
    shutil.rmtree(output)
