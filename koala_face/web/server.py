"""The server: a socket, the guard before the answers, and the thread behind them."""

import logging
import socket
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from koala_face.foundation.errors import KoalaFaceError
from koala_face.web.answers import Answers
from koala_face.web.guard import IDLE, WHOLE, Guard
from koala_face.web.store import Store
from koala_face.web.work import Work

CONNECTIONS = 128
# Seconds that the end waits for the photograph in work.
PATIENCE = 60.0


class ListenError(KoalaFaceError):
    """The address cannot be served on."""


class Serving:
    """A server on a socket that listens already; `address` is the page's.

    Args:
        listening: from `listen`.
        folder: private, empty; holds photographs and results.
        storage: bytes that these may take.
        models: model files by the names that the page shows.
        weights: of their descriptor; None looks in the usual places.
        password: asked for, if it is not None.
        idle, whole: seconds, as `guard.read_body` has them.
    """

    def __init__(
        self,
        listening: socket.socket,
        folder: Path,
        storage: int,
        models: dict[str, Path],
        weights: str | None = None,
        password: str | None = None,
        idle: float = IDLE,
        whole: float = WHOLE,
    ):
        host, port = listening.getsockname()[:2]
        everywhere = host in ("0.0.0.0", "::")
        shown = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{port}"
        self._listening = listening
        self.work = Work(partial(_load, models, weights))
        self.store = Store(folder, storage)
        answers = Answers(self.store, self.work, list(models), idle, whole)
        config = uvicorn.Config(
            Guard(answers.application(), host, password),
            http=Prompt,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,  # of broken requests; our own defects the guard tells
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        self.server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until the process is told to end, or `server.should_exit` is set."""
        self.work.start()
        try:
            self.server.run(sockets=[self._listening])
        finally:
            self.work.stop(PATIENCE)


class Prompt(H11Protocol):
    """A connection that ends if its request does not come in time."""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self.loop.call_later(IDLE, self._end_if_silent)

    def _end_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ListenError: the address is in use, or none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(found[4][:2], family=found[0], backlog=CONNECTIONS)
    except OSError as error:
        raise ListenError(
            f"Expected an address that can be served on. {host}:{port}: {error}. Perhaps "
            "koala-face web runs already; --port 0 takes a port that is free."
        ) from error


def _load(models: dict[str, Path], weights: str | None):
    """In the thread, while the page is here already: TensorFlow, and the networks.

    Each operation in one thread, as `colorize` has it: the last bits depend on it.
    """
    from koala_face.colorizer.threads import use_single_threads

    use_single_threads()
    from koala_face.web.coloring import load_colorizers

    return load_colorizers(models, weights)
