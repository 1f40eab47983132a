"""Photographs that take their time, what they come to, and a cluster of real processes."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.constant_model import NONE, describe

from koala_face.model_files.files import save_model
from koala_face.models import build_colorizer

SIZE = 64


@pytest.fixture(scope="session")
def archive(tmp_path_factory, astronaut):
    """A folder with a model, with `scans`, twelve photographs and a broken one, and with
    `local`, what the command makes of them without a cluster."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "scans").mkdir()
    large = np.asarray(Image.fromarray(astronaut[..., 0]).resize((800, 800)))
    for number in range(12):
        Image.fromarray(np.roll(large, 9 * number, 1)).save(folder / f"scans/{number:02}.png")
    (folder / "scans/broken.png").write_bytes(b"no photograph")
    # Of random weights: what it says of a pixel has last bits that may differ.
    save_model(build_colorizer(NONE.embedding_dim, SIZE), folder / "model.h5", describe(SIZE))
    words = ["scans", "-o", "local", "--model", "model.h5"]
    command = [sys.executable, "-m", "koala_face.colorize", *words]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 1
    assert len(list((folder / "local").iterdir())) == 12
    return folder


@pytest.fixture
def folder(tmp_path, archive, monkeypatch):
    """The working folder of a command: `scans` and `model.h5` are there."""
    (tmp_path / "scans").symlink_to(archive / "scans")
    (tmp_path / "model.h5").write_bytes((archive / "model.h5").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(folder):
    """A scheduler's and workers' processes, killed in the end."""
    from support.dask_processes import Processes

    processes = Processes(folder)
    yield processes
    processes.stop()
