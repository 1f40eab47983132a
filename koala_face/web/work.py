"""One thread for the networks and for all that holds a whole photograph in memory."""

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

# A result that someone waits for comes before the photographs that arrive.
END, RESULT, ARRIVAL = 0, 1, 2


class Work:
    """A queue whose jobs run one after the other, each with what `load` gave.

    An error of `load` is every job's error.
    """

    def __init__(self, load: Callable[[], Any]):
        self.loaded: Future = Future()
        self._load, self._jobs = load, queue.PriorityQueue()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="koala_face-work", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, rank: int, job: Callable[[Any], Any]) -> Future:
        """Have `job(loaded)` run, after what has a lower rank or came before; gives its future."""
        future = Future()
        self._jobs.put((rank, next(self._numbers), future, job))
        return future

    def stop(self, patience: float) -> None:
        """End after the job that runs, and wait so many seconds for that; the others never run."""
        self.submit(END, lambda loaded: None)
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        _settle(self.loaded, self._load)
        while True:
            rank, _, future, job = self._jobs.get()
            if rank == END:
                break
            if future.set_running_or_notify_cancel():
                _settle(future, lambda job=job: job(self.loaded.result()))
        while not self._jobs.empty():
            self._jobs.get()[2].cancel()


def _settle(future: Future, job: Callable[[], Any]) -> None:
    try:
        future.set_result(job())
    except Exception as error:  # whoever waits for the future gets it
        future.set_exception(error)
