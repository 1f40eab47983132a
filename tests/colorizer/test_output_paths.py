"""Which photograph goes where, before any work starts."""

from pathlib import Path

import pytest

from koala_face.colorizer.checks import check_writable
from koala_face.colorizer.jobs import plan_jobs
from koala_face.photographs.decoding import PhotographError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tree of empty photographs; paths in the tests are relative to it."""
    for name in ("in/a.jpg", "in/sub/b.PNG", "in/sub/c.gif", "other/a.jpg", "scan [1].tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*inputs, output="out", format=None):
    return {
        job.source.as_posix(): (job.target.as_posix(), job.format)
        for job in plan_jobs(inputs, output, format).jobs
    }


def test_a_folder_keeps_its_tree_and_names_keep_their_suffix(folder):
    assert plan("in") == {
        "in/a.jpg": ("out/a.jpg", "jpeg"),
        "in/sub/b.PNG": ("out/sub/b.PNG", "png"),
        "in/sub/c.gif": ("out/sub/c.png", "png"),
    }


def test_files_and_patterns_go_into_the_output(folder):
    assert plan("in/sub/b.PNG", "*.tif") == {
        "in/sub/b.PNG": ("out/b.PNG", "png"),
        "scan [1].tif": ("out/scan [1].tif", "tiff"),
    }
    assert set(plan("in/**/*.*")) == {"in/a.jpg", "in/sub/b.PNG", "in/sub/c.gif"}
    assert set(plan("scan [1].tif")) == {"scan [1].tif"}, "a file of that name is no pattern"


def test_one_photograph_may_have_a_file_as_output(folder):
    assert plan("in/a.jpg", output="x/y.tif") == {"in/a.jpg": ("x/y.tif", "tiff")}
    (folder / "folder.png").mkdir()
    assert plan("in/a.jpg", output="folder.png") == {"in/a.jpg": ("folder.png/a.jpg", "jpeg")}
    with pytest.raises(PhotographError, match="a folder as output of 3 photographs"):
        plan("in", output="out.png")


def test_format_changes_suffixes(folder):
    planned = plan("in", format="webp")
    assert [target for target, _ in planned.values()] == [
        "out/a.webp",
        "out/sub/b.webp",
        "out/sub/c.webp",
    ]
    assert plan("in/sub/b.PNG", format="png")["in/sub/b.PNG"][0] == "out/b.PNG"


def test_two_photographs_for_one_output_are_an_error(folder):
    with pytest.raises(PhotographError, match=r"in/a.jpg and other/a.jpg .* out/a.jpg"):
        plan("in", "other")
    (folder / "in/sub/c.png").touch()
    with pytest.raises(PhotographError, match=r"c.gif and .*c.png .* out/sub/c.png"):
        plan("in")


def test_a_photograph_named_twice_is_coloured_once(folder):
    assert len(plan_jobs(["in/a.jpg", "in/a.jpg", "in"], "out").jobs) == 3


def test_no_output_replaces_a_photograph(folder):
    with pytest.raises(PhotographError, match="would replace the photograph"):
        plan("in", output="in")
    (folder / "link").symlink_to(folder / "in")
    with pytest.raises(PhotographError, match="would replace the photograph"):
        plan("in/a.jpg", output="link")


def test_results_inside_the_folder_are_not_coloured_again(folder):
    (folder / "in/out").mkdir()
    (folder / "in/out/a.jpg").touch()
    assert set(plan("in", output="in/out")) == {"in/a.jpg", "in/sub/b.PNG", "in/sub/c.gif"}


def test_what_is_not_there_is_said(folder):
    with pytest.raises(PhotographError, match=r"match x\*.jpg"):
        plan("x*.jpg")
    assert plan("gone.jpg") == {"gone.jpg": ("out/gone.jpg", "jpeg")}, "fails as one of many"


def test_a_folder_that_cannot_be_written(folder):
    check_writable(folder / "new" / "deep")
    assert list((folder / "new" / "deep").iterdir()) == []
    with pytest.raises(PhotographError, match=r"can be written.*scan \[1\].tif"):
        check_writable(Path("scan [1].tif") / "below")
