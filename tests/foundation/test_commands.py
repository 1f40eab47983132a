"""Flags made from a config dataclass."""

import dataclasses
import subprocess
import sys

import pytest

from koala_face.foundation.commands import flag_name, parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError


@dataclasses.dataclass(frozen=True)
class Config:
    """Bake a cake."""

    flour: str = setting("wheat", "kind of flour", choices=("wheat", "rye"))
    batch_size: int = setting(50, "cakes at once")
    sugar: float | None = setting(None, "grams")
    frosting: bool = setting(False, "add frosting")
    toppings: tuple[str, ...] = setting(("nuts",), "what goes on top")
    heights: tuple[float, ...] = setting((4.5,), "of the layers, in cm")


def test_defaults_stand_once():
    assert parse_config(Config, []) == Config("wheat", 50, None, False, ("nuts",), (4.5,))


def test_flags_set_the_fields():
    argv = (
        "--flour rye --batch-size 3 --sugar 1.5 --frosting --toppings a,b --heights 3,0.5".split()
    )
    assert parse_config(Config, argv) == Config("rye", 3, 1.5, True, ("a", "b"), (3.0, 0.5))


def test_a_repeated_list_grows():
    argv = "--toppings a,b --toppings c".split()
    assert parse_config(Config, argv).toppings == ("a", "b", "c")


def test_a_short_name():
    @dataclasses.dataclass(frozen=True)
    class Short:
        """Bake."""

        output: str = setting("here", "folder", short="-o")

    assert parse_config(Short, ["-o", "there"]).output == "there"
    assert parse_config(Short, ["--output", "there"]).output == "there"


def test_a_bool_has_its_negative():
    assert parse_config(Config, ["--no-frosting"]).frosting is False


def test_help_names_defaults(capsys):
    with pytest.raises(SystemExit):
        parse_config(Config, ["--help"])
    text = capsys.readouterr().out
    assert "Bake a cake." in text
    assert "cakes at once (default: 50)" in text


@pytest.mark.parametrize(
    "argv", [["--flour", "sand"], ["--batch-size", "x"], ["--heights", "1,x"], ["--nothing"]]
)
def test_wrong_flags_end_with_status_2(argv):
    with pytest.raises(SystemExit) as end:
        parse_config(Config, argv)
    assert end.value.code == 2


def test_positional_arguments_are_a_tuple():
    @dataclasses.dataclass(frozen=True)
    class Files:
        """Take files."""

        inputs: tuple[str, ...] = setting((), "files", positional=True)

    assert parse_config(Files, ["a b", "c"]).inputs == ("a b", "c")


def test_flag_name():
    assert flag_name("steps_per_epoch") == "--steps-per-epoch"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [(KoalaFaceError("no such cake"), 1, "error: no such cake"), (KeyboardInterrupt(), 130, "int")],
)
def test_users_errors_become_one_line(error, status, text, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        run(main)
    assert end.value.code == status
    assert text in capsys.readouterr().err


def test_run_passes_the_status_on():
    with pytest.raises(SystemExit) as end:
        run(lambda: None)
    assert end.value.code == 0


def test_other_programs_lines_are_shown_only_if_they_are_errors():
    """absl's warnings too, whose level absl sets anew when it is loaded, in its own process."""
    program = """
from koala_face.foundation.commands import show_progress
show_progress()
from absl import logging
logging.set_verbosity(logging.INFO)
logging.warning("a detail")
logging.error("a misfortune")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "a detail" not in done.stderr
    assert "a misfortune" in done.stderr
