"""The notebooks: saved clean, short, with links that lead somewhere, and run from top to bottom."""

import importlib.util
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = (
    "01_portraits_in_lab",
    "02_the_network",
    "03_descriptors_and_cache",
    "04_training",
    "05_results",
    "06_in_your_own_keras_code",
)
LONGEST_CELL = 10
# A guard against a cell that hangs, long enough for a machine with other work to do; a whole
# notebook takes about a minute on two quiet cores.
CELL_SECONDS = 900
DEFINES_A_MODEL = re.compile(
    r"keras\.(Model|Sequential|Input|layers)\b|tf\.keras|^\s*class |def build_", re.M
)
# Python's part of "offline": in the kernel, no name is looked up.
OFFLINE = """
import socket

def refuse(*names, **options):
    raise OSError(f"offline: {names}")

socket.getaddrinfo = refuse
"""


def read(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


def cells(name, kind):
    return ["".join(x["source"]) for x in read(name)["cells"] if x["cell_type"] == kind]


def heading_anchors(file):
    """The anchors that GitHub gives to the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_all_notebooks_are_here_and_listed():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)
    contents = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"]({name}.ipynb)" in contents


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_saved_without_outputs(name):
    notebook = read(name)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_is_introduced_and_short(name):
    kinds = [cell["cell_type"] for cell in read(name)["cells"]]
    assert kinds[0] == "markdown"
    for kind, before in zip(kinds[1:], kinds, strict=False):
        assert kind == "markdown" or before == "markdown"
    for text in cells(name, "code"):
        assert len([line for line in text.splitlines() if line.strip()]) <= LONGEST_CELL


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_defines_no_model(name):
    for text in cells(name, "code"):
        assert not DEFINES_A_MODEL.search(text), text


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_of_code_is_the_one_to_change(name):
    first, *others = cells(name, "code")
    assert re.fullmatch(r"FOLDER = None  # .+", first)
    assert not any(re.search(r"^FOLDER\b", text, re.M) for text in others)
    assert not any(re.search(r"https?://|/home/", text) for text in others)


@pytest.mark.parametrize("name", [*NAMES, "README"])
def test_links_lead_somewhere(name):
    texts = [(FOLDER / "README.md").read_text(encoding="utf-8")]
    if name != "README":
        texts = cells(name, "markdown")
    links = [link for text in texts for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    assert links
    for link in links:
        target, _, anchor = link.partition("#")
        file = FOLDER / target
        assert file.exists(), link
        assert not anchor or anchor in heading_anchors(file), link


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel of this very interpreter, without the user's settings and without names."""
    for package in ("nbclient", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install --editable '.[tests,notebooks]'")
    place = tmp_path / "jupyter" / "kernels" / "koala_face"
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    for folder in (place, startup):
        folder.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "koala_face", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec))
    (startup / "offline.py").write_text(OFFLINE)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # The kernel starts elsewhere: this copy of koala_face is the one to be run.
    paths = [str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    return "koala_face"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own packages
@pytest.mark.filterwarnings("ignore:.*transport encryption.*")  # Jupyter's: on this machine only
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom(name, kernel, tmp_path):
    """Nothing but what the cells print: a warning or a log line on standard error is a failure."""
    import nbformat
    from nbclient import NotebookClient

    place = tmp_path / "notebooks"
    place.mkdir()
    shutil.copy(FOLDER / f"{name}.ipynb", place)
    notebook = nbformat.read(place / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(place)}}
    client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name=kernel, resources=resources)
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    noise = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not noise
    pictures = [output for output in outputs if "image/png" in output.get("data", ())]
    assert len(pictures) >= 2
    # Objects that have no picture of their own: `<Figure size 700x300 with 3 Axes>` and the like.
    shown = [output["data"] for output in outputs if "data" in output]
    plain = [data["text/plain"] for data in shown if set(data) == {"text/plain"}]
    assert not [text for text in plain if text.startswith("<")]
    # All that is written goes to the folder that git ignores.
    assert {path.name for path in place.iterdir()} == {f"{name}.ipynb", "runs"}
