"""The page's server in a thread of this process, with models whose colours are known."""

import contextlib
import threading
import time
from pathlib import Path

import pytest

# Seconds until something that must happen has happened, on a machine that is busy.
DEADLINE = 60.0


def wait_for(condition, what="what was waited for"):
    """What `condition` gives as soon as that is true."""
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come in {DEADLINE:g} s"
        time.sleep(0.02)
    return value


@contextlib.contextmanager
def serving(folder: Path, models: dict[str, Path], storage=10**8, **options):
    """A server that runs; `folder` is made."""
    pytest.importorskip("starlette", reason="the page needs pip install '.[web]'")
    pytest.importorskip("uvicorn", reason="the page needs pip install '.[web]'")
    from koala_face.web.server import Serving, listen

    folder.mkdir(mode=0o700)
    with listen("127.0.0.1", 0) as listening:
        server = Serving(listening, folder, storage, models, **options)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_for(lambda: server.server.started, "the server")
            yield server
        finally:
            server.server.should_exit = True
            thread.join()
