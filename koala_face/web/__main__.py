"""`python -m koala_face.web`: a page on this machine to colour photographs."""

import contextlib
import dataclasses
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from koala_face.colorizer.checks import check_model
from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.shipped import VARIANTS, shipped_model

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.web")

GIGABYTE = 10**9
SHORTEST_PASSWORD = 8
# Where the password may stand too: on a command line every user of a machine can read it.
PASSWORD = "KOALA_FACE_PASSWORD"

# Signals that end the program, besides Ctrl-C: a service's end, and a terminal that is closed.
ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class WebError(KoalaFaceError):
    """The page cannot be served: a missing package, an address in use, or no password."""


@dataclasses.dataclass(frozen=True)
class WebConfig:
    """Serve a page on this machine to colour photographs, and open it in the browser.

    Nothing leaves the machine, and nothing is asked from elsewhere. Photographs and results lie
    in a private temporary folder, which goes when the program ends (Ctrl-C).
    """

    host: str = setting("127.0.0.1", "address to serve on; one that others reach needs a password")
    port: int = setting(8421, "port to serve on; 0 takes one that is free")
    browser: bool = setting(True, "open the page in the browser")
    storage: float = setting(4.0, "gigabytes that photographs and results may take together")
    model: str | None = setting(None, "model file (default: both that ship)")
    weights: str | None = setting(None, "weights file of the model's descriptor")
    password: str | None = setting(
        None, f"asked for by the page, with any name; {PASSWORD} in the environment says it too"
    )


def serve(config: WebConfig) -> None:
    """Serve until Ctrl-C or SIGTERM; prints the page's address.

    Raises:
        WebError: a missing package, an address that cannot be had, or no password where others
            can reach it.
        ColorizerError, BackboneError, WeightsError: a model that is missing, or its descriptor.
    """
    models = choose_models(config)
    if not 0 < config.storage < float("inf"):
        raise WebError(f"Expected a storage of more than 0 GB. Received: {config.storage}.")
    if not 0 <= config.port < 2**16:
        raise WebError(f"Expected a port of 0 to {2**16 - 1}. Received: {config.port}.")
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        missing = f"Expected the package {error.name}. Install it: pip install '.[web]'"
        raise WebError(missing) from error
    # After the checks: these load the packages.
    from koala_face.web.guard import is_loopback
    from koala_face.web.server import Serving, listen

    password = config.password or os.environ.get(PASSWORD)
    check_password(password, is_loopback(config.host), config.host)
    with listen(config.host, config.port) as socket, private_folder() as folder:
        storage = int(config.storage * GIGABYTE)
        serving = Serving(socket, folder, storage, models, config.weights, password)
        print(serving.address, flush=True)
        log.info("Ctrl-C ends it. Photographs lie in %s until then.", folder)
        if not is_loopback(config.host):
            log.warning("Others can reach it, and nothing is encrypted on the way.")
        if config.browser:
            threading.Thread(target=webbrowser.open, args=(serving.address,), daemon=True).start()
        serving.run()


def choose_models(config: WebConfig) -> dict[str, Path]:
    """The model files by the names that the page shows, looked at without TensorFlow."""
    if config.model is not None:
        models = {"model": Path(config.model)}
    else:
        models = {variant: shipped_model(variant) for variant in VARIANTS}
    for model in models.values():
        check_model(model, config.weights)
    return models


def check_password(password: str | None, is_local: bool, host: str) -> None:
    """Refuse to serve others without a password, or with one that is soon guessed.

    Raises:
        WebError: says how to give one.
    """
    if password is None and not is_local:
        raise WebError(
            f"Expected a password, for others can reach {host}. Give it in the environment: "
            f"{PASSWORD}=... or with --password, or leave --host out."
        )
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise WebError(f"Expected a password of {SHORTEST_PASSWORD} characters or more.")


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that this user alone can read; it goes after the block, whatever signal ends it."""
    before = {number: signal.signal(number, _end) for number in ENDS}
    folder = Path(tempfile.mkdtemp(prefix="koala_face-web-"))  # made with the mode 0700
    try:
        yield folder
    finally:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)  # as shells report it; the blocks that are open end


def main(argv=None) -> int:
    serve(parse_config(WebConfig, argv, "web"))
    return 0


if __name__ == "__main__":
    run(main)
