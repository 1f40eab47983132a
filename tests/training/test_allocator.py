"""The allocator's settings, seen from Linux: what is freed is not cleared again."""

import subprocess
import sys

import pytest

# Page faults of the second of two arrays of 256 MiB, each freed before the next.
SCRIPT = """
import resource
import numpy as np
from koala_face.training.allocator import keep_freed_memory

{call}
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(2**28, "uint8").fill(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(call: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(call=call)], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_freed_memory_comes_back_without_page_faults():
    plain, kept = page_faults(""), page_faults("assert keep_freed_memory()")
    assert plain > 100  # 65536 pages of 4 KiB, or 128 of 2 MiB
    assert kept < plain / 10


def test_other_systems_are_left_alone(monkeypatch):
    from koala_face.training import allocator

    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
