"""Standard output and error in every state that a shell can leave them in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from koala_face.foundation.streams import Unfailing, quiet_stderr

ROOT = Path(__file__).parents[2]
# A command that speaks in its own voice and in that of compiled code.
SPEAKER = """
import logging, os, sys
from koala_face.foundation.commands import run
def main():
    os.write(2, b"compiled\\n")
    logging.getLogger("koala_face.test").info("logged")
    print("printed", file=sys.stderr)
    with open("file", "w") as file:
        os.write(2, b"compiled\\n")
        file.write("content")
    print("output")
    return 3
run(main)
"""


def shell(program, redirection, folder, **environment):
    """Run a Python program in a shell, as people do; gives the finished process."""
    (folder / "program.py").write_text(program)
    line = f"'{sys.executable}' program.py {redirection}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=60,
    )


def test_compiled_code_is_not_heard_and_the_command_is(tmp_path):
    done = shell(SPEAKER, "", tmp_path, TF_CPP_MIN_LOG_LEVEL="2")
    assert (done.stderr, done.stdout, done.returncode) == ("logged\nprinted\n", "output\n", 3)


def test_who_asks_tensorflow_for_its_lines_gets_them(tmp_path):
    done = shell(SPEAKER, "", tmp_path, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.stderr.split() == ["compiled", "logged", "printed", "compiled"]


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(exec true)", "<&- 2>&-"])
def test_a_standard_error_that_nobody_reads_changes_nothing(tmp_path, redirection):
    done = shell(SPEAKER, redirection, tmp_path)
    assert (done.stderr, done.stdout, done.returncode) == ("", "output\n", 3)
    assert (tmp_path / "file").read_text() == "content", "no message went into a file"


@pytest.mark.parametrize(
    ("redirection", "message"),
    [("| true", ""), (">/dev/full", "error: No space left on device\n")],
)
@pytest.mark.parametrize("lines", [1, 9999])
def test_a_standard_output_that_is_cut_or_full_ends_with_1_and_no_trace(
    tmp_path, redirection, message, lines
):
    program = f"""
import time
from koala_face.foundation.commands import run
time.sleep(0.2)
run(lambda: print("line\\n" * {lines}))
"""
    done = shell(program, redirection, tmp_path)
    assert (done.returncode, done.stderr) == (1, message)


def test_messages_that_cannot_be_written_are_forgotten(tmp_path):
    with open(tmp_path / "file", "w") as file:
        stream = Unfailing(file)
        assert stream.write("abc") == 3
        assert stream.encoding == file.encoding
    assert stream.write("to a closed file") == 16
    stream.flush()
    assert (tmp_path / "file").read_text() == "abc"


def test_only_inside_is_compiled_code_quiet(capfd):
    os.write(2, b"before ")
    with quiet_stderr():
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_an_error_inside_gives_standard_error_back(capfd):
    with pytest.raises(RuntimeError), quiet_stderr():
        raise RuntimeError
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
