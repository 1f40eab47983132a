"""What a worker of the cluster does: load the model once, colour one photograph at a time."""

import asyncio
import functools
import hashlib
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distributed import Worker, WorkerPlugin

import koala_face
from koala_face.colorizer.cluster.addresses import fetch, put
from koala_face.colorizer.files import Outcome, color_file, describe_failure
from koala_face.colorizer.jobs import Job
from koala_face.colorizer.threads import use_single_threads
from koala_face.colorizer.upsampling import EDGE_AWARE
from koala_face.foundation.allocator import keep_as_glibc_would
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import file_hash
from koala_face.model_files.shipped import PRETRAINED, VARIANTS, shipped_model

if TYPE_CHECKING:
    from koala_face.colorizer.colorizer import Colorizer

# Ways whose models a worker keeps loaded, for as many commands that share a cluster.
COLORIZERS = 4


class ClusterError(KoalaFaceError):
    """Workers cannot do it: no package, no scheduler, or one that would colour otherwise."""


class Way(NamedTuple):
    """How all workers shall colour, and what they must have in common with who asks.

    model: the file's path, the same on every worker, or the name of one that ships.
    fingerprint: by `fingerprint`, of the model that the asking machine has.
    folder: of the asking machine, from which relative paths go out.
    """

    model: str
    fingerprint: str
    folder: str
    weights: str | None = None
    upsampling: str = EDGE_AWARE
    saturation: float = 1.0
    stretch: bool = True
    palette: int = 0
    quality: int = 95
    side_by_side: bool = False
    version: str = koala_face.__version__

    @property
    def path(self) -> Path:
        return shipped_model(self.model) if self.model in VARIANTS else Path(self.model)


def plan_way(model: Path, weights: str | None, **settings: Any) -> Way:
    """The way of colouring with a model file of this machine; `settings` are those of `Way`."""
    name = model.stem if model.parent == PRETRAINED else os.path.abspath(model)
    weights = weights and os.path.abspath(weights)
    return Way(name, fingerprint(model), os.getcwd(), weights, **settings)


class ColoringPlugin(WorkerPlugin):
    """Makes a worker ready, or keeps one out that would colour in another way.

    Dask runs it in every worker, also in those that come later.
    """

    name = "koala_face"

    def __init__(self, way: Way):
        self.way = way

    async def setup(self, worker: Worker) -> None:
        # A thread, so that the worker goes on to answer while TensorFlow loads.
        await asyncio.to_thread(make_ready, self.way, worker.state.nthreads, worker.address)


def make_ready(way: Way, threads: int, name: str) -> None:
    """Load the model, for a worker that colours in so many threads.

    Raises:
        ClusterError: another version of koala_face or another model than the asking machine's.
        KoalaFaceError: from loading the model.
    """
    check_same(way, name)
    keep_as_glibc_would()  # Dask starts its workers with a threshold that ends this
    use_single_threads(threads)
    load_colorizer(way)


def load_colorizer(way: Way) -> "Colorizer":
    """The colorizer that goes this way; kept, for the next photograph and the next command."""
    return _load(way._replace(folder="", quality=0, side_by_side=False))


@functools.lru_cache(maxsize=COLORIZERS)
def _load(way: Way) -> "Colorizer":
    from koala_face.colorizer.colorizer import Colorizer

    check_same(way, platform.node())
    style = {
        name: getattr(way, name) for name in ("upsampling", "saturation", "stretch", "palette")
    }
    return Colorizer.load(way.path, way.weights, **style)


def check_same(way: Way, name: str) -> None:
    """Refuse to work where the same photograph would get other colours."""
    here = koala_face.__version__
    if here != way.version:
        raise ClusterError(
            f"Expected koala_face {way.version}, as on the machine that asks, on every worker. "
            f"Found: {here} on {name}. Install the same version there."
        )
    if not way.path.is_file():
        raise ClusterError(
            f"Expected the model {way.path} on every worker. {name} has no such file."
        )
    found = fingerprint(way.path)
    if found != way.fingerprint:
        raise ClusterError(
            f"Expected the model {way.path} to be that of the machine that asks, "
            f"{way.fingerprint}. Found: {found} on {name}. Copy the file there."
        )


def fingerprint(model: Path) -> str:
    """What tells a model from others: of its file's SHA-256, 16 digits.

    Those that ship share their weights, so both files tell.
    """
    files = sorted(PRETRAINED.glob("*.h5")) if model.parent == PRETRAINED else [model]
    hashes = "".join(file_hash(file, "sha256") for file in files)
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def color_at(job: Job, way: Way) -> Outcome:
    """Colour one photograph from its place to its target's; a failure is an outcome too."""
    with tempfile.TemporaryDirectory(prefix="koala_face-") as name:
        local = _local_job(job, Path(way.folder), Path(name))
        try:
            if not isinstance(job.source, Path):
                fetch(job.source, local.source)
            outcome = color_file(local, load_colorizer(way), way.quality, way.side_by_side)
            if outcome.error is None and not isinstance(job.target, Path):
                put(local.target, job.target)
        except Exception as error:
            outcome = Outcome(job, describe_failure(job, error), (), {})
    error = outcome.error
    for here, there in zip(local[:2], job[:2], strict=True):
        error = error and error.replace(str(here), str(there))
    return outcome._replace(job=job, error=error)


def _local_job(job: Job, folder: Path, room: Path) -> Job:
    """The same job on files of this machine: what lies at an address is worked on in `room`."""
    source, target = job.source, job.target
    source = folder / source if isinstance(source, Path) else room / f"source{source.suffix}"
    target = folder / target if isinstance(target, Path) else room / f"target{target.suffix}"
    return job._replace(source=source, target=target)
