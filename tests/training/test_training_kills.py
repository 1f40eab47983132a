"""Stress: kill -9 training at random moments; the resumed run ends with the very same weights.

Run with `python -m pytest -m slow tests/test_training_kills.py`; takes some ten minutes.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from koala_face.training.run_folder import RunFolder

KILLS = 20
EPOCHS = 12


def command(folder, cache, output):
    argv = ["--data", folder, "--validation", folder, "--cache", cache, "--output", output]
    argv += ["--backbone", "none", "--size", 16, "--batch-size", 2, "--no-xla", "--flip"]
    argv += ["--epochs", EPOCHS, "--steps-per-epoch", 4, "--save-seconds", 0, "--resume"]
    return [sys.executable, "-m", "koala_face.train", *map(str, argv)]


def weights(file):
    """Every weight of a model file, by name."""
    found = {}
    with h5py.File(file, "r") as opened:
        opened["model_weights"].visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    return found


def start(argv, log):
    return subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.slow
def test_no_kill_loses_anything(portrait_folder, tmp_path):
    cache = tmp_path / "cache"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    log_path = tmp_path / "log"
    with open(log_path, "wb") as log:
        started = time.monotonic()
        assert start(command(portrait_folder, cache, whole), log).wait() == 0
        duration = time.monotonic() - started

        moments, landed = random.Random(0), 0
        while landed < KILLS:
            process = start(command(portrait_folder, cache, broken), log)
            # From the first import to well into the epochs, most of them among the steps.
            time.sleep(moments.uniform(0.2, 0.9) * duration)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                landed += 1
                process.wait()
                assert damage(RunFolder(broken), whole) == [], f"after kill {landed}"
            else:
                check_same(broken, whole)
                shutil.rmtree(broken)
        # Whatever is left, undisturbed.
        assert start(command(portrait_folder, cache, broken), log).wait() == 0, log_path.read_text()
    check_same(broken, whole)


def check_same(broken, whole):
    """The run that was killed ended as the one that was not."""
    histories = [RunFolder(run).history() for run in (whole, broken)]
    assert len(histories[1]) == EPOCHS
    for row, other in zip(*histories, strict=True):
        assert {**row, "seconds": 0} == pytest.approx({**other, "seconds": 0}, rel=1e-6)
    ours, theirs = weights(broken / "model.h5"), weights(whole / "model.h5")
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6, err_msg=name)


def damage(run, whole):
    """What a kill has broken: a model that does not open, a history that is not the whole run's."""
    found = []
    expected = {row["epoch"]: row["val_loss"] for row in RunFolder(whole).history()}
    for row in run.history():
        if row["val_loss"] != pytest.approx(expected[row["epoch"]], rel=1e-6):
            found.append(f"epoch {row['epoch']} is another")
    for file in (run.model_file, run.best_file):
        if file.exists():
            try:
                weights(file)
            except OSError as error:
                found.append(str(error))
    return found
