"""Two processes on one file: one waits, says for whom; and a file is whole after any end."""

import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from koala_face.foundation.files import LockError, locked, replacing

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from koala_face.foundation.files import locked
with locked(sys.argv[1], 0):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path/rows.h5 until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "rows.h5"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_gives_up_after_its_time_and_names_the_holder(tmp_path, holder):
    with pytest.raises(LockError) as raised, locked(tmp_path / "rows.h5", 0.2):
        pass
    assert f"process {holder.pid} on {socket.gethostname()}" in str(raised.value)
    assert "0.2 seconds" in str(raised.value)


def test_waits_for_the_holder_and_says_so(tmp_path, holder, caplog):
    caplog.set_level(logging.INFO)

    def let_go(record):
        holder.stdin.write("\n")
        holder.stdin.flush()
        return True

    caplog.handler.addFilter(let_go)
    with locked(tmp_path / "rows.h5", 30):
        held_by = (tmp_path / "rows.h5.holder").read_text()
    caplog.handler.removeFilter(let_go)
    assert held_by.startswith(f"process {os.getpid()} ")
    (record,) = caplog.records
    assert f"process {holder.pid} on" in record.getMessage()
    assert "waiting" in record.getMessage()


def test_a_killed_holder_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with locked(tmp_path / "rows.h5", 0):
        assert (tmp_path / "rows.h5.holder").exists()
    assert not (tmp_path / "rows.h5.holder").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model.h5"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert [one.read_text() for one in tmp_path.iterdir()] == ["new"]


def test_a_name_of_255_bytes_can_be_replaced(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    with replacing(path) as beside:
        beside.write_text("whole")
    assert path.read_text() == "whole"


def test_what_a_killed_process_left_beside_goes_and_a_living_ones_stays(tmp_path):
    program = (
        "import sys, time\n"
        "from koala_face.foundation.files import replacing\n"
        "with replacing(sys.argv[1]) as beside:\n"
        "    beside.write_text('half')\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "theirs")]
    killed, living = (
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) for _ in range(2)
    )
    try:
        assert [child.stdout.readline() for child in (killed, living)] == ["begun\n"] * 2
        killed.kill()
        killed.wait()
        assert len(list(tmp_path.iterdir())) == 2
        with replacing(tmp_path / "mine") as beside:
            beside.write_text("whole")
        left = [path.name for path in tmp_path.iterdir() if path.name != "mine"]
        assert len(left) == 1
        assert f"-{living.pid}-" in left[0]
    finally:
        for child in (killed, living):
            child.kill()
            child.communicate()
