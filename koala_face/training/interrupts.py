"""Stop between two steps, never inside one."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def deferred_interrupt():
    """Within the block, Ctrl-C and SIGTERM only set a flag; a second one acts at once.

    Yields a function that raises KeyboardInterrupt if the flag is set: call it where stopping
    is safe. Outside the main thread, where signals cannot be handled, it never raises.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def ask(number, frame):
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def stop_if_asked():
        if asked.is_set():
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop_if_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
