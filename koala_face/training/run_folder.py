"""What a training run leaves on disk, and what it needs to go on after a crash.

    settings.json   every setting, the versions and the seed
    portraits.csv   the portraits that it learns from, with their hashes
    history.csv     a row per finished epoch
    model.h5        the last epoch's model
    best.h5         the model with the lowest validation MSE of ab, whatever the loss
    moving_averages.h5    the last epoch's, with batch norm's moving averages as they were
    loss.png        the loss per epoch (the paper's Figure 2)
    state/          weights, optimizer and position of the last saved steps (`--resume`)

Each file is written beside and renamed, so that none is ever half.
"""

import contextlib
import csv
import io
import json
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from koala_face import __version__
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import locked, replacing

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "val_loss",
    "val_loss_untreated",
    "learning_rate",
    "seconds",
)
# Seconds that a training waits for another one in the same folder, such as one that just ends.
LONGEST_WAIT = 10.0


class RunFolderError(KoalaFaceError):
    """The run's folder cannot be used as asked."""


def list_differences(names: Sequence[str], before: dict, now: dict) -> str:
    """A line for each of the named settings that a run was started with and is asked for now."""
    return "\n".join(f"  {k}: was {before.get(k)!r}, now {now.get(k)!r}" for k in names)


class RunFolder:
    """The paths of a run, its settings and its history."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.settings_file = self.path / "settings.json"
        self.portraits_file = self.path / "portraits.csv"
        self.history_file = self.path / "history.csv"
        self.model_file = self.path / "model.h5"
        self.best_file = self.path / "best.h5"
        self.moving_averages_file = self.path / "moving_averages.h5"
        self.loss_figure = self.path / "loss.png"
        self.state_folder = self.path / "state"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and hold it: one training at a time, another one waits a little.

        Raises:
            LockError: names the process that holds it, when `LONGEST_WAIT` is over.
            RunFolderError: for a folder that cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self.path / "training", LONGEST_WAIT))
            except OSError as error:
                raise RunFolderError(
                    f"Expected a folder to write the run into. Received: {self.path} ({error}). "
                    "Choose another with --output."
                ) from error
            yield

    def check(self, settings: dict, resume: bool, may_differ: Sequence[str] = ()) -> None:
        """See that the folder is free for a run, or holds the one to go on with. Writes nothing.

        Args:
            settings: what decides the run's result, JSON values.
            resume: go on with the run that is there, if one is.
            may_differ: names of settings that a resumed run may change.

        Raises:
            RunFolderError: for a folder that holds a run when `resume` is false; when it is true,
                for other settings than the run's own and for files that cannot be read.
        """
        found = self._found()
        if not found:
            return
        if not resume:
            raise RunFolderError(
                f"{self.path} already holds a run. Add --resume to go on with it, "
                "or choose another folder with --output."
            )
        self.history()
        before = self.settings()
        keys = [key for key in {**before, **settings} if key not in may_differ]
        differing = [key for key in keys if before.get(key) != settings.get(key)]
        if differing:
            raise RunFolderError(
                f"Expected the settings with which {self.path} was started. These differ:\n"
                f"{list_differences(differing, before, settings)}\n"
                "Repeat the first settings, or choose another folder with --output."
            )

    def settings(self) -> dict:
        """The settings of the run that is there.

        Raises:
            RunFolderError: if settings.json is missing, cut or of another kind.
        """
        try:
            settings = json.loads(self.settings_file.read_text(encoding="utf-8"))["settings"]
            if not isinstance(settings, dict):
                raise TypeError(f"settings of type {type(settings).__name__}")
            return settings
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(self.settings_file, "a run's settings", error) from error

    def write_settings(self, settings: dict) -> None:
        """Replace settings.json: the settings, and the versions and the machine of now."""
        import tensorflow as tf

        from koala_face.foundation.versions import keras_version

        versions = {
            "koala_face": __version__,
            "tensorflow": tf.__version__,
            "keras": keras_version(),
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
        text = json.dumps({"settings": settings, "versions": versions}, indent=2)
        with replacing(self.settings_file) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def history(self) -> list[dict]:
        """The finished epochs: dicts with the columns of history.csv as numbers.

        Raises:
            RunFolderError: if history.csv is cut or of another kind.
        """
        if not self.history_file.exists():
            return []
        try:
            text = self.history_file.read_text(encoding="utf-8")
            header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
            if tuple(header) != HISTORY_COLUMNS:
                raise ValueError(f"the columns {header}")
            history = [
                dict(zip(header, [int(epoch), *map(float, values)], strict=True))
                for epoch, *values in rows
            ]
            if [row["epoch"] for row in history] != list(range(1, len(history) + 1)):
                raise ValueError("epochs that do not count from 1")
            return history
        except (OSError, ValueError, csv.Error) as error:
            raise self._damaged(self.history_file, "a row per epoch", error) from error

    def write_history(self, rows: Sequence[dict]) -> None:
        """Replace history.csv."""
        with (
            replacing(self.history_file) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, HISTORY_COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def describe_usable(self) -> str:
        """What of the folder can still be used, in a sentence."""
        models = [file for file in (self.model_file, self.best_file) if file.exists()]
        if not models:
            return "Choose another folder with --output."
        return (
            f"{' and '.join(map(str, models))} can still be used, by colorize and evaluate, or "
            "with --start-from and another --output."
        )

    def _found(self) -> list[Path]:
        """The files of a run that are there."""
        kept = (self.settings_file, self.history_file, self.model_file, self.best_file)
        return [file for file in (*kept, self.state_folder) if file.exists()]

    def _damaged(self, file: Path, expected: str, error: Exception) -> RunFolderError:
        return RunFolderError(
            f"Expected {expected} in {file}. Found: {type(error).__name__}: {error}. "
            f"Put back a copy of that file to go on. {self.describe_usable()}"
        )
