"""Only what is missing is computed, and nothing that was computed is ever lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from koala_face.data.row_file import RowKind, open_rows
from koala_face.data.row_filling import fill_rows, hash_photographs, report_unreadable
from koala_face.foundation.files import locked
from koala_face.photographs.reading import PhotographError, read_rgb

# Each row is its photograph's mean color.
KIND = RowKind("means", (3,), "float32", {"statistic": "mean"})


def write_photograph(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (level, level + 1, level + 2)).save(path)


def color(level: int) -> list[int]:
    return [level, level + 1, level + 2]


@pytest.fixture
def folder(tmp_path):
    """Three photographs of the levels 10, 20 and 30."""
    for level, name in ((10, "a.png"), (20, "b/a.png"), (30, "b/ü.png")):
        write_photograph(tmp_path / "photographs" / name, level)
    return tmp_path / "photographs"


class Filler:
    """Fills the file and counts what it had to do for it."""

    def __init__(self, path):
        self.path = path
        self.decoded, self.batches = [], []

    def decode(self, path):
        self.decoded.append(path.name)
        return read_rgb(path)

    def compute(self, photographs):
        self.batches.append(len(photographs))
        return photographs.mean(axis=(1, 2))

    def fill(self, folder, strict=False):
        self.decoded, self.batches = [], []
        rows, photographs = fill_rows(
            self.path, KIND, hash_photographs(folder), self.decode, self.compute, 2, strict
        )
        names = [key.path for key in photographs.keys]
        found = dict(zip(names, rows.read(rows.find(photographs.keys)).tolist(), strict=True))
        return found, photographs


@pytest.fixture
def filler(tmp_path):
    return Filler(tmp_path / "cache" / "means.h5")


def test_computes_every_photograph_once(folder, filler):
    expected = {"a.png": color(10), "b/a.png": color(20), "b/ü.png": color(30)}
    assert filler.fill(folder)[0] == expected
    assert filler.batches == [2, 1]
    assert filler.fill(folder)[0] == expected
    assert filler.decoded == []
    assert sorted(file.name for file in filler.path.parent.iterdir()) == [
        "means.h5",
        "means.h5.lock",
    ]


def test_an_added_photograph_is_added(folder, filler):
    filler.fill(folder)
    write_photograph(folder / "aa.png", 40)
    found, _ = filler.fill(folder)
    assert filler.decoded == ["aa.png"]
    assert list(found) == ["a.png", "aa.png", "b/a.png", "b/ü.png"]
    assert found["aa.png"] == color(40)
    assert found["b/a.png"] == color(20)


def test_a_changed_photograph_is_computed_again(folder, filler):
    filler.fill(folder)
    write_photograph(folder / "b/a.png", 50)
    found, _ = filler.fill(folder)
    assert filler.decoded == ["a.png"]
    assert found == {"a.png": color(10), "b/a.png": color(50), "b/ü.png": color(30)}


def test_an_open_file_does_not_see_a_change(folder, filler):
    filler.fill(folder)
    rows = open_rows(filler.path, KIND)
    keys = hash_photographs(folder).keys
    write_photograph(folder / "b/a.png", 50)
    filler.fill(folder)
    assert rows.read(rows.find(keys))[1].tolist() == color(20)


def test_a_photograph_that_comes_back_is_still_there(folder, filler):
    filler.fill(folder)
    away = folder.parent / "away.png"
    (folder / "a.png").rename(away)
    write_photograph(folder / "new.png", 60)
    assert list(filler.fill(folder)[0]) == ["b/a.png", "b/ü.png", "new.png"]
    away.rename(folder / "a.png")
    assert filler.fill(folder)[0]["a.png"] == color(10)
    assert filler.decoded == []


def test_all_unreadable_photographs_are_named_and_left_out(folder, filler, caplog):
    (folder / "b" / "text.jpg").write_text("no photograph")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:40])
    found, photographs = filler.fill(folder)
    assert list(found) == ["a.png", "b/a.png", "b/ü.png"]
    assert sorted(photographs.unreadable) == ["b/text.jpg", "cut.png"]
    report_unreadable(photographs)
    assert f"2 of 5 photographs in {folder} cannot be read." in caplog.text
    assert "b/text.jpg" in caplog.text
    assert "cut.png" in caplog.text
    # They are tried again, and found again: a repaired one would enter.
    assert sorted(filler.fill(folder)[1].unreadable) == ["b/text.jpg", "cut.png"]
    assert sorted(filler.decoded) == ["cut.png", "text.jpg"]
    write_photograph(folder / "cut.png", 70)
    assert filler.fill(folder)[0]["cut.png"] == color(70)


def test_strict_stops_before_the_first_row_and_names_all(folder, filler):
    (folder / "b" / "text.jpg").write_text("no photograph")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:40])
    with pytest.raises(PhotographError) as raised:
        filler.fill(folder, strict=True)
    assert "2 of 5" in str(raised.value)
    assert "b/text.jpg" in str(raised.value)
    assert "cut.png" in str(raised.value)
    assert filler.batches == []


def test_strict_still_stops_when_the_others_are_there(folder, filler):
    (folder / "cut.png").write_bytes(b"")
    filler.fill(folder)
    with pytest.raises(PhotographError, match="1 of 4"):
        filler.fill(folder, strict=True)


def test_no_readable_photograph_is_an_error(tmp_path, filler):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "text.jpg").write_text("no photograph")
    with pytest.raises(PhotographError, match=r"1 of 1 photographs"):
        filler.fill(tmp_path / "photographs")


def test_a_missing_and_an_empty_folder_are_errors(tmp_path):
    with pytest.raises(PhotographError, match="nowhere"):
        hash_photographs(tmp_path / "nowhere")
    with pytest.raises(PhotographError, match=str(tmp_path)):
        hash_photographs(tmp_path)


def test_a_failure_keeps_the_batches_before(folder, filler, monkeypatch):
    def fail_at_the_second(photographs):
        if len(photographs) == 1:
            raise RuntimeError("out of memory")
        return photographs.mean(axis=(1, 2))

    with monkeypatch.context() as patch:
        patch.setattr(filler, "compute", fail_at_the_second)
        with pytest.raises(RuntimeError, match="out of memory"):
            filler.fill(folder)
    found, _ = filler.fill(folder)
    assert filler.decoded == ["ü.png"]
    assert found == {"a.png": color(10), "b/a.png": color(20), "b/ü.png": color(30)}


def test_no_progress_bar_in_a_log_file(folder, filler, capfd):
    filler.fill(folder)
    assert capfd.readouterr().err == ""


def test_rows_that_another_process_finished_meanwhile_are_believed(folder, filler):
    """Two start at once: the second looks at the file again when it gets hold of it."""
    first, second = filler, Filler(filler.path)
    photographs = hash_photographs(folder)

    def lock_after_the_first(path, wait):
        patch.undo()
        first.fill(folder)
        return locked(path, wait)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("koala_face.data.row_filling.locked", lock_after_the_first)
        rows, _ = fill_rows(second.path, KIND, photographs, second.decode, second.compute, 2)
    assert (rows.find(photographs.keys) >= 0).all()
    assert second.decoded == []


# Run as a user who is not root, whom no right would stop.
READ_ONLY = """
import os, sys
from koala_face.data.row_file import RowKind, RowFileError
from koala_face.data.row_filling import Key, filling
if os.getuid() == 0:
    os.setuid(65534)
