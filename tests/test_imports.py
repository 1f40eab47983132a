"""Imports go one way (house style): colour, models and metrics below, commands on top."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import koala_face

PACKAGE = Path(koala_face.__file__).parent
COMMANDS = {
    "benchmark",
    "colorize",
    "compare",
    "embed",
    "evaluate",
    "export",
    "publish",
    "train",
    "weights",
}
# What the lower modules may import from the package, beside errors, which anything may.
ALLOWED = {
    "curves": set(),
    "color": {"curves"},
    "models": set(),
    "metrics": set(),
    "errors": set(),
    "commands": set(),
    "backbones": {"backbones"},
    # color: the gray version of a portrait, as every descriptor sees it.
    "embeddings": {"backbones", "color"},
    "data": {"color", "embeddings", "backbones"},
}
# Parts without a place of their own in that order: files, locks, photographs.
FOUNDATION = {"errors", "files", "photographs", "row_file", "row_filling", "file_lock"}


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path):
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


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_flow_downwards(path):
    first = module_name(path).split(".")[0]
    imported = imported_modules(path)
    assert not (imported - {first}) & COMMANDS, "commands are imported by nobody"
    if first in ALLOWED:
        assert imported <= ALLOWED[first] | FOUNDATION


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_commands_exist_and_do_nothing_at_import(name):
    path = PACKAGE / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    assert "def main(argv=None)" in text
    assert 'if __name__ == "__main__":' in text


def test_only_public_tensorflow_is_used():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for private in ("tensorflow.python", "tensorflow.keras", "keras.src"):
            assert private not in text, f"{path.name} uses {private}"
        assert not re.search(r"^\s*(import|from) keras\b", text, re.M), f"{path.name}: not tf.keras"


def test_missing_photographs_end_before_tensorflow_is_loaded():
    """The paper's command without data answers at once: loading TensorFlow takes seconds."""
    program = (
        "import sys; from koala_face import train\n"
        "try: train.main(['--data', 'no/where'])\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=True,
    )
    assert "no/where" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
