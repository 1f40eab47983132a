"""Fetching weights whole or not at all; files come from an HTTP server in the test."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support.weights_server import TAG, hash_of

from koala_face import backbones
from koala_face.backbones import downloads, weight_files
from koala_face.backbones.weight_files import WeightsError
from koala_face.foundation.files import LockError, locked


def leavings(path):
    """What lies beside a file, without its lock and its record."""
    kept = (path.name + ".lock", path.name + ".sha256")
    return sorted(found.name for found in path.parent.iterdir() if found.name not in kept)


def test_a_good_download_is_where_it_is_looked_for(file, saved):
    with pytest.raises(WeightsError):
        weight_files.locate_file(file)
    path = downloads.download(file)
    assert path.read_bytes() == saved
    assert weight_files.locate_file(file) == path
    assert leavings(path) == ["weights.h5"]


def test_the_first_download_records_its_sha256(file, saved):
    """In the form that `sha256sum --check` reads."""
    path = downloads.download(file)
    record = path.with_name("weights.h5.sha256").read_text()
    assert record == f"{hash_of(saved, 'sha256')}  weights.h5\n"
    assert backbones.weights_sha256(path) == hash_of(saved, "sha256")


def test_a_second_download_asks_no_server(file, server):
    path = downloads.download(file)
    assert downloads.download(file) == path
    assert len(server.ranges) == 1


def test_a_file_that_changed_since_the_record_is_refused(file, server, saved):
    """Another file of the right layers and shapes, under the same name."""
    path = downloads.download(file)
    other = bytearray(saved)
    at = saved.index(np.random.default_rng(0).standard_normal(1).astype("float32").tobytes())
    other[at] ^= 1
    path.write_bytes(other)
    with pytest.raises(WeightsError, match=r"recorded.*first download"):
        backbones.weights_sha256(path)
    path.unlink()
    server.content = bytes(other)
    with pytest.raises(WeightsError, match=hash_of(saved, "sha256")):
        downloads.download(file)
    assert leavings(path) == []


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_hash_is_refused(file, saved, algorithm):
    path = weight_files.cache_path(file)
    file = file._replace(**{algorithm: "0" * 32})
    found = hash_of(saved, algorithm)
    with pytest.raises(WeightsError, match=f"published {algorithm} 0000.*{found}"):
        downloads.download(file)
    assert leavings(path) == []


def test_the_right_hash_is_accepted(file, saved):
    file = file._replace(md5=hash_of(saved, "md5"), size=len(saved))
    assert downloads.download(file).read_bytes() == saved


def test_a_wrong_size_is_refused_before_the_body_comes(file, server, saved):
    file = file._replace(size=len(saved) + 1)
    server.pause = 5.0  # a body would take 30 seconds
    began = time.monotonic()
    with pytest.raises(WeightsError, match=f"{len(saved) + 1} bytes"):
        downloads.download(file)
    assert time.monotonic() - began < 5


def test_wrong_layers_are_refused(file):
    path = weight_files.cache_path(file)
    with pytest.raises(WeightsError, match=r"fc of shapes .*\(1000, 100\).*\(100, 1000\)"):
        downloads.download(file._replace(shapes={"fc": [(1000, 100), (100,)]}))
    with pytest.raises(WeightsError, match="a layer fc7.*layers fc, fc/relu"):
        downloads.download(file._replace(shapes={"fc7": []}))
    assert leavings(path) == []


def test_a_page_instead_of_the_file_is_refused(file, server):
    """What a captive portal or a vanished release answers."""
    server.content = b"<html>Please log in.</html>"
    with pytest.raises(WeightsError, match="whole HDF5 file of 400 kB"):
        downloads.download(file)
    assert leavings(weight_files.cache_path(file)) == []


def test_an_interrupted_download_goes_on_where_it_stopped(file, server, saved):
    path = weight_files.cache_path(file)
    server.stops = 150_000
    missing = len(saved) - 150_000
    with pytest.raises(WeightsError, match=f"ended {missing} bytes early.*goes on"):
        downloads.download(file)
    assert not path.exists()
    with pytest.raises(WeightsError, match="Expected the weights"):
        weight_files.locate_file(file)
    server.stops = None
    assert downloads.download(file).read_bytes() == saved
    assert server.ranges == (None, "bytes=150000-")


def test_a_new_edition_on_the_server_is_fetched_from_its_start(file, server, saved):
    """Two halves of two files would pass every check of names and shapes."""
    server.stops = 150_000
    with pytest.raises(WeightsError):
        downloads.download(file)
    server.stops, server.tag = None, '"the-second-edition"'
    server.content = saved.replace(b"fc/relu", b"fc/RELU")
    assert downloads.download(file).read_bytes() == server.content


def test_another_part_than_the_one_asked_for_is_refused(file, server, saved):
    server.stops = 150_000
    with pytest.raises(WeightsError):
        downloads.download(file)
    server.stops, server.shift = None, -1
    with pytest.raises(WeightsError, match="another part of the file"):
        downloads.download(file)
    assert downloads.download(file).read_bytes() == saved, "from its start"


OTHER_EDITIONS = {
    "other tag": ('"the-second-edition"', {}),
    "no tag": (TAG, {"ETag": None}),
    "no total": (TAG, {"Content-Range": "bytes 150000-{last}/*"}),
    "other total": (TAG, {"Content-Range": "bytes 150000-{last}/{more}"}),
}


@pytest.mark.parametrize("case", OTHER_EDITIONS)
def test_halves_of_two_files_are_never_joined(file, server, saved, case):
    """A server that ignores If-Range: what does not show to be the same file starts anew."""
    server.stops = 150_000
    with pytest.raises(WeightsError):
        downloads.download(file)
    tag, headers = OTHER_EDITIONS[case]
    sizes = {"last": len(saved) - 1, "more": len(saved) + 1}
    server.says = {name: value and value.format(**sizes) for name, value in headers.items()}
    server.stops, server.heeds_if_range, server.tag = None, False, tag
    server.content = saved.replace(b"fc/relu", b"fc/RELU")
    path = downloads.download(file)
    assert path.read_bytes() == server.content
    assert hash_of(server.content, "sha256") in path.with_name("weights.h5.sha256").read_text()
    assert server.ranges == (None, "bytes=150000-", None)


def test_an_answer_without_tag_forgets_the_tag_of_another_file(file, server, saved):
    """Cut, answered anew without a mark, cut again: the first file's mark is not the second's."""
    server.stops = 150_000
    with pytest.raises(WeightsError):
        downloads.download(file)
    server.content, server.tag = saved.replace(b"fc/relu", b"fc/RELU"), 'W/"weak"'
    with pytest.raises(WeightsError):
        downloads.download(file)
    server.stops, server.tag, server.heeds_if_range = None, TAG, False
    server.content = saved
    assert downloads.download(file).read_bytes() == saved


@pytest.mark.parametrize("known", [True, False])
def test_a_body_that_does_not_end_is_stopped(file, server, saved, known, monkeypatch):
    """The published size where it is known, else the longest that any of these files has."""
    monkeypatch.setattr(downloads, "LARGEST", 450_000)
    server.tells_length, server.pause = False, 0.02
    server.content = saved + bytes(20_000_000)
    size = len(saved) if known else None
    with pytest.raises(WeightsError, match=f"{len(saved)} bytes" if known else "400 kB"):
        downloads.download(file._replace(size=size))
    assert server.sent < 10_000_000
    assert leavings(weight_files.cache_path(file)) == []


def test_what_came_before_a_reset_is_kept(file, server, saved):
    server.stops, server.pause, server.resets = 150_000, 0.3, True
    with pytest.raises(WeightsError, match="goes on"):
        downloads.download(file)
    part = weight_files.cache_path(file).with_name("weights.h5.part")
    assert part.read_bytes() == saved[:150_000]
    server.stops, server.pause, server.resets = None, 0.0, False
    assert downloads.download(file).read_bytes() == saved
    assert server.ranges[-1] == "bytes=150000-"


def test_no_control_character_of_a_server_reaches_an_error(file, server):
    server.reason = "\x1b[2J\x07Gone\x9b31m"
    with pytest.raises(WeightsError) as error:
        downloads.download(file, address=file.address.replace("weights.h5", "moved.h5"))
    assert r"404 \x1b[2J\x07Gone\x9b31m" in str(error.value)


def test_a_part_that_was_whole_already_is_used(file, server, saved):
    """Killed between the last byte and the renaming."""
    path = weight_files.cache_path(file)
    path.parent.mkdir(parents=True)
    path.with_name("weights.h5.part").write_bytes(saved)
    path.with_name("weights.h5.part.etag").write_text(TAG)
    assert downloads.download(file).read_bytes() == saved
    assert server.ranges == (f"bytes={len(saved)}-",)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kill_9_leaves_no_file_and_the_next_run_goes_on(file, server, saved):
    server.pause = 0.3
    path = weight_files.cache_path(file)
    program = (
        "from koala_face.backbones import downloads, weight_files as w\n"
        f"downloads.CHUNK = 65536\ndownloads.download(w.{file!r})"
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    part = path.with_name("weights.h5.part")
    for _ in range(3000):
        if part.exists() and part.stat().st_size >= 65536:
            break
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not path.exists()
    kept = part.stat().st_size
    assert kept < len(saved)
    server.pause = 0.0
    assert downloads.download(file).read_bytes() == saved
    assert server.ranges[-1] == f"bytes={kept}-"


@pytest.mark.parametrize("address", ["gone", "http://127.0.0.1:9/x", "htp:/nonsense"])
def test_no_answer_says_what_to_do(file, address):
    if address == "gone":
        address = file.address.replace("weights.h5", "moved.h5")
    with pytest.raises(WeightsError, match=r"by a browser and put it at .*weights\.h5") as error:
        downloads.download(file, address=address)
    assert address in str(error.value)
    if address.endswith("moved.h5"):
        assert "404 Not Found" in str(error.value)


def test_the_progress_bar_reaches_the_end(file, capsys):
    downloads.download(file, progress=True)
    shown = capsys.readouterr().err
    assert "weights.h5: 100%" in shown
    assert "B/s" in shown


def test_a_full_disk_says_so(file, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(WeightsError, match="bytes do not fit on the disk.*KERAS_HOME"):
        downloads.download(file)


def test_two_downloads_at_once_do_not_mix(file, monkeypatch):
    monkeypatch.setattr(downloads, "WAIT", 0.1)
    path = weight_files.cache_path(file)
    path.parent.mkdir(parents=True)
    with locked(path, 0), pytest.raises(LockError, match=f"process {os.getpid()}"):
        downloads.download(file)