try:
    with filling(sys.argv[1], RowKind("means", (3,), "float32", {}), [Key("a", bytes(32))]):
        pass
except RowFileError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
@pytest.mark.parametrize("name", ["means.h5", "cache/means.h5"])
def test_a_folder_that_cannot_be_written_is_a_clear_error(name):
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, folder / name],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert done.stdout.startswith(f"Expected the right to use {folder / name}")
    assert "Name another place" in done.stdout


COMPLETE = """
import os, sys
from koala_face.data.row_file import RowKind
from koala_face.data.row_filling import fill_rows, hash_photographs
from koala_face.photographs.reading import read_rgb
if os.getuid() == 0:
    os.setuid(65534)
kind = RowKind("means", (3,), "float32", {"statistic": "mean"})
photographs = hash_photographs(sys.argv[2])
rows, photographs = fill_rows(sys.argv[1], kind, photographs, read_rgb, None, 2)
print(*rows.read(rows.find(photographs.keys)).astype(int).flatten(), *photographs.unreadable)
"""


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_a_complete_read_only_cache_works(folder, filler):
    """Neither a lock nor a right to write, with a photograph that cannot be read among them too."""
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:40])
    filler.fill(folder)
    place = Path(tempfile.mkdtemp())
    try:
        shutil.copytree(folder, place / "photographs")
        (place / "cache").mkdir()
        shutil.copy(filler.path, place / "cache")
        (place / "cache" / "means.h5").chmod(0o444)
        (place / "cache").chmod(0o555)
        place.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", COMPLETE, place / "cache" / "means.h5", place / "photographs"],
            capture_output=True,
            text=True,
        )
        assert sorted(path.name for path in (place / "cache").iterdir()) == ["means.h5"]
    finally:
        (place / "cache").chmod(0o755)
        shutil.rmtree(place)
    assert done.stdout.split() == [*"10 11 12 20 21 22 30 31 32".split(), "cut.png"], done.stderr


