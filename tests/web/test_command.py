"""The command: what it refuses before TensorFlow is loaded, and its whole course with the models
that ship, in a process of its own.
"""

import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.page_client import Client
from support.page_server import DEADLINE, wait_for

from koala_face.web import __main__ as command

ROOT = Path(__file__).parents[2]


def refusal(*words):
    with pytest.raises(command.KoalaFaceError) as caught:
        command.main([*words, "--no-browser"])
    return str(caught.value)


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_is_one_line(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", sys)  # one of the two alone is missing
    monkeypatch.setitem(sys.modules, package, None)
    assert refusal() == f"Expected the package {package}. Install it: pip install '.[web]'"


def test_what_is_wrong_is_said_at_once(monkeypatch):
    pytest.importorskip("starlette", reason="the page needs pip install '.[web]'")
    pytest.importorskip("uvicorn", reason="the page needs pip install '.[web]'")
    monkeypatch.delenv(command.PASSWORD, raising=False)
    for host in ("0.0.0.0", "::", "192.0.2.1", "no.such.host.invalid"):
        assert refusal("--host", host).startswith("Expected a password, for others can reach")
    assert "8 characters" in refusal("--host", "0.0.0.0", "--password", "short")
    monkeypatch.setenv(command.PASSWORD, "short")
    assert "8 characters" in refusal()
    monkeypatch.delenv(command.PASSWORD)
    assert refusal("--storage", "0").startswith("Expected a storage of more than 0 GB")
    assert refusal("--model", "gone.h5").startswith("Expected a model file")
    assert refusal("--host", "192.0.2.1", "--password", "long enough").startswith(
        "Expected an address that can be served on"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "--port 0" in refusal("--port", port)
    assert refusal("--port", "70000").startswith("Expected a port of 0 to 65535")


def test_the_page_need_not_wait_for_tensorflow():
    pytest.importorskip("koala_face.web.guard", exc_type=ImportError)
    program = "import sys, koala_face.web.server; print('tensorflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


def test_the_browser_is_opened_at_the_address(monkeypatch, capsys):
    server = pytest.importorskip("koala_face.web.server", exc_type=ImportError)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(server.Serving, "run", lambda self: wait_for(lambda: opened))
    assert command.main(["--port", "0"]) == 0
    assert opened == [capsys.readouterr().out.strip()]
    monkeypatch.setattr(server.Serving, "run", lambda self: None)
    assert command.main(["--port", "0", "--no-browser"]) == 0
    assert len(opened) == 1
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_whole_course(tmp_path, astronaut, end):
    """With SIGTERM at the end, photographs in all; with Ctrl-C, while the networks are loaded."""
    pytest.importorskip("starlette", reason="the page needs pip install '.[web]'")
    pytest.importorskip("uvicorn", reason="the page needs pip install '.[web]'")
    private = tmp_path / "private"
    private.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(private)}
    words = [sys.executable, "-m", "koala_face.web", "--no-browser", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, **pipes, text=True, env=environment) as process:
        try:
            client = Client(process.stdout.readline().strip())
            (folder,) = private.glob("koala_face-web-*")
            assert folder.stat().st_mode & 0o777 == 0o700
            if end == signal.SIGTERM:
                check_results(client, tmp_path, astronaut)
            process.send_signal(end)
            _, told = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 128 + end
    assert wait_for(lambda: not folder.exists())
    lines = told.splitlines()
    assert lines[0].startswith("Ctrl-C ends it.")
    assert lines[1:] == ["interrupted"] * (end == signal.SIGINT)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak")
def test_fifty_megapixels_in_three_gibibytes(tmp_path, astronaut):
    """RGB of 16 bits, 300 MB: prepared, shown and written by the models that ship."""
    pytest.importorskip("starlette", reason="the page needs pip install '.[web]'")
    pytest.importorskip("uvicorn", reason="the page needs pip install '.[web]'")
    large = Image.fromarray(astronaut[..., 0]).resize((7072, 7072), Image.Resampling.BILINEAR)
    rgb = np.stack([np.asarray(large)] * 3, axis=-1).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "large.tif", rgb, photometric="rgb")
    del large, rgb
    words = [sys.executable, "-m", "koala_face.web", "--no-browser", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            client = Client(process.stdout.readline().strip())
            for _ in range(2):
                assert client.drop("large.tif", (tmp_path / "large.tif").read_bytes())[0] == 201
            first = client.settled()["large.tif"]
            assert first["size"] == [7072, 7072]
            for last in ("/before", "/after", "/result"):
                assert client.ask("GET", client.place(first["id"], last))[0] == 200
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.terminate()
    (kibibytes,) = (int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))
    assert kibibytes < 3 * 2**20, f"{kibibytes / 2**20:.2f} GiB"


def check_results(client, folder, astronaut):
    """What the page gives is what the command writes, for both models that ship."""
    buffer = io.BytesIO()
    Image.fromarray(astronaut).convert("L").save(buffer, "JPEG")
    (folder / "a.jpg").write_bytes(buffer.getvalue())
    client.drop("a.jpg", buffer.getvalue())
    (one,) = client.settled().values()
    # In a process of its own: TensorFlow here may share an operation among threads already.
    words = ["colorize", str(folder / "a.jpg"), "-o", str(folder / "out"), "--variants"]
    subprocess.run([sys.executable, "-m", "koala_face", *words], cwd=ROOT, check=True)
    for variant in ("faithful", "vivid"):
        result = folder / "out" / f"a-{variant}.jpg"
        path = client.place(one["id"], "/result", variant=variant)
        assert client.ask("GET", path)[2] == result.read_bytes()
