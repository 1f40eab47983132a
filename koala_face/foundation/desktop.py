"""Hand what was written to the desktop's own program for it."""

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from koala_face.foundation.errors import visible

log = logging.getLogger(__name__)

# Seconds in which a desktop's opener has handed the file on, or said that it cannot.
PATIENCE = 5


def show_results(targets: Sequence[Path]) -> None:
    """Open the result, or the folder of several, by the desktop's own program.

    A line says if that cannot be.
    """
    results = [t for t in targets if isinstance(t, Path) and os.path.isfile(t)]
    if not results:
        return
    path = results[0] if len(results) == 1 else results[0].parent
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        if os.name == "nt":
            os.startfile(path)
            return
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process = subprocess.Popen([opener, os.path.abspath(path)], **nowhere)
        if process.wait(PATIENCE):
            raise OSError(f"{opener} ended with status {process.returncode}")
    except subprocess.TimeoutExpired:
        pass  # it is the viewer itself, and open
    except OSError as error:
        log.warning("%s", visible(f"{path} cannot be shown: {error}."))
