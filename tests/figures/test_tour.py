"""The start of a notebook: the portraits."""

import logging

import matplotlib
import pytest
from skimage import data, io

from koala_face.figures import notebook_setup, portraits


@pytest.fixture(autouse=True)
def _settings():
    level = logging.getLogger("absl").level
    with matplotlib.rc_context():
        yield
    logging.getLogger("absl").setLevel(level)


def test_without_a_folder_the_sample_portraits_are_written(tmp_path):
    folder = notebook_setup.start(None, tmp_path / "new")
    assert folder == tmp_path / "new" / "portraits"
    assert (io.imread(folder / "astronaut.png") == data.astronaut()).all()


def test_a_folder_is_taken_as_it_is(portrait_folder, tmp_path, monkeypatch):
    before = sorted(portrait_folder.rglob("*"))
    assert notebook_setup.start(portrait_folder, tmp_path / "new") == portrait_folder
    assert sorted(portrait_folder.rglob("*")) == before
    assert not (tmp_path / "new").exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert notebook_setup.start("~/portraits") == tmp_path / "portraits"


def test_figures_are_as_wide_as_a_notebooks_page(tmp_path):
    """JupyterLab and nbconvert give a page some 1,000 pixels, and shrink what is wider."""
    notebook_setup.start(tmp_path)
    figure = portraits.lab_figure(data.astronaut())
    assert 1000 <= figure.get_size_inches()[0] * figure.dpi <= 1100
