"""What the reports of `evaluate` and `compare` have in common: Figure 2, and where numbers are
from."""

import logging
import os
import platform
from datetime import date
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from koala_face import __version__
from koala_face.data.portraits import Portraits
from koala_face.figures import paper
from koala_face.figures.report import Part, code, figure, plain
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training.recipe import LOSSES
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


class Run(NamedTuple):
    """The training run in whose folder a model lies: its epochs, and what it made small."""

    history: list[dict]
    loss: str


def read_run(model_file: Path) -> Run:
    """The model's run; one without epochs if there is none.

    A history.csv or settings.json of another program, or a broken one, costs Figure 2 alone: it
    is warned of.
    """
    run = RunFolder(model_file.parent)
    try:
        loss = run.settings().get("loss") if run.settings_file.exists() else None
        return Run(run.history(), loss if loss in LOSSES else LOSSES[0])
    except KoalaFaceError as error:
        log.warning("The report has no Figure 2. %s", error)
        return Run([], LOSSES[0])


def loss_section(
    folder: Path, run: Run, name: str = "figure2.png", of: str = ""
) -> list[str | Part]:
    """Draw Figure 2, if there is a history; `of` names the model where there are several."""
    if not run.history:
        return []
    paper.draw_loss(run.history, folder / name, run.loss)
    with_model, last = (of and f" with {of}", run.history[-1]["loss"])
    alt = f"Loss of {len(run.history)} epochs{with_model}, the last {last:.4f}"
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
