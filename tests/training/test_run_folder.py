"""The files of a run: settings, history, and that none is ever half."""

import json
import subprocess
import sys

import pytest

from koala_face.foundation.files import LockError, replacing
from koala_face.training import run_folder
from koala_face.training.run_folder import HISTORY_COLUMNS, RunFolder, RunFolderError

ROW = {
    "epoch": 1,
    "loss": 0.25,
    "val_loss": 0.5,
    "val_loss_untreated": 0.75,
    "learning_rate": 0.001,
    "seconds": 12.5,
}


# What stands in a file that was cut, is empty, or is of another kind.
DAMAGED = (b"", b'{"settings": {"seed": 3', b"\x89HDF\r\n\x1a\n\x00\xff", b"[]", b'{"settings": 3}')


def start(path, settings, resume, may_differ=()):
    """As the command does, without the training."""
    run = RunFolder(path)
    with run.held():
        run.check(settings, resume, may_differ)
        run.write_settings(settings)


def test_settings_hold_versions_and_settings(tmp_path):
    start(tmp_path / "a" / "run", {"seed": 3, "size": 256}, resume=False)
    written = json.loads((tmp_path / "a" / "run" / "settings.json").read_text())
    assert written["settings"] == {"seed": 3, "size": 256}
    assert {"koala_face", "tensorflow", "keras", "python", "machine"} <= set(written["versions"])


def test_a_run_is_never_overwritten(tmp_path):
    start(tmp_path, {"seed": 3}, resume=False)
    with pytest.raises(RunFolderError, match="already holds a run.*--resume"):
        start(tmp_path, {"seed": 3}, resume=False)


def test_resume_names_the_settings_that_differ(tmp_path):
    start(tmp_path, {"seed": 3, "size": 256, "device": "cpu"}, resume=True)
    with pytest.raises(RunFolderError, match="seed: was 3, now 4") as error:
        start(
            tmp_path, {"seed": 4, "size": 256, "device": "gpu"}, resume=True, may_differ=("device",)
        )
    assert "size" not in str(error.value)
    assert "device" not in str(error.value)


def test_resume_with_the_same_settings_is_fine(tmp_path):
    for _ in range(2):
        start(tmp_path, {"seed": 3, "layer": None}, resume=True)


HOLD = """
import sys, time
from koala_face.training.run_folder import RunFolder

with RunFolder(sys.argv[1]).held():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_training_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "LONGEST_WAIT", 0.2)
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(LockError, match=f"process {other.pid}"):
                start(tmp_path, {}, resume=True)
        finally:
            other.kill()
    start(tmp_path, {}, resume=True)  # the dead hold nothing


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_settings_are_named_and_so_is_what_can_be_used(tmp_path, content):
    start(tmp_path, {"seed": 3}, resume=False)
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"settings\.json.*another folder"):
        start(tmp_path, {"seed": 3}, resume=True)
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(RunFolderError, match=r"model\.h5 can still be used"):
        start(tmp_path, {"seed": 3}, resume=True)


@pytest.mark.parametrize("content", [*DAMAGED, b"epoch,loss\n1,0.5\n", "{columns}\n2,1,1,1,1,1\n"])
def test_a_damaged_history_is_named_before_anything_is_read(tmp_path, content):
    start(tmp_path, {"seed": 3}, resume=False)
    if isinstance(content, str):
        content = content.format(columns=",".join(HISTORY_COLUMNS)).encode()
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"history\.csv.*another folder"):
        start(tmp_path, {"seed": 3}, resume=True)


@pytest.mark.parametrize("name", ["model.h5", "history.csv", "state"])
def test_a_run_without_settings_is_neither_begun_anew_nor_gone_on_with(tmp_path, name):
    (tmp_path / name).mkdir() if name == "state" else RunFolder(tmp_path).write_history([])
    (tmp_path / "history.csv").replace(tmp_path / name) if name == "model.h5" else None
    for resume, message in ((False, "already holds a run"), (True, r"settings\.json")):
        with pytest.raises(RunFolderError, match=message):
            start(tmp_path, {"seed": 3}, resume)


def test_a_file_in_the_folders_place_is_an_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match=r"Expected a folder.*run"):
        start(tmp_path / "run", {}, resume=False)


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
