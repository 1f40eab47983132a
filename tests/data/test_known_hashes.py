"""Hashes kept by size and time stamps: never an old hash for a new content."""

import hashlib
import os
import time

import pytest

from koala_face.data import known_hashes
from koala_face.data.known_hashes import KnownHashes
from koala_face.data.row_filling import hash_photographs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.jpg", 'sub/b, "c"\n.png', "sub/\udcff.png"):
        (tmp_path / "in" / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return tmp_path / "in"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read."""
    names = []
    whole = known_hashes.file_hash
    monkeypatch.setattr(
        known_hashes, "file_hash", lambda path, kind: names.append(path.name) or whole(path, kind)
    )
    return names


def right(folder, keys):
    return [hashlib.sha256((folder / key.path).read_bytes()).digest() for key in keys] == [
        key.sha256 for key in keys
    ]


def test_what_has_not_changed_is_not_read_again(folder, read, monkeypatch, tmp_path):
    monkeypatch.setattr(known_hashes, "GRAIN", 0)
    file = tmp_path / "cache/hashes.csv"
    first = hash_photographs(folder, file)
    assert len(read) == 3
    assert right(folder, first.keys)
    read.clear()
    assert hash_photographs(folder, file) == first
    assert read == []
    assert hash_photographs(folder, file, rehash=True) == first
    assert len(read) == 3
    read.clear()
    hash_photographs(folder)
    assert len(read) == 3


def test_a_changed_file_is_read_though_its_size_and_time_are_the_old_ones(
    folder, read, monkeypatch, tmp_path
):
    """As a copy that keeps times: the time of the last change of status cannot be set back."""
    monkeypatch.setattr(known_hashes, "GRAIN", 0)
    file = tmp_path / "hashes.csv"
    hash_photographs(folder, file)
    before = os.stat(folder / "a.jpg")
    time.sleep(0.02)
    (folder / "a.jpg").write_bytes(b"A.JPG")
    os.utime(folder / "a.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))
    read.clear()
    assert right(folder, hash_photographs(folder, file).keys)
    assert read == ["a.jpg"]


def test_what_was_changed_just_now_is_read_again(folder, read, tmp_path):
    """A second change within the grain of the time stamp would not show."""
    file = tmp_path / "hashes.csv"
    hash_photographs(folder, file)
    read.clear()
    hash_photographs(folder, file)
    assert len(read) == 3


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(known_hashes, "GRAIN", 0)
    whole = known_hashes.file_hash

    def changing(path, kind):
        digest = whole(path, kind)
        path.write_bytes(b"later and longer")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(known_hashes, "file_hash", changing)
        hash_photographs(folder, tmp_path / "hashes.csv")
    assert right(folder, hash_photographs(folder, tmp_path / "hashes.csv").keys)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no list",
        b"sha256,size,mtime_ns,ctime_ns,path\n12,1,1,1,a.jpg\n",
        b"sha256,size,mtime_ns,ctime_ns,path\n" + b"0" * 64 + b",x,1,1,a.jpg\n",
        b"sha256,size,mtime_ns,ctime_ns,path\n" + b"0" * 64 + b",1\n",
        b"\xff\x00" * 50,
    ],
)
def test_a_list_that_is_none_is_not_believed(folder, text, tmp_path):
    (tmp_path / "hashes.csv").write_bytes(text)
    assert right(folder, hash_photographs(folder, tmp_path / "hashes.csv").keys)


def test_a_cache_that_cannot_be_written(folder, tmp_path):
    (tmp_path / "file").touch()
    assert right(folder, hash_photographs(folder, tmp_path / "file/hashes.csv").keys)
    assert KnownHashes(tmp_path / "none.csv").hash(folder, "a.jpg")
