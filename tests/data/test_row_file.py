"""The file of rows, read back by h5py itself; what it refuses; what it leaves without space."""

import errno
import hashlib
import subprocess
import sys

import h5py
import numpy as np
import pytest

from koala_face.data.row_file import (
    Key,
    RowFile,
    RowFileError,
    RowKind,
    Rows,
    create_rows,
    open_rows,
)

KIND = RowKind("embeddings", (3,), "float32", {"descriptor": "facenet", "input_size": 160})


def key(name: str, content: bytes = b"") -> Key:
    return Key(name, hashlib.sha256(content or name.encode()).digest())


@pytest.fixture
def file(tmp_path):
    """Places for a, b/ü and c; b/ü is filled with 1, 2, 3."""
    path = tmp_path / "rows.h5"
    create_rows(path, KIND, ["a.jpg", "b/ü.jpg", "c.jpg"])
    rows = RowFile(path, KIND, writable=True)
    rows.write([key("b/ü.jpg")], np.array([[1.0, 2.0, 3.0]]))
    rows.close()
    return path


def test_h5py_reads_what_was_written(file):
    with h5py.File(file, "r") as found:
        assert dict(found.attrs) == {
            "schema": "koala_face rows 1",
            "descriptor": "facenet",
            "input_size": 160,
        }
        assert found["paths"].asstr()[:].tolist() == ["a.jpg", "b/ü.jpg", "c.jpg"]
        assert found["embeddings"].dtype == np.float32
        assert found["embeddings"][:].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]
        assert found["sha256"][1].tobytes() == hashlib.sha256("b/ü.jpg".encode()).digest()
        assert not found["sha256"][::2].any()


def test_finds_a_row_by_path_and_content(file):
    rows = open_rows(file, KIND)
    wanted = [key("a.jpg"), key("b/ü.jpg"), key("b/ü.jpg", b"changed"), key("d.jpg")]
    assert rows.find(wanted).tolist() == [-1, 1, -1, -1]
    assert [rows.has_place(one) for one in wanted] == [True, True, False, False]


def test_reads_rows_in_any_order(file):
    rows = open_rows(file, KIND)
    assert rows.read([2, 1, 1]).tolist() == [[0, 0, 0], [1, 2, 3], [1, 2, 3]]
    with pytest.raises(IndexError, match=r"0 to 2\. Received: 3"):
        rows.read([3])
    with pytest.raises(IndexError, match="Received: -1"):
        rows.read([-1])


def test_rows_index_like_an_array(file):
    opened = open_rows(file, KIND)
    rows = Rows([(opened, 1), (opened, 0)])
    assert (rows.shape, rows.dtype, len(rows)) == ((2, 3), np.float32, 2)
    assert rows[0].tolist() == [1, 2, 3]
    assert rows[-1].tolist() == [0, 0, 0]
    assert rows[:].tolist() == [[1, 2, 3], [0, 0, 0]]
    assert rows[[1, 0, 0]].tolist() == [[0, 0, 0], [1, 2, 3], [1, 2, 3]]
    assert rows[np.array([False, True])].tolist() == [[0, 0, 0]]
    assert rows[np.array([], int)].shape == (0, 3)


def test_a_row_of_another_shape_is_refused(file):
    rows = RowFile(file, KIND, writable=True)
    with pytest.raises(ValueError, match=r"\(1, 3\)\. Received: \(1, 4\)"):
        rows.write([key("a.jpg")], np.zeros((1, 4)))
    rows.close()


@pytest.mark.parametrize(
    ("made_by", "sides"),
    [
        (
            {"descriptor": "vggface", "input_size": 160},
            "Expected: descriptor='vggface'. Found: descriptor='facenet'.",
        ),
        (
            {"descriptor": "facenet", "input_size": 160, "layer": "fc7"},
            "Expected: layer='fc7'. Found: layer='nothing'.",
        ),
        (
            {"descriptor": "facenet"},
            "Expected: input_size='nothing'. Found: input_size=160.",
        ),
    ],
)
def test_a_file_made_by_something_else_names_both_sides(file, made_by, sides):
    with pytest.raises(RowFileError) as raised:
        open_rows(file, KIND._replace(made_by=made_by))
    assert sides in str(raised.value)
    assert str(file) in str(raised.value)


def test_no_file_is_none(tmp_path):
    assert open_rows(tmp_path / "rows.h5", KIND) is None


@pytest.mark.parametrize("damage", ["text", "empty", "half", "folder", "other hdf5"])
def test_a_broken_file_is_a_clear_error(file, damage):
    if damage == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage == "other hdf5":
        with h5py.File(file, "w") as other:
            other["weights"] = [1.0]
    else:
        file.write_bytes(b"" if damage == "empty" else b"no HDF5 at all" * 100)
    with pytest.raises(RowFileError, match=r"rows\.h5"):
        open_rows(file, KIND)


def test_space_is_taken_when_the_file_is_made(tmp_path):
    """Not a file with holes, whose disk could fill up later."""
    path = tmp_path / "rows.h5"
    create_rows(path, KIND._replace(shape=(100_000,)), ["a", "b", "c", "d", "e"])
    taken = path.stat().st_blocks * 512
    assert taken >= 5 * 100_000 * 4


FILE_TOO_LARGE = """
import resource, sys
import numpy as np
from koala_face.data.row_file import RowFileError, RowKind, explained, create_rows
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    with explained(sys.argv[1]):
        create_rows(sys.argv[1], RowKind("embeddings", (500_000,), "float32", {}), ["a", "b"])
except RowFileError as error:
    print(error)
"""


def test_a_full_disk_is_noticed_before_any_work(tmp_path):
    """A limit on the file's size stands for the disk: the system refuses the write alike."""
    path = tmp_path / "rows.h5"
    done = subprocess.run(
        [sys.executable, "-c", FILE_TOO_LARGE, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"No space left on the disk to write {path}.")
    assert path.stat().st_size <= 1_000_000


def test_a_full_disk_while_rows_are_written_keeps_those_before(file, monkeypatch):
    """A disk of another kind (compressed, copy on write) may be full in spite of the zeros."""
    rows = RowFile(file, KIND, writable=True)
    seen = []

    class FullDisk:
        def __getattr__(self, name):
            return getattr(handle, name)

        def write(self, data):
            seen.append(len(data))
            if len(seen) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return handle.write(data)

    handle, rows._file = rows._file, FullDisk()
    with pytest.raises(RowFileError, match="Finished rows are kept"):
        rows.write([key("a.jpg"), key("c.jpg")], np.ones((2, 3)))
    handle.close()
    after = open_rows(file, KIND)
    assert after.find([key("a.jpg"), key("b/ü.jpg"), key("c.jpg")]).tolist() == [-1, 1, -1]
    assert after.read([1]).tolist() == [[1, 2, 3]]
