"""The public names are typed: a type checker passes over a user's program, and none is left out."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import koala_face

USER = Path(__file__).parent / "support" / "typed_user.py"
MISTAKES = {
    'find_backbone("facenet", layer=None)': "find_backbone(3)",
    "description.backbone, description.size": "description.size, description.size",
}


def test_a_users_program_is_accepted_and_its_mistakes_are_not(tmp_path):
    pytest.importorskip("mypy")
    text = USER.read_text(encoding="utf-8")
    for right, wrong in MISTAKES.items():
        assert right in text
        text = text.replace(right, wrong)
    mistaken = tmp_path / "mistaken.py"
    mistaken.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), str(USER), str(mistaken)],
        cwd=Path(koala_face.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    errors = [line.split(":")[0] for line in done.stdout.splitlines() if "error:" in line]
    assert errors == [str(mistaken)] * len(MISTAKES), done.stdout + done.stderr
    assert "checked 2 source files" in done.stdout


def test_the_users_program_has_every_public_name():
    text = USER.read_text(encoding="utf-8")
    assert [name for name in dir(koala_face) if name not in text] == []


def public_functions():
    """The public functions, and the public methods of the classes that are not mere records."""
    for name in dir(koala_face):
        thing = getattr(koala_face, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and not dataclasses.is_dataclass(thing):
            for part, method in vars(thing).items():
                method = getattr(method, "__func__", method)
                if inspect.isfunction(method) and (part[0] != "_" or part[:2] == "__"):
                    yield f"{name}.{part}", method


@pytest.mark.parametrize("name", sorted(dict(public_functions())))
def test_every_parameter_and_result_is_typed(name):
    function = dict(public_functions())[name]
    hints = function.__annotations__
    parameters = [x for x in inspect.signature(function).parameters if x not in ("self", "cls")]
    assert [x for x in parameters if x not in hints] == []
    assert "return" in hints or name.endswith("__init__")