FULL_DISK = """
import resource, sys
from koala_face.data.row_file import RowFileError, RowKind
from koala_face.data.row_filling import filling, hash_photographs
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
kind = RowKind("means", (3,), "float32", {"statistic": "mean"})
try:
    with filling(sys.argv[1], kind, hash_photographs(sys.argv[2]).keys):
        pass
except RowFileError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_file_as_it_was(folder, filler):
    """A limit on a file's size stands for the disk: the system refuses the write alike."""
    filler.fill(folder)
    before = filler.path.read_bytes()
    for number in range(200):
        write_photograph(folder / f"{number}.png", number)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, filler.path, folder, str(len(before) + 1000)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("No space left on the disk")
    assert filler.path.read_bytes() == before
    assert sorted(file.name for file in filler.path.parent.iterdir()) == [
        "means.h5",
        "means.h5.lock",
    ]


# Rows are large and many beside the work, so that kills hit every stage of writing.
FILL = """
import sys
import numpy as np
from koala_face.photographs.reading import read_rgb
from koala_face.data.row_file import RowFile, RowKind
from koala_face.data.row_filling import fill_rows, hash_photographs

kind = RowKind("levels", (20_000,), "float32", {"statistic": "level"})
write = RowFile.write

def write_and_tell(rows, keys, values):
    write(rows, keys, values)
    print(*(key.path for key in keys), flush=True)

RowFile.write = write_and_tell
print("ready", flush=True)
fill_rows(
    sys.argv[1], kind, hash_photographs(sys.argv[2]), read_rgb,
    lambda photographs: np.repeat(photographs[:, 0, 0, :1].astype("float32"), 20_000, axis=1), 4,
)
"""


def wait_and_kill(command, seconds: float) -> tuple[set[str], bool]:
    """The names of the rows that the process said are safe, and whether the kill hit it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        told = process.stdout.read()
    # A line that the kill cut off tells nothing.
    whole = told[: told.rfind("\n") + 1]
    return set(whole.split()), process.returncode == -signal.SIGKILL


def find_levels(path: Path) -> dict[str, list[float]]:
    """By h5py: each finished photograph's row, as the set of its values."""
    with h5py.File(path, "r") as file:
        names = file["paths"].asstr()[:]
        finished = np.flatnonzero(file["sha256"][:].any(axis=1))
        return {names[n]: np.unique(file["levels"][n]).tolist() for n in finished}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_no_kill_at_any_moment_loses_a_row(tmp_path):
    """At least 40 kills while rows are filled in and while the file is enlarged: no loss."""
    chance = random.Random(0)
    folder, path = tmp_path / "photographs", tmp_path / "levels.h5"
    safe, kills, losses, count = set(), 0, 0, 0
    while kills < 40:
        for _ in range(30):
            write_photograph(folder / f"{count}.png", count % 250)
            count += 1
        told, killed = wait_and_kill(
            [sys.executable, "-c", FILL, path, folder], chance.uniform(0.0, 0.3)
        )
        kills += killed
        safe |= told
        found = find_levels(path) if path.exists() else {}
        losses += len(safe - set(found))
        assert all(found[name] == [int(Path(name).stem) % 250] for name in found)
    assert losses == 0
    subprocess.run([sys.executable, "-c", FILL, path, folder], check=True)
    assert len(find_levels(path)) == count
