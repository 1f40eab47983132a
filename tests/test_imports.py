"""Imports go one way: every room of the package names what it may import, and nothing else."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import koala_face
from koala_face.__main__ import COMMANDS, PLACES

PACKAGE = Path(koala_face.__file__).parent
# Each file of the top level and each folder, and the rooms it may import.
PAPER = {"color", "models", "metrics"}
MAY_IMPORT = {
    "foundation": set(),
    "color": set(),
    "models": {"foundation"},
    "metrics": set(),
    "photographs": {"foundation", "color"},
    "backbones": {"foundation"},
    "model_files": {"foundation", "color", "models"},
    "figures": {"foundation", "photographs", *PAPER},
    "data": {"foundation", "backbones", "photographs", "color"},
    "training": {"foundation", "backbones", "data", "model_files", "figures", "color", "models"},
    "colorizer": {
        "foundation",
        "data",
        "backbones",
        "photographs",
        "model_files",
        "color",
        "models",
    },
}
MAY_IMPORT["evaluation"] = {
    "colorizer",
    "training",
    "metrics",
    *MAY_IMPORT["training"],
    *MAY_IMPORT["colorizer"],
}
ROOMS = set(MAY_IMPORT)
MAY_IMPORT |= dict.fromkeys(COMMANDS.keys() - {"weights"}, ROOMS)  # it lies in `backbones`
MAY_IMPORT["__main__"] = {"foundation"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imported_rooms(path):
    """First names below koala_face that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "koala_face":
                names |= {alias.name for alias in node.names}
            elif node.module.startswith("koala_face."):
                names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("koala_face.")}
    return names - {"__version__"}


def test_every_room_is_in_the_table():
    found = {path.stem if path.suffix == ".py" else path.name for path in PACKAGE.iterdir()}
    found -= {"__init__", "__pycache__", "py.typed"}
    assert {name for name in found if "." not in name} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_one_way(path):
    room = module_name(path).split(".")[0]
    if room != "koala_face":
        assert imported_rooms(path) - {room} <= MAY_IMPORT.get(room, set())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_commands_do_nothing_at_import(name):
    file = PLACES.get(name, name).replace(".", "/") + ".py"
    text = (PACKAGE / file).read_text(encoding="utf-8")
    assert "def main(argv=None)" in text
    assert 'if __name__ == "__main__":' in text


def test_only_public_tensorflow_is_used():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for private in ("tensorflow.python", "tensorflow.keras", "keras.src"):
            assert private not in text, f"{path.name} uses {private}"
        assert not re.search(r"^\s*(import|from) keras\b", text, re.M), f"{path.name}: not tf.keras"


def run_python(program):
    """The output of a program in an interpreter of its own."""
    command, options = [sys.executable, "-c", program], {"capture_output": True, "text": True}
    return subprocess.run(command, cwd=PACKAGE.parent, check=True, **options).stdout


@pytest.mark.parametrize(
    ("command", "words", "named"),
    [
        ("train", ["--data", "no/where"], "no/where"),
        ("compare.__main__", ["--validation", "no/where"], "no/where"),
        ("embed", ["--data", "no/where"], "no/where"),
        ("tune", ["--data", "no/where"], "no/where"),
        ("evaluate", ["--model", "no.h5"], "no.h5"),
        ("export", ["no.h5"], "no.h5"),
    ],
)
def test_what_is_missing_ends_a_command_before_tensorflow_is_loaded(command, words, named):
    """The paper's command without data answers at once: loading TensorFlow takes seconds."""
    program = (
        f"import sys; from koala_face.{command} import main\n"
        f"try: main({words})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print('tensorflow' in sys.modules)"
    )
    output = run_python(program)
    assert named in output
    assert output.splitlines()[-1] == "False"


def test_the_package_shows_its_public_names_without_tensorflow():
    """`import koala_face` is light: the names load what they need when they are used."""
    program = (
        "import sys, koala_face\n"
        "print(*dir(koala_face))\n"
        "print('tensorflow' in sys.modules)\n"
        "print(koala_face.KoalaFaceError.__name__)"
    )
    output = run_python(program)
    names, loaded, error = output.splitlines()
    assert names.split() == [
        "Colorizer",
        "KoalaFaceError",
        "ModelDescription",
        "__version__",
        "build_colorizer",
        "build_descriptor",
        "find_backbone",
        "load_model",
        "load_portraits",
        "save_model",
    ]
    assert (loaded, error) == ("False", "KoalaFaceError")


def test_every_public_name_resolves():
    for name in dir(koala_face):
        assert getattr(koala_face, name) is not None


def test_a_listing_is_a_table_of_contents():
    listed = {path.stem for path in PACKAGE.iterdir() if path.name != "py.typed"}
    assert len([name for name in listed if not name.startswith("__")]) <= 22
