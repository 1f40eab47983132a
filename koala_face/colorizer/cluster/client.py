"""Give photographs to Dask's workers, and bring every one to an end whatever ends before it.

Dask keeps the workers alive, hands a lost worker's photographs to others, and says when it gives
one up. Here stands what it cannot know: that a photograph whose worker died gets a second try
with the cluster to itself, so that one that takes its worker down takes no other with it.
"""

import contextlib
import gc
import logging
import os
import queue
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError

import dask
from distributed import Client, Future, KilledWorker, LocalCluster

from koala_face.colorizer.cluster.worker import (
    ClusterError,
    ColoringPlugin,
    Way,
    color_at,
)
from koala_face.colorizer.files import Outcome, describe_failure
from koala_face.colorizer.jobs import Job
from koala_face.colorizer.threads import count_cores

log = logging.getLogger(__name__)

# Photographs a worker's thread has before it, so that it need not wait for the next one.
AHEAD = 2
# Seconds without a result after which to look whether anybody works at all.
PATIENCE = 20
# Seconds between two looks at how many workers there are.
RECOUNT_SECONDS = 2
CONNECT_SECONDS = 20


def color_archive(
    jobs: list[Job], way: Way, address: str | None = None, workers: int = 0
) -> Iterator[Outcome]:
    """Colour each job's photograph by the workers that `connect` gives; see `color_jobs`."""
    with connect(address, workers) as client:
        yield from color_jobs(client, jobs, way)


@contextlib.contextmanager
def connect(address: str | None, workers: int) -> Iterator[Client]:
    """A client of the scheduler at `address`, or of workers that are started here and stopped.

    Args:
        address: such as tcp://10.0.0.1:8786, or a file that the scheduler wrote
            (`dask scheduler --scheduler-file`).
        workers: without an address: processes of this machine that share its cores and memory;
            0 for threads of this process.

    Raises:
        ClusterError: no scheduler answers, or the workers cannot be started.
    """
    if address:
        way = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
        client, reason = None, ""
        try:
            client = Client(**way, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TypeError) as error:
            reason = str(error)
        if client is None:
            # Dask closes the half-made client once it is garbage: now, since in the midst of the
            # next one's start it would wait for itself for ever.
            gc.collect()
            raise ClusterError(
                f"Expected a Dask scheduler at {address}. None answered ({reason}). "
                "Start one: dask scheduler"
            )
        with client:
            log.info("Scheduler %s, its page %s", client.scheduler.address, client.dashboard_link)
            yield client
        return
    threads = max(1, count_cores() // max(1, workers))
    size = {"n_workers": workers or 1, "threads_per_worker": threads, "processes": workers > 0}
    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    # The second try is given below, alone; see `color_jobs`.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(**size, **quiet) as cluster,
        Client(cluster) as client,
    ):
        yield client


def color_jobs(client: Client, jobs: list[Job], way: Way) -> Iterator[Outcome]:
    """Colour each job's photograph on the cluster.

    Yields:
        Outcomes as photographs are written, in any order; one for each job.

    Raises:
        ClusterError: a worker unlike this machine, or the scheduler is gone. What was yielded is
            written; the command may be given again.
        KoalaFaceError: no worker can load the model.
    """
    scheduler = client.scheduler.address
    try:
        make_workers_ready(client, way)
        lost = []
        for job, outcome in _color(client, jobs, way):
            if outcome is None:
                lost.append(job)
            else:
                yield outcome
        reason = "its workers died, the second with nothing else to do: too little memory?"
        for job in lost:
            log.info("%s: its worker died; tried again, alone", job.source)
            for _, outcome in _color(client, [job], way):
                yield outcome or Outcome(job, f"{job.source}: {reason}", (), {})
    except (OSError, CancelledError) as error:  # what Dask raises without its scheduler
        raise ClusterError(
            f"The scheduler {scheduler} is gone. What is coloured stays; give the command again, "
            "and what is missing is done."
        ) from error


def make_workers_ready(client: Client, way: Way) -> None:
    """Load the model in every worker, present and to come.

    Raises:
        ClusterError, KoalaFaceError: the first worker's that cannot.
    """
    try:
        client.register_plugin(ColoringPlugin(way))
    except ImportError as error:
        raise ClusterError(
            f"Expected koala_face {way.version} on every worker. One says: {error}."
        ) from error


def _color(client: Client, jobs: list[Job], way: Way) -> Iterator[tuple[Job, Outcome | None]]:
    """Keep every thread of every worker busy; a job whose worker died has no outcome."""
    waiting, flying = deque(jobs), {}
    ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
    threads, counted = 0, float("-inf")
    while waiting or flying:
        if time.monotonic() - counted > RECOUNT_SECONDS:
            threads, counted = count_threads(client), time.monotonic()
        room = AHEAD * max(1, threads) - len(flying)
        for _ in range(min(room, len(waiting))):
            job = waiting.popleft()
            future = client.submit(color_at, job, way, pure=False)
            flying[future.key] = job
            future.add_done_callback(ended.put)
        try:
            future = ended.get(timeout=PATIENCE)
        except queue.Empty:
            look_for_workers(client)
            continue
        job = flying.pop(future.key)
        if future.status == "finished":
            yield job, future.result()
        elif future.status in ("cancelled", "lost"):
            raise CancelledError(future.key)
        elif isinstance(error := future.exception(), KilledWorker):
            yield job, None
        else:
            yield job, Outcome(job, describe_failure(job, error), (), {})


def count_threads(client: Client) -> int:
    """Threads of all workers, as far as this client has heard."""
    return sum(one["nthreads"] for one in client.scheduler_info(n_workers=-1)["workers"].values())


def look_for_workers(client: Client) -> None:
    """Say so where nobody works.

    Raises:
        OSError: the scheduler does not answer.
    """
    if client.status != "running":
        raise ConnectionError(client.status)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        log.warning("No worker is there; the work goes on when one comes.")
    elif all(worker["status"] == "paused" for worker in workers):
        log.warning("All workers pause: more than 80 %% of their memory is taken. Give them more.")
