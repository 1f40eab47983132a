"""The models that ship give the scores that their own attributes name."""

import csv
import json

import h5py
import numpy as np
import pytest
import tensorflow as tf

from koala_face import evaluate
from koala_face.model_files.files import load_model, save_model
from koala_face.model_files.shipped import PRETRAINED, VARIANTS, shipped_model
from koala_face.photographs.sample_portraits import write_sample_portraits

keras = tf.keras
# What the wheel may carry for all of them: the weights stand in one file.
LARGEST_BYTES = 16 * 2**20


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


def training_of(variant):
    """What a file says of its training, read with h5py alone."""
    with h5py.File(shipped_model(variant), "r") as file:
        return json.loads(file.attrs["koala_face_training"])


def test_the_file_says_how_it_was_made(variant):
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) <= LARGEST_BYTES
    expected = {"command", "data", "portraits", "seed", "date", "saturation", "validation_scores"}
    assert expected <= set(training_of(variant))


def test_the_published_score_is_that_of_the_file(variant, tmp_path):
    """Measured by evaluate on the two sample portraits, written there by publish."""
    write_sample_portraits(tmp_path / "portraits")
    argv = ["--variant", variant, "--data", tmp_path / "portraits", "-o", tmp_path / "report"]
    evaluate.main([str(word) for word in [*argv, "--cache", tmp_path / "cache"]])
    with open(tmp_path / "report" / "portraits.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for key in ("mse", "mae", "colorfulness"):
        measured = np.mean([float(row[f"model_{key}"]) for row in rows])
        np.testing.assert_allclose(measured, training_of(variant)["sample_scores"][key], rtol=0.01)


def test_vivid_is_the_more_colorful_and_faithful_the_nearer():
    faithful, vivid = (training_of(variant)["validation_scores"] for variant in VARIANTS)
    assert faithful["mse"] < vivid["mse"]
    assert faithful["colorfulness"] < vivid["colorfulness"]


def test_vivid_is_faithful_with_stronger_colours(tmp_path):
    """And other Kerases open it once it is written whole."""
    (faithful, _), (vivid, description) = (load_model(shipped_model(name)) for name in VARIANTS)
    save_model(vivid, tmp_path / "vivid.h5", description)
    whole = keras.models.load_model(str(tmp_path / "vivid.h5"), compile=False)
    for layer in faithful.layers:
        factor = description.training["saturation"] if layer.name == "decoder_conv5" else 1.0
        for one, other in zip(
            layer.get_weights(), whole.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(factor * one, other)
