"""The files of a run: settings, history, and that none is ever half."""

import json

import pytest

from koala_face.foundation.files import replacing
from koala_face.training.run_folder import HISTORY_COLUMNS, RunFolder, RunFolderError

ROW = {
    "epoch": 1,
    "loss": 0.25,
    "val_loss": 0.5,
    "val_loss_untreated": 0.75,
    "learning_rate": 0.001,
    "seconds": 12.5,
}


def test_settings_hold_versions_and_settings(tmp_path):
    RunFolder(tmp_path / "a" / "run").start({"seed": 3, "size": 256}, resume=False)
    written = json.loads((tmp_path / "a" / "run" / "settings.json").read_text())
    assert written["settings"] == {"seed": 3, "size": 256}
    assert {"koala_face", "tensorflow", "keras", "python", "machine"} <= set(written["versions"])


def test_a_run_is_never_overwritten(tmp_path):
    RunFolder(tmp_path).start({"seed": 3}, resume=False)
    with pytest.raises(RunFolderError, match="already holds a run.*--resume"):
        RunFolder(tmp_path).start({"seed": 3}, resume=False)


def test_resume_names_the_settings_that_differ(tmp_path):
    RunFolder(tmp_path).start({"seed": 3, "size": 256, "device": "cpu"}, resume=True)
    with pytest.raises(RunFolderError, match="seed: was 3, now 4") as error:
        RunFolder(tmp_path).start(
            {"seed": 4, "size": 256, "device": "gpu"}, resume=True, may_differ=("device",)
        )
    assert "size" not in str(error.value)
    assert "device" not in str(error.value)


def test_resume_with_the_same_settings_is_fine(tmp_path):
    for _ in range(2):
        RunFolder(tmp_path).start({"seed": 3, "layer": None}, resume=True)


def test_a_file_in_the_folders_place_is_an_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match=r"Expected a folder.*run"):
        RunFolder(tmp_path / "run").start({}, resume=False)


def test_history_round_trip(tmp_path):
    run = RunFolder(tmp_path)
    assert run.history() == []
    run.write_history([ROW, {**ROW, "epoch": 2}])
    assert run.history() == [ROW, {**ROW, "epoch": 2}]
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == ",".join(HISTORY_COLUMNS)


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    file = tmp_path / "model.h5"
    file.write_text("old")
    with pytest.raises(OSError, match="disk"), replacing(file) as temporary:
        temporary.write_text("ne")
        raise OSError("disk full")
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]
    assert file.read_text() == "old"
    with replacing(file) as temporary:
        temporary.write_text("new")
    assert file.read_text() == "new"
