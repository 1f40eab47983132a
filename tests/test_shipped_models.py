"""The model that ships gives the score that its own attributes name."""

import csv
import json

import h5py
import numpy as np
import pytest

from koala_face import evaluate
from koala_face.sample_portraits import write_sample_portraits
from koala_face.shipped_models import shipped_model

# What a package of several models may carry for each.
LARGEST_BYTES = 16 * 2**20


@pytest.fixture(scope="module")
def training():
    """What the file says of its training, read with h5py alone."""
    with h5py.File(shipped_model(), "r") as file:
        return json.loads(file.attrs["koala_face_training"])


def test_the_file_says_how_it_was_made(training):
    assert shipped_model().stat().st_size <= LARGEST_BYTES
    assert {"command", "data", "portraits", "seed", "date", "validation_scores"} <= set(training)


def test_the_published_score_is_that_of_the_file(training, tmp_path):
    write_sample_portraits(tmp_path / "portraits")
    argv = ["--data", tmp_path / "portraits", "-o", tmp_path / "report"]
    evaluate.main([str(word) for word in [*argv, "--cache", tmp_path / "cache"]])
    with open(tmp_path / "report" / "portraits.csv", newline="") as file:
        errors = [float(row["model_mse"]) for row in csv.DictReader(file)]
    assert len(errors) == 2
    np.testing.assert_allclose(np.mean(errors), training["sample_scores"]["mse"], rtol=0.01)
