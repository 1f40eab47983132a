"""Standard output and error: closed, full or cut, and free of TensorFlow's lines.

TensorFlow's compiled code writes five to seven lines to file descriptor 2 as it is loaded, past
Python's `sys.stderr` and whatever its log level; the last one is a CUDA error on every machine
without a card. A command therefore moves its own messages to a descriptor of their own.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

# TensorFlow's own variable: who sets it so low wants to see those lines.
LOG_LEVEL, TALKATIVE = "TF_CPP_MIN_LOG_LEVEL", ("0", "1")


class Unfailing:
    """A text stream for messages: where nobody can read them any more, the work goes on."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Open what was closed, and let a message that cannot be written end nothing.

    Without a descriptor 2 the next file opened would get it, and with it all that compiled code
    has to say. Only messages may be lost: a result for a closed standard output is an error.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = Unfailing(_own_stderr())


def _own_stderr() -> TextIO:
    """`sys.stderr` on a descriptor of its own; what else goes to descriptor 2 is dropped."""
    stream = sys.stderr
    if stream is None:
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if os.environ.get(LOG_LEVEL) in TALKATIVE or not _is_descriptor_two(stream):
        return stream
    own = os.fdopen(os.dup(2), "w", 1, stream.encoding, "backslashreplace")
    _drop(2)
    return own


def _is_descriptor_two(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, AttributeError):  # a notebook's, or a test's
        return False


def _drop(descriptor: int) -> None:
    """What is written there from now on is lost."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what compiled code writes to standard error, past Python's own `sys.stderr`."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        _drop(2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def finish_output() -> bool:
    """Write what standard output still holds; False if its reader is gone or its disk full."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What it holds would fail again, with a traceback, as the process ends.
        _drop(sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # not a reader who has seen enough
            print(f"error: {error.strerror}", file=sys.stderr)
        return False
    return True
