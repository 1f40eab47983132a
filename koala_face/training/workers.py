"""The processes of a run that several share, as TF_CONFIG names them, and whether each lives."""

import _thread
import contextlib
import json
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from koala_face.foundation.errors import KoalaFaceError

EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# Seconds between two looks, where the workers do not meet, at whether all are there.
LOOK = 10.0


class DistributionError(KoalaFaceError):
    """The replicas cannot share the work, or a worker is gone."""


class Worker(NamedTuple):
    """A process of the run: its job and number in TF_CONFIG, and its host:port."""

    job: str = "worker"
    task: int = 0
    address: str = ""


def read_cluster(text: str | None) -> tuple[tuple[Worker, ...], int]:
    """The processes that TF_CONFIG names, the chief's first, and which of them this one is.

    Raises:
        DistributionError: for text that is not as TensorFlow documents it.
    """
    try:
        found = json.loads(text or "")
        jobs, task = found["cluster"], found["task"]
        if not set(jobs) <= {"chief", "worker"}:
            raise ValueError(f"jobs {', '.join(jobs)}; expected worker, or chief and worker")
        workers = tuple(
            Worker(job, number, address)
            for job in ("chief", "worker")
            for number, address in enumerate(jobs.get(job, ()))
        )
        if not all(worker.address.rpartition(":")[2].isdecimal() for worker in workers):
            raise ValueError("addresses without a port")
        own = (task["type"], int(task["index"]))
        return workers, [worker[:2] for worker in workers].index(own)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DistributionError(
            f"Expected TF_CONFIG of the form {EXAMPLE}, with its own index for each worker. "
            f"Received: {text or 'none'} ({type(error).__name__}: {error}). Set it before the "
            "command, as https://www.tensorflow.org/guide/distributed_training describes."
        ) from error


def expect_all(workers: Sequence[Worker]) -> None:
    """See that each worker listens.

    Raises:
        DistributionError: names the one that does not.
    """
    for worker in workers:
        host, _, port = worker.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), LOOK).close()
        except OSError as error:
            raise lost(workers, worker, error) from error


def lost(workers: Sequence[Worker], worker: Worker, error: Exception) -> DistributionError:
    """The error of a run whose worker is gone."""
    return DistributionError(
        f"Expected all {len(workers)} workers to go on. Found: {worker.address} is gone "
        f"({type(error).__name__}). Its own output says why. Start all of them again with "
        "--resume: the run goes on from its last saved state."
    )


@contextlib.contextmanager
def watched(workers: Sequence[Worker]) -> Iterator[None]:
    """Within the block a thread sees that all of several workers live, and ends it if not.

    Outside the main thread, where no signal can end the block, nobody looks.

    Raises:
        DistributionError: names the worker that is gone.
    """
    if len(workers) < 2 or threading.current_thread() is not threading.main_thread():
        yield
        return
    left, found = threading.Event(), []

    def look() -> None:
        while not left.wait(LOOK):
            try:
                expect_all(workers)
            except DistributionError as error:
                found.append(error)
                _thread.interrupt_main()
                return

    def interrupt(number, frame) -> None:
        if found:
            raise KeyboardInterrupt
        if callable(before):  # not where a shell's job ignores Ctrl-C
            before(number, frame)

    before = signal.signal(signal.SIGINT, interrupt)
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        try:
            yield
        finally:
            left.set()
            looking.join()
    except KeyboardInterrupt:
        if not found:
            raise
        raise found[0] from None
    finally:
        signal.signal(signal.SIGINT, before)
