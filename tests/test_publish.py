"""A published model is the trained one, with the scores that `evaluate` gives."""

import csv

import numpy as np
import pytest
import skimage.color
import tensorflow as tf
from support.untrained_models import save_untrained

from koala_face import evaluate, publish
from koala_face.backbones import find_backbone
from koala_face.data.portraits import load_portraits
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.files import load_model

keras = tf.keras


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("model") / "model.h5", {"seed": 3}, size=64)


@pytest.fixture
def measured_small(monkeypatch):
    """Scores at the network's own size, for tests of what else is published."""
    monkeypatch.setattr(publish, "MEASURED_SIZE", 64)


def run(model_file, folder, place, *flags):
    argv = ["--model", model_file, "--data", folder, "-o", place / "out.h5"]
    argv += ["--cache", place / "cache", *flags]
    assert publish.main([str(word) for word in argv]) == 0
    return load_model(place / "out.h5")


def test_scores_stand_in_the_file_and_are_evaluates(model_file, portrait_folder, tmp_path):
    model, description = run(model_file, portrait_folder, tmp_path)
    for one, other in zip(
        model.get_weights(), load_model(model_file)[0].get_weights(), strict=True
    ):
        assert np.array_equal(one, other)
    assert description.training["seed"] == 3
    argv = ["--model", model_file, "--data", portrait_folder, "-o", tmp_path / "report"]
    evaluate.main([str(word) for word in [*argv, "--cache", tmp_path / "cache"]])
    with open(tmp_path / "report" / "portraits.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = description.training["validation_scores"]
    expected = np.mean([float(row["model_mse"]) for row in rows])
    gray = np.mean([float(row["gray_mse"]) for row in rows])
    assert scores["mse"] == pytest.approx(expected, rel=1e-4)
    assert scores["mse_of_gray"] == pytest.approx(expected / gray, abs=1e-4)
    assert scores["portraits"] == 2
    # The folder's portraits are the sample portraits, one of them as JPEG.
    sample = description.training["sample_scores"]
    assert sample["mse"] == pytest.approx(scores["mse"], rel=0.02)


@pytest.mark.usefixtures("measured_small")
def test_saturation_goes_into_the_last_convolution(model_file, portrait_folder, tmp_path):
    model, description = run(model_file, portrait_folder, tmp_path, "--saturation", "1.5")
    random = np.random.default_rng(0)
    inputs = [random.random((1, 64, 64, 1), "float32"), np.zeros((1, 512), "float32")]
    plain = np.asarray(load_model(model_file)[0](inputs, training=False))
    stronger = np.asarray(model(inputs, training=False))
    np.testing.assert_allclose(np.arctanh(stronger), 1.5 * np.arctanh(plain), atol=1e-4)
    assert description.training["saturation"] == 1.5


@pytest.mark.usefixtures("measured_small")
def test_blended_weights_are_the_mean_with_the_share_that_is_asked(
    model_file, portrait_folder, tmp_path
):
    keras.utils.set_random_seed(7)
    other = save_untrained(tmp_path / "other.h5", {"command": "train --this"}, size=64)
    flags = ["--blend", other, "--blend-share", "0.25"]
    model, description = run(model_file, portrait_folder, tmp_path, *flags)
    weights = [load_model(path)[0].get_weights() for path in (model_file, other)]
    assert not np.array_equal(weights[0][0], weights[1][0])
    for mixed, own, theirs in zip(model.get_weights(), *weights, strict=True):
        np.testing.assert_allclose(mixed, 0.75 * own + 0.25 * theirs, atol=1e-7)
    assert description.training["blend"]["share"] == 0.25
    assert description.training["blend"]["command"] == "train --this"
    assert description.training["seed"] == 3


@pytest.mark.usefixtures("measured_small")
def test_statistics_are_measured_anew_over_the_folders(model_file, portrait_folder, tmp_path):
    folders = f"{portrait_folder},{portrait_folder}"
    model, description = run(model_file, portrait_folder, tmp_path, "--statistics", folders)
    assert description.training["statistics"]["portraits"] == 4
    untreated = load_model(model_file)[0]
    for one, other in zip(model.trainable_variables, untreated.trainable_variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())
    portraits = load_portraits(portrait_folder, 64, find_backbone("none"), tmp_path / "cache")
    luminance = skimage.color.rgb2lab(portraits.rgb[:])[..., :1] / 100
    first = keras.Model(model.inputs, model.get_layer("encoder_norm1").input)
    values = np.asarray(first([luminance.astype("float32"), portraits.embeddings[:]]))
    measured = model.get_layer("encoder_norm1").moving_variance.numpy()
    np.testing.assert_allclose(measured, values.var((0, 1, 2)), rtol=2e-3, atol=1e-7)


@pytest.mark.usefixtures("measured_small")
def test_a_variant_borrows_the_weights_of_the_file_beside_it(model_file, portrait_folder, tmp_path):
    flags = ("--saturation", "1.5", "--mirrored")
    whole, description = run(model_file, portrait_folder, tmp_path, *flags)
    copy = tmp_path / "faithful.h5"
    copy.write_bytes(model_file.read_bytes())
    variant, its = run(copy, portrait_folder, tmp_path, *flags, "--borrow")
    assert (tmp_path / "out.h5").stat().st_size < 20_000
    assert its == description
    for one, other in zip(whole.get_weights(), variant.get_weights(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.usefixtures("measured_small")
def test_the_scores_are_those_of_the_mean_of_predictions(model_file, portrait_folder, tmp_path):
    """And the file says so, for whoever colours with it."""
    scores = []
    for flags, asked in {
        (): (False, (1.0,)),
        ("--mirrored",): (True, (1.0,)),
        ("--scales", "0.5,1"): (False, (0.5, 1.0)),
    }.items():
        folder = tmp_path / str(len(scores))
        folder.mkdir()
        _, description = run(model_file, portrait_folder, folder, *flags)
        assert (description.mirrored, description.scales) == asked
        scores.append(description.training["validation_scores"]["mse"])
    assert len(set(scores)) == 3


def test_what_cannot_be_published_is_refused(model_file, portrait_folder, tmp_path):
    argv = ["--model", str(model_file), "-o", str(tmp_path / "out.h5")]
    with pytest.raises(KoalaFaceError, match="missing"):
        publish.main([*argv, "--data", "missing"])
    with pytest.raises(publish.PublishError, match="saturation above 0"):
        publish.main([*argv, "--data", str(portrait_folder), "--saturation", "0"])
    with pytest.raises(KoalaFaceError, match="1 to 5 scales"):
        publish.main([*argv, "--data", str(portrait_folder), "--scales", "0.1"])
    argv = [*argv, "--data", str(portrait_folder)]
    with pytest.raises(publish.PublishError, match=r"--borrow .* beside .*model\.h5"):
        publish.main([*argv, "--borrow"])
    for flag in ("--blend", "--statistics"):
        with pytest.raises(publish.PublishError, match=f"{flag}, not both"):
            publish.main([*argv, "--borrow", flag, str(model_file)])
    with pytest.raises(KoalaFaceError, match="missing"):
        publish.main([*argv, "--statistics", "missing"])
    ancestor = save_untrained(tmp_path / "dk.h5", network="deep_koalarization")
    other = ["--model", str(ancestor), *argv[2:], "--statistics", str(portrait_folder)]
    with pytest.raises(publish.PublishError, match=r"Received: .*dk\.h5.* has none"):
        publish.main(other)
    with pytest.raises(publish.PublishError, match="within 0-1"):
        publish.main([*argv, "--blend-share", "1"])
    smaller = save_untrained(tmp_path / "smaller.h5", size=32)
    with pytest.raises(
        publish.PublishError, match=r"size is 64. Received: .*smaller\.h5, whose is 32"
    ):
        publish.main([*argv, "--blend", str(smaller)])
    with pytest.raises(publish.PublishError, match="folder for the output"):
        publish.main([*argv, "-o", str(tmp_path / "nowhere" / "out.h5")])
    assert not (tmp_path / "out.h5").exists()
