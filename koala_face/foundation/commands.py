"""What all commands share: flags made from one frozen dataclass, and how a command ends."""

import argparse
import dataclasses
import errno
import logging
import os
import shlex
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import short_name
from koala_face.foundation.streams import LOG_LEVEL, finish_output, prepare_streams

Config = TypeVar("Config")

# Shells report a program ended by Ctrl-C as 128 + SIGINT.
INTERRUPTED = 130


def setting(
    default: Any,
    help: str,
    choices: Sequence[str] | None = None,
    positional: bool = False,
    short: str | None = None,
) -> Any:
    """A field of a command's config: its default stands once, here; its flag is made from it.

    Args:
        default: the value without the flag; `dataclasses.MISSING` if it must be given.
        help: the flag's help text.
        choices: the values allowed, or None for any.
        positional: take the values as arguments without a flag; the field is a tuple.
        short: a second, short name of the flag, such as `-o`.
    """
    metadata = {"help": help, "choices": choices, "positional": positional, "short": short}
    return dataclasses.field(default=default, metadata=metadata)


def parse_config(
    config_class: type[Config], argv: Sequence[str] | None = None, command: str | None = None
) -> Config:
    """Parse command-line flags into the frozen dataclass `config_class` of `command`.

    `batch_size: int` becomes `--batch-size N`, a bool `--flag` and `--no-flag`, a tuple a
    list separated by commas, which a repeated flag makes longer. The class's docstring opens
    the help.
    """
    parser = argparse.ArgumentParser(
        prog=command and program(command),
        description=config_class.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        _add_flag(parser, field, hints[field.name])
    values = vars(parser.parse_args(argv))
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def program(command: str) -> str:
    """A command as it can be called: `koala-face train` or `python -m koala_face train`."""
    return f"{launcher()} {command}"


def launcher() -> str:
    """The package's own command as it was called: `koala-face` or `python -m koala_face`."""
    return "koala-face" if _is_installed() else "python -m koala_face"


def _is_installed() -> bool:
    return Path(sys.argv[0]).stem in ("koala-face", "koala-face-script")


def flag_name(field_name: str) -> str:
    """`batch_size` to `--batch-size`."""
    return "--" + field_name.replace("_", "-")


def flag_words(field_name: str, value: object) -> list[str]:
    """What gives a field this value: `--size 128`, or for a bool `--flip` or `--no-flip`."""
    if isinstance(value, bool):
        return [flag_name(field_name if value else f"no_{field_name}")]
    return [flag_name(field_name), _as_text(value)]


def as_command(
    command: str, config, left_out: Sequence[str] = (), paths: Sequence[str] = ()
) -> str:
    """The command line that gives a config; default values and the settings `left_out` are not in
    it, the settings `paths` by their last two names only."""
    words = [f"python -m koala_face.{command}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default or field.name in left_out:
            continue
        if field.name in paths:
            value = tuple(map(short_name, value if isinstance(value, tuple) else (value,)))
        words += map(shlex.quote, flag_words(field.name, value))
    return " ".join(words)


def run(main: Callable[[], int | None]) -> None:
    """End the process with `main`'s status; a user's error becomes one line, status 1.

    So does a standard output that cannot be written: its reader is gone, or its disk full.
    """
    prepare_streams()
    show_progress()
    try:
        status = main()
    except KoalaFaceError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        if error.errno == errno.ENOSPC:  # and not a reader who has seen enough
            print(f"error: {error.strerror}", file=sys.stderr)
        status = 1
    if not finish_output():
        status = status or 1
    sys.exit(status or 0)


def show_progress() -> None:
    """Print this package's messages to standard error, and TensorFlow's only if they are errors."""
    os.environ.setdefault(LOG_LEVEL, "2")
    for talker in ("absl", "tensorflow"):
        # By a filter: absl sets its logger's level anew as it is loaded.
        logging.getLogger(talker).addFilter(_is_error)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger("koala_face")
    package.handlers[:] = [handler]
    package.propagate = False  # absl, which TensorFlow loads, prints all that reaches the root
    package.setLevel(logging.INFO)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _add_flag(parser, field, hint) -> None:
    required = field.default is dataclasses.MISSING
    kind = _value_type(hint)
    options = {"help": field.metadata["help"]}
    if not required and field.default not in (None, (), False):
        options["help"] += f" (default: {_as_text(field.default)})"
    if field.metadata["positional"]:
        parser.add_argument(field.name, nargs="+", metavar=field.name.upper(), **options)
        return
    if not required:
        options["default"] = field.default
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    elif kind is tuple:
        item = typing.get_args(hint)[0]
        options.update(action=_Gather, type=lambda text: _comma_separated(text, item))
        options["metavar"] = {int: "N,M", float: "X,Y"}.get(item, "A,B")
    else:
        options.update(type=kind, choices=field.metadata["choices"])
        if not options["choices"]:
            options["metavar"] = {int: "N", float: "X"}.get(kind, "TEXT")
    names = [name for name in (field.metadata["short"], flag_name(field.name)) if name]
    parser.add_argument(*names, dest=field.name, required=required, **options)


class _Gather(argparse.Action):
    """Join the values of a flag that stands more than once; the first replaces the default."""

    def __call__(self, parser, namespace, values, option_string=None):
        before = getattr(namespace, self.dest)
        given = () if before is self.default else before
        setattr(namespace, self.dest, (*given, *values))


def _value_type(hint):
    """`int | None` to int, `tuple[str, ...]` to tuple."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = [part for part in typing.get_args(hint) if part is not type(None)]
    return typing.get_origin(hint) or hint


def _comma_separated(text: str, item) -> tuple:
    try:
        return tuple(item(part) for part in text.split(",") if part)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected {item.__name__} values separated by commas, received {text!r}"
        ) from error


def _as_text(value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
