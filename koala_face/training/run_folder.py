"""What a training run leaves on disk, and what it needs to go on after a crash.

    settings.json   every setting, the versions and the seed
    history.csv     a row per finished epoch
    model.h5        the last epoch's model
    best.h5         the model with the lowest validation loss
    moving_averages.h5    the last epoch's, with batch norm's moving averages as they were
    loss.png        the loss per epoch (the paper's Figure 2)
    state/          weights, optimizer and position of the last saved step (`--resume`)

Each file is written beside and renamed, so that none is ever half.
"""

import csv
import json
import os
import platform
from pathlib import Path

from koala_face import __version__
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import replacing

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "val_loss",
    "val_loss_untreated",
    "learning_rate",
    "seconds",
)


class RunFolderError(KoalaFaceError):
    """The run's folder cannot be used as asked."""


class RunFolder:
    """The paths of a run, its settings and its history."""

    def __init__(self, path):
        self.path = Path(path)
        self.settings_file = self.path / "settings.json"
        self.history_file = self.path / "history.csv"
        self.model_file = self.path / "model.h5"
        self.best_file = self.path / "best.h5"
        self.moving_averages_file = self.path / "moving_averages.h5"
        self.loss_figure = self.path / "loss.png"
        self.state_folder = self.path / "state"

    def start(self, settings: dict, resume: bool, may_differ=()) -> None:
        """Create the folder and its settings.json, or check that a resumed run is the same.

        Args:
            settings: what decides the run's result, JSON values.
            resume: go on with the run that is there, if one is.
            may_differ: names of settings that a resumed run may change.

        Raises:
            RunFolderError: for a folder that holds a run when `resume` is false, for settings
                other than the run's own when it is true, and for a folder that is not writable.
        """
        if not self.settings_file.exists():
            self._write_settings(settings)
            return
        if not resume:
            raise RunFolderError(
                f"{self.path} already holds a run. Add --resume to go on with it, "
                "or choose another folder with --output."
            )
        before = json.loads(self.settings_file.read_text(encoding="utf-8"))["settings"]
        keys = [key for key in {**before, **settings} if key not in may_differ]
        differing = [key for key in keys if before.get(key) != settings.get(key)]
        if differing:
            lines = [f"  {k}: was {before.get(k)!r}, now {settings.get(k)!r}" for k in differing]
            raise RunFolderError(
                f"Expected the settings with which {self.path} was started. These differ:\n"
                + "\n".join(lines)
                + "\nRepeat the first settings, or choose another folder with --output."
            )
        self._write_settings(settings)

    def history(self) -> list[dict]:
        """The finished epochs: dicts with the columns of history.csv as numbers."""
        if not self.history_file.exists():
            return []
        with open(self.history_file, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [{k: int(v) if k == "epoch" else float(v) for k, v in row.items()} for row in rows]

    def write_history(self, rows: list[dict]) -> None:
        """Replace history.csv."""
        with (
            replacing(self.history_file) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, HISTORY_COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def _write_settings(self, settings: dict) -> None:
        import tensorflow as tf

        from koala_face.foundation.versions import keras_version

        versions = {
            "koala_face": __version__,
            "tensorflow": tf.__version__,
            "keras": keras_version(),
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with replacing(self.settings_file) as temporary:
                text = json.dumps({"settings": settings, "versions": versions}, indent=2)
                temporary.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise RunFolderError(
                f"Expected a folder to write the run into. Received: {self.path} ({error}). "
                "Choose another with --output."
            ) from error
