"""Two processes on one file: one waits, says for whom, and gives up after its time."""

import logging
import os
import signal
import socket
import subprocess
import sys

import pytest

from koala_face.foundation.files import LockError, locked

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
