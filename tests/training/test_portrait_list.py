"""The list of a run's portraits, and what of it has changed when the run goes on."""

import hashlib
import shutil

import pytest

from koala_face.backbones import find_backbone
from koala_face.data.portraits import load_portraits
from koala_face.training.portrait_list import (
    Listed,
    PortraitListError,
    check_list,
    list_portraits,
    write_list,
)

THREE = [Listed("train", "aa", "a.jpg"), Listed("train", "bb", "b/ü\n,.jpg")]
THREE += [Listed("validation", "aa", "a.jpg")]


def test_a_list_holds_the_hashes_of_the_photographs(portrait_folder, tmp_path):
    portraits = load_portraits(portrait_folder, 16, find_backbone("none"), tmp_path)
    listed = list_portraits(portraits, portraits)
    assert [one.role for one in listed] == ["train"] * 2 + ["validation"] * 2
    for one in listed:
        content = (portrait_folder / one.path).read_bytes()
        assert one.sha256 == hashlib.sha256(content).hexdigest()


def test_the_same_portraits_are_fine_and_so_is_a_run_that_has_no_list(tmp_path):
    check_list(tmp_path / "portraits.csv", THREE)
    names = [*THREE, Listed("validation", "cc", "\udcff.jpg")]  # a name that is not UTF-8
    write_list(tmp_path / "portraits.csv", names)
    check_list(tmp_path / "portraits.csv", names)


@pytest.mark.parametrize(
    ("now", "named"),
    [
        ([*THREE, Listed("train", "dd", "new.jpg")], r"Added: new\.jpg \(train\)\. Put"),
        (THREE[1:], r"Removed: a\.jpg \(train\)\. Put"),
        ([THREE[0]._replace(sha256="ff"), *THREE[1:]], r"Changed: a\.jpg \(train\)\. Put"),
        ([THREE[1], THREE[0], THREE[2]], "another order"),
        ([*THREE, *(Listed("train", "", f"{n}.jpg") for n in range(30))], "9.jpg .* and 20 more"),
    ],
)
def test_a_difference_is_named(tmp_path, now, named):
    write_list(tmp_path / "portraits.csv", THREE)
    with pytest.raises(PortraitListError, match=f"(?s){named}.*--changed-portraits"):
        check_list(tmp_path / "portraits.csv", now)


@pytest.mark.parametrize(
    "content", [b"", b"role,sha256,path\ntrain,aa", b"\x00\xff\x89HDF", b"a\n"]
)
def test_a_damaged_list_is_named(tmp_path, content):
    (tmp_path / "portraits.csv").write_bytes(content)
    with pytest.raises(PortraitListError, match=r"portraits\.csv.*--changed-portraits"):
        check_list(tmp_path / "portraits.csv", THREE)


def test_a_photograph_that_changes_is_told_by_its_content(portrait_folder, tmp_path):
    folder = shutil.copytree(portrait_folder, tmp_path / "portraits")

    def listed():
        portraits = load_portraits(folder, 16, find_backbone("none"), tmp_path / "cache")
        return list_portraits(portraits, portraits)

    write_list(tmp_path / "portraits.csv", listed())
    file = folder / "grace_hopper.jpg"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(PortraitListError, match=r"Changed: grace_hopper\.jpg \(train\)"):
        check_list(tmp_path / "portraits.csv", listed())
