"""What a folder may hold beside photographs: pipes, links in a circle, closed folders."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from koala_face.data.row_filling import hash_photographs
from koala_face.photographs.decoding import PhotographError, count_pixels, read_photograph
from koala_face.photographs.reading import find_photographs, search_folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def closed_folder(folder, monkeypatch):
    """A folder that cannot be listed; told to `os` itself, as root may list every folder."""
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return folder


def names(found):
    return [path.as_posix() for path in found]


def test_pipes_and_sockets_are_passed_over(folder, monkeypatch):
    os.mkfifo(folder / "pipe.jpg")
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(folder)  # a socket's path may have no more than some 100 bytes
    server.bind("socket.png")
    server.close()
    (folder / "link.png").symlink_to("pipe.jpg")
    (folder / "device.png").symlink_to(os.devnull)
    (folder / "real.png").symlink_to("a.png")
    found = search_folder(folder)
    assert names(found.photographs) == ["a.png", "real.png", "sub/b.png"]
    assert found.passed_over == 4
    assert len(hash_photographs(folder).keys) == 3


def test_files_that_are_no_photographs_are_counted(folder):
    for name in ("notes.txt", "sub/raw.cr2", ".hidden", "no_suffix"):
        (folder / name).touch()
    assert search_folder(folder).passed_over == 3
    assert find_photographs(folder) == search_folder(folder).photographs


UNREADABLE = {
    "pipe.jpg": "is no file",
    "device": "is no file",
    "loop.jpg": "symbolic links",
    "gone.jpg": "does not exist",
    "sub": "is no file",
    "x" * 300: "name too long",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_a_named_error_and_no_hang(folder, name):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device").symlink_to(os.devnull)
    (folder / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(PhotographError, match=f"{name}: .*{UNREADABLE[name]}"):
        read_photograph(folder / name)
    assert count_pixels(folder / name) == 0


def test_a_link_in_a_circle_is_named_and_the_others_are_read(folder):
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "again").symlink_to("again")
    assert names(search_folder(folder).photographs) == ["a.png", "loop.jpg", "sub/b.png"]
    photographs = hash_photographs(folder)
    assert [key.path for key in photographs.keys] == ["a.png", "sub/b.png"]
    assert "symbolic links" in photographs.unreadable["loop.jpg"]
    with pytest.raises(PhotographError, match="again"):
        find_photographs(folder / "again")


def test_a_folder_without_permission_is_named_and_the_others_are_read(closed_folder):
    found = search_folder(closed_folder)
    assert names(found.photographs) == ["a.png"]
    assert {path.as_posix(): why for path, why in found.unreadable.items()} == {
        "sub": "Permission denied"
    }
    photographs = hash_photographs(closed_folder)
    assert [key.path for key in photographs.keys] == ["a.png"]
    assert photographs.unreadable == {"sub": "Permission denied"}


def test_a_folder_of_which_nothing_remains_is_an_error(closed_folder):
    (closed_folder / "a.png").unlink()
    with pytest.raises(PhotographError, match=r"sub: Permission denied"):
        find_photographs(closed_folder)
