"""Caches made to do harm, and mutated ones: named errors, no traceback, no foreign bytes."""

import os

import h5py
import numpy as np
import pytest
from support import crafted_hdf5

from koala_face.data.row_file import Key, RowFile, RowFileError, RowKind, create_rows, open_rows

KIND = RowKind("means", (3,), "float32", {"statistic": "mean"})
KEYS = [Key(name, bytes([number]) * 32) for number, name in enumerate(("a", "b/ü", "c"), start=1)]
VALUES = np.arange(9, dtype="float32").reshape(3, 3)
# Mutations tried; more shows more.
COUNT = int(os.environ.get("KOALA_FACE_FUZZ", "300"))


@pytest.fixture
def cache(tmp_path):
    path = tmp_path / "means.h5"
    create_rows(path, KIND, [key.path for key in KEYS])
    rows = RowFile(path, KIND, writable=True)
    rows.write(KEYS, VALUES)
    rows.close()
    return path


def refused(path) -> str:
    with pytest.raises(RowFileError, match="means.h5") as error:
        open_rows(path, KIND)
    return str(error.value)


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("name", ["paths", "sha256", "means"])
@pytest.mark.parametrize("craft", crafted_hdf5.CRAFTS, ids=lambda craft: craft.__name__)
def test_a_crafted_dataset_is_refused(cache, craft, name):
    with h5py.File(cache, "r+") as file:
        craft(file, name)
    refused(cache)


@pytest.mark.parametrize("value", crafted_hdf5.ATTRIBUTES, ids=str)
def test_an_attribute_of_another_type_is_named(cache, value):
    with h5py.File(cache, "r+") as file:
        file.attrs["statistic"] = value
    assert "statistic=" in refused(cache)


def test_a_path_that_stands_twice_is_refused(cache):
    with h5py.File(cache, "r+") as file:
        paths = file["paths"][:]
        paths[2] = paths[0]
        file["paths"][:] = paths
    assert "twice" in refused(cache)


def test_rows_that_reach_beyond_the_file_are_refused(cache):
    """Cut in its last row: HDF5 itself would not notice where the file's length is in doubt."""
    content = cache.read_bytes()
    cache.write_bytes(content[:-4])
    refused(cache)


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "means.h5")
    assert "no file" in refused(tmp_path / "means.h5")


def test_mutated_caches_end_in_named_errors_only(cache):
    """What still opens gives rows of the right shape, to the last."""
    content, opened, errors = cache.read_bytes(), 0, 0
    path = cache.with_name("mutated-means.h5")
    for mutated in crafted_hdf5.mutations(content, COUNT, seed=0):
        path.write_bytes(mutated)
        try:
            rows = RowFile(path, KIND)
            assert rows.read(range(len(rows))).shape == (len(rows), 3)
            rows.close()
            opened += 1
        except RowFileError:
            errors += 1
    assert opened > 0
    assert errors > 0
