"""Dask's own scheduler and workers, as a cluster's owner starts them: real processes, to kill."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Processes:
    """What was started, in order; all of it is dead in the end."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.scheduler_file = self.folder / "scheduler.json"
        self.scheduler = None
        self.workers = []

    def start_scheduler(self):
        words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler_file.unlink(missing_ok=True)
        self.scheduler = self._start(words, "scheduler")
        wait_for(self.scheduler_file.is_file, self.scheduler)

    def start_worker(self, *words, memory="4GB"):
        words = ("worker", "--nthreads", "1", "--memory-limit", memory, "--no-dashboard", *words)
        worker = self._start(words, f"worker{len(self.workers)}")
        self.workers.append(worker)
        return worker

    def _start(self, words, name):
        # No second try by Dask itself: `client.color_jobs` gives it, alone.
        environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        with open(self.folder / f"{name}.log", "w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words, "--scheduler-file", self.scheduler_file],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )

    def colorize(self, *words):
        """The command, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "koala_face.colorize", *words, "--cluster", self.scheduler_file],
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )

    def stop(self):
        for process in (self.scheduler, *self.workers):
            if process is not None:
                kill(process)


def kill(process):
    """kill -9: the process and, of a worker, the nanny that would start it again."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition, process, seconds=120):
    """Wait until something is so; a process that ends before is an error."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
