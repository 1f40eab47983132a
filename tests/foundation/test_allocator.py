"""The allocator's settings, seen from Linux: what is freed is not cleared again."""

import os
import subprocess
import sys

import pytest

# Page faults of the second of two arrays, each freed before the next.
SCRIPT = """
import resource
import numpy as np
from koala_face.foundation.allocator import keep_as_glibc_would, keep_freed_memory

{call}
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty({size}, "uint8").fill(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(call: str, size: int, **variables: str) -> int:
    script = [sys.executable, "-c", SCRIPT.format(call=call, size=size)]
    environment = {**os.environ, **variables}
    run = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_freed_memory_comes_back_without_page_faults():
    size = 256 * 2**20
    plain, kept = page_faults("", size), page_faults("assert keep_freed_memory()", size)
    assert plain > 100  # 65536 pages of 4 KiB, or 128 of 2 MiB
    assert kept < plain / 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_a_threshold_in_the_environment_is_undone():
    """That with which Dask starts its workers; by 3 MiB, as much as a small photograph takes.

    From 4 MiB on NumPy asks Linux for pages of 2 MiB, and gets them on some days.
    """
    size, dasks = 3 * 2**20, {"MALLOC_TRIM_THRESHOLD_": "65536"}
    plain = page_faults("", size, **dasks)
    kept = page_faults("assert keep_as_glibc_would()", size, **dasks)
    assert plain > 500  # 768 pages
    assert kept < plain / 10


def test_other_systems_are_left_alone(monkeypatch):
    from koala_face.foundation import allocator

    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
    assert allocator.keep_as_glibc_would() is False
