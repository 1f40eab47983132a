"""What the reports of `evaluate` and `compare` have in common: Figure 2, and where numbers are
from."""

import csv
import logging
import math
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import tensorflow as tf

from koala_face import __version__
from koala_face.data.portraits import Portraits
from koala_face.figures import paper
from koala_face.figures.report import Part, code, figure, plain
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training.run_folder import RunFolder

log = logging.getLogger(__name__)

INTERVALS_NOTE = (
    "In brackets: 95 % bootstrap intervals over portraits ({bootstrap}). They say how far "
    "another choice of portraits might move a number, not what another training might."
)

RULE = (
    "The portraits are chosen by rule: the first by path; the best, median and worst by MSE. "
    "They are squares because the paper resizes them whole."
)


def read_history(model_file: Path) -> list[dict]:
    """The epochs of the run in whose folder the model lies; none if there is no such run.

    A history.csv of another program, or a broken one, costs Figure 2 alone: it is warned of.
    """
    run = RunFolder(model_file.parent)
    try:
        history = run.history()
        losses = [float(row["loss"]) + int(row["epoch"]) for row in history]
        if not all(map(math.isfinite, losses)):
            raise ValueError("a loss is not finite")
    except (KoalaFaceError, OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        log.warning(
            "%s is no history of a training run (%s: %s). The report has no Figure 2.",
            *(run.history_file, type(error).__name__, error),
        )
        return []
    return history


def loss_section(
    folder: Path, history: Sequence[dict], name: str = "figure2.png", of: str = ""
) -> list[str | Part]:
    """Draw Figure 2, if there is a history; `of` names the model where there are several."""
    if not history:
        return []
    paper.draw_loss(history, folder / name)
    alt = f"Loss of {len(history)} epochs{of and f' with {of}'}, the last {history[-1]['loss']:.4f}"
    title = f"**Figure 2{of and f', {plain(of)}'}.** The loss of each epoch."
    return [figure(folder, name, alt), title]


def shown_portraits(portraits: Portraits, chosen: dict[int, str]) -> str:
    """Which portraits a figure shows, by which rule."""
    return "; ".join(f"{name}: {code(portraits.paths[row])}" for row, name in chosen.items())


def circumstances(portraits: Portraits) -> list[str]:
    """List items: date, versions and machine, and each photograph that was left out."""
    machine = (
        f"- {date.today().isoformat()}, koala_face {__version__}, TensorFlow {tf.__version__}, "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )
    unreadable = portraits.unreadable.items()
    return [machine, *(f"- left out: {code(path)}, {plain(why)}" for path, why in unreadable)]
