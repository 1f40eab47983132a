"""Photographs at addresses: found as in a folder, fetched, put back whole, with patience."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.constant_model import save_constant_model

pytest.importorskip("upath", reason="needs pip install '.[cluster]'")

import fsspec
from upath import UPath

from koala_face.colorize import main
from koala_face.colorizer.cluster import addresses
from koala_face.colorizer.jobs import plan_jobs
from koala_face.photographs.decoding import PhotographError


@pytest.fixture
def memory():
    """fsspec's store in this process's memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def places(jobs):
    return [(str(job.source), str(job.target), job.format) for job in jobs]


def test_an_address_is_searched_like_a_folder(memory, tmp_path):
    """Tree, order, suffixes, hidden names and what is passed over: those of the same folder."""
    names = ["b.JPG", "a/x.png", "a/.hidden.png", ".trash/y.png", "a/notes.txt", "ä ö.gif"]
    for name in names:
        memory.pipe_file(f"/scans/{name}", b"x")
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).write_bytes(b"x")
    there = plan_jobs(["memory://scans"], "memory://out")
    here = plan_jobs([tmp_path / "scans"], tmp_path / "out")
    moved = [
        tuple(text.replace(f"{tmp_path}/", "memory://") for text in job)
        for job in places(here.jobs)
    ]
    assert places(there.jobs) == moved
    assert len(moved) == 3
    assert there.passed_over == 1


def test_files_and_patterns_go_into_the_output(memory):
    for name in ("a.png", "b.tif", "sub/c.tif"):
        memory.pipe_file(f"/in/{name}", b"x")
    assert places(plan_jobs(["memory://in/a.png"], "memory://out").jobs) == [
        ("memory://in/a.png", "memory://out/a.png", "png")
    ]
    assert places(plan_jobs(["memory://in/*.tif"], "out", "jpeg").jobs) == [
        ("memory://in/b.tif", "out/b.jpg", "jpeg")
    ]
    assert places(plan_jobs(["memory://in/**/c*"], "memory://out").jobs) == [
        ("memory://in/sub/c.tif", "memory://out/c.tif", "tiff")
    ]
    assert places(plan_jobs(["memory://in/a.png"]).jobs) == [
        ("memory://in/a.png", "memory://in/a-colored.png", "png")
    ]
    assert places(plan_jobs(["memory://in/a.png"], "memory://x.jpg").jobs) == [
        ("memory://in/a.png", "memory://x.jpg", "jpeg")
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["memory://none", "-o", "out"], "Expected photographs in memory://none. Found: 0 other"),
        (["nosuch://x", "-o", "out"], "Expected an address that fsspec can open. Received: nosuch"),
        (["memory://in", "-o", "memory://in"], "would replace the photograph memory://in/a.png"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(memory, words, message):
    memory.pipe_file("/in/a.png", b"x")
    with pytest.raises(PhotographError, match=message):
        main([*words, "--model", "no.h5"])


def test_from_an_archive_into_memory_then_skipped(memory, tmp_path, astronaut, caplog, monkeypatch):
    """In threads of this process: a zip file in, a store out, the same bytes as from files."""
    monkeypatch.chdir(tmp_path)
    model = str(save_constant_model(tmp_path / "model.h5"))
    for name in ("in/a.png", "in/sub/b.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(astronaut[:50, :70, 0]).save(name)
    Path("in/broken.png").write_bytes(b"no photograph")
    with zipfile.ZipFile("scans.zip", "w") as archive:
        for path in sorted(Path("in").rglob("*.*")):
            archive.write(path)
    caplog.set_level("INFO", "koala_face")
    assert main(["in", "-o", "out", "--model", model]) == 1
    words = ["zip://in::file://scans.zip", "-o", "memory://out", "--model", model]
    assert main(words) == 1
    assert sorted(memory.find("/out")) == ["/out/a.png", "/out/sub/b.jpg"]
    for name in ("a.png", "sub/b.jpg"):
        assert memory.cat_file(f"/out/{name}") == Path("out", name).read_bytes()
    failed = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(failed) == 2
    assert re.sub(r"zip://(in/broken.png)::file://\S*/scans.zip", r"\1", failed[1]) == failed[0]
    caplog.clear()
    assert main(words) == 1
    assert "0 coloured, 2 already there, 1 failed" in caplog.text


class Refusing:
    """A store that refuses its first calls, as an overloaded server does."""

    def __init__(self, monkeypatch, files, times, error):
        self.calls = 0
        whole = files.put_file

        def put_file(*words, **options):
            self.calls += 1
            if self.calls <= times:
                raise error
            return whole(*words, **options)

        monkeypatch.setattr(files, "put_file", put_file)


@pytest.mark.parametrize(
    ("error", "times", "calls", "message"),
    [
        (OSError("503 slow down"), 3, 4, None),
        (OSError("503 slow down"), 9, 4, r"x/a.png: cannot be written in 4 tries, 503 slow down\."),
        (PermissionError("403"), 9, 1, r"x/a.png: cannot be written, 403\."),
    ],
)
def test_a_store_that_refuses_is_asked_again(
    memory, tmp_path, monkeypatch, error, times, calls, message
):
    monkeypatch.setattr(addresses, "WAITS", (0, 0, 0))
    store = Refusing(monkeypatch, memory, times, error)
    (tmp_path / "a").write_bytes(b"whole")
    if message:
        with pytest.raises(PhotographError, match=message):
            addresses.put(tmp_path / "a", UPath("memory://x/a.png"))
        assert not memory.exists("/x/a.png")
    else:
        addresses.put(tmp_path / "a", UPath("memory://x/a.png"))
        assert memory.cat_file("/x/a.png") == b"whole"
    assert store.calls == calls


def test_on_a_file_system_a_file_gets_its_name_once_it_is_whole(memory, tmp_path, monkeypatch):
    """A link that breaks in mid-file leaves the old file, and nothing beside it."""
    monkeypatch.setattr(addresses, "WAITS", ())
    monkeypatch.setattr(addresses, "RENAMING", {"memory"})
    memory.pipe_file("/x/a.png", b"old")
    (tmp_path / "a").write_bytes(b"new and longer")
    seen = []

    def put_half(local, path):
        seen.append(path)
        memory.pipe_file(path, Path(local).read_bytes()[:3])
        raise ConnectionError("the cable")

    with monkeypatch.context() as broken:
        broken.setattr(memory, "put_file", put_half)
        with pytest.raises(PhotographError, match=r"memory://x/a.png: cannot .*the cable"):
            addresses.put(tmp_path / "a", UPath("memory://x/a.png"))
    assert seen[0].startswith("/x/.koala_face-")
    assert {name: memory.cat_file(name) for name in memory.find("/x")} == {"/x/a.png": b"old"}
    addresses.put(tmp_path / "a", UPath("memory://x/a.png"))
    assert {name: memory.cat_file(name) for name in memory.find("/x")} == {
        "/x/a.png": b"new and longer"
    }


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    with pytest.raises(PhotographError, match=r"Install it: pip install '\.\[cluster\]'"):
        plan_jobs(["s3://bucket/scans"], "out")


def test_a_pixel_of_each_is_where_it_was(memory, astronaut, tmp_path):
    """Fetched bytes are the file's."""
    Image.fromarray(astronaut[:9, :9]).save(tmp_path / "a.png")
    memory.put_file(str(tmp_path / "a.png"), "/a.png")
    addresses.fetch(UPath("memory://a.png"), tmp_path / "b.png")
    np.testing.assert_array_equal(Image.open(tmp_path / "b.png"), astronaut[:9, :9])
