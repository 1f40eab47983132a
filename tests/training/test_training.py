"""Training (II.F): a run on two portraits, stopped in every way, and resumed."""

import dataclasses
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from support.small_network import SMALL

from koala_face import models
from koala_face.backbones import find_backbone
from koala_face.data.portraits import load_portraits
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.files import ModelDescription, load_model, save_model
from koala_face.models import build_colorizer
from koala_face.training import loop
from koala_face.training.recipe import Recipe
from koala_face.training.run_folder import RunFolder, RunFolderError

SIZE = 16
RECIPE = Recipe(epochs=2, steps_per_epoch=3, batch_size=4, flip=True, xla=False)


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.NETWORKS, SMALL.name, SMALL)
        yield


@pytest.fixture(scope="module")
def portraits(portrait_folder, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return load_portraits(portrait_folder, SIZE, find_backbone("none"), cache)


def describe():
    backbone = find_backbone("none")
    return ModelDescription(
        backbone=backbone.name,
        layer=backbone.layer,
        preprocessing=backbone.preprocessing,
        embedding_dim=backbone.embedding_dim,
        size=SIZE,
        network=SMALL.name,
        training={},
    )


def start(portraits, folder, recipe=RECIPE):
    tf.keras.utils.set_random_seed(recipe.seed)
    folder.mkdir(exist_ok=True)
    session = loop.Training(portraits, portraits, RunFolder(folder), recipe, describe())
    session.restore()
    return session


@pytest.fixture(scope="module")
def whole_run(portraits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    session = start(portraits, folder)
    return folder, session.fit(), session.model.get_weights()


def test_a_run_learns_and_leaves_its_files(whole_run):
    folder, history, _ = whole_run
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]
    assert history == RunFolder(folder).history()
    names = {path.name for path in folder.iterdir()}
    assert {
        "model.h5",
        "best.h5",
        "moving_averages.h5",
        "history.csv",
        "loss.png",
        "state",
    } <= names
    assert not [name for name in names if name.startswith(".")]


def test_who_watches_sees_each_epoch_and_its_network(portraits, tmp_path):
    seen = []

    def watch(history, network):
        saved = load_model(tmp_path / "model.h5")[0].get_weights()
        for ours, theirs in zip(network.get_weights(), saved, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        seen.append(history)

    history = start(portraits, tmp_path).fit(after_epoch=watch)
    assert seen == [history[:1], history]


@pytest.mark.parametrize(("stop_after", "signals"), [(2, 1), (3, 1), (2, 2)])
def test_a_stopped_run_resumes_to_the_very_same_weights(
    portraits, tmp_path, whole_run, stop_after, signals
):
    """A second Ctrl-C acts at once: here when the weights have moved, before anything else."""
    _, history, weights = whole_run
    session = start(portraits, tmp_path)
    train_step = session.train_step

    def step_and_interrupt(*arguments):
        last = session.step == stop_after - 1
        loss = train_step(*arguments)
        for _ in range(signals * last):
            os.kill(os.getpid(), signal.SIGINT)
        return loss

    session.train_step = step_and_interrupt
    with pytest.raises(KeyboardInterrupt):
        session.fit()
    assert session.step == stop_after
    assert (tmp_path / "model.h5").exists()

    resumed = start(portraits, tmp_path)
    assert resumed.step == stop_after
    again = resumed.fit()
    check_same(resumed, again, weights, history)


def check_same(session, history, weights, expected):
    """A run ended with these weights and this history."""
    for ours, theirs in zip(session.model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for ours, theirs in zip(history, expected, strict=True):
        for key in ("epoch", "loss", "val_loss", "learning_rate"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-6)


def test_a_signal_in_the_validation_is_seen_at_its_next_batch(portraits, tmp_path):
    recipe = dataclasses.replace(RECIPE, steps_per_epoch=1, batch_size=1)
    session = start(portraits, tmp_path, recipe)
    measured = []

    def measure_and_ask(*arguments):
        measured.append(arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return 0.0

    session.validation.batch_error = measure_and_ask
    with pytest.raises(KeyboardInterrupt):
        session.fit()
    assert len(measured) == 1
    assert session.run.model_file.exists()
    assert start(portraits, tmp_path, recipe).step == 1


def test_a_damaged_state_gives_way_to_the_one_before(portraits, tmp_path, whole_run, caplog):
    whole, history, weights = whole_run
    folder = shutil.copytree(whole, tmp_path / "run")
    newest = max(folder.glob("state/*.index"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"")
    session = start(portraits, folder)
    assert session.step < RECIPE.steps
    assert f"{newest.with_suffix('')} cannot be read" in caplog.text
    check_same(session, session.fit(), weights, history)


def test_a_run_that_lost_its_state_or_its_history_is_never_begun_anew(
    portraits, tmp_path, whole_run
):
    folder = shutil.copytree(whole_run[0], tmp_path / "run")
    model = (folder / "model.h5").read_bytes()
    session = loop.Training(portraits, portraits, RunFolder(folder), RECIPE, describe())
    rows = session.run.history()
    session.run.history_file.unlink()
    with pytest.raises(RunFolderError, match=r"Expected 2 epochs in .*model\.h5"):
        session.restore()
    session.run.write_history(rows)
    shutil.rmtree(folder / "state")
    with pytest.raises(RunFolderError, match=r"since history.csv has 2 epochs.*model\.h5"):
        session.restore()
    assert (folder / "model.h5").read_bytes() == model


def test_who_trains_keeps_their_own_precision(portraits, tmp_path):
    mixed = tf.keras.mixed_precision
    before = mixed.global_policy()
    mixed.set_global_policy("mixed_bfloat16")
    try:
        session = start(portraits, tmp_path)
        assert mixed.global_policy().name == "mixed_bfloat16"
    finally:
        mixed.set_global_policy(before)
    assert session.model.get_layer("encoder_conv1").compute_dtype == "float32"


def test_a_run_killed_before_its_first_row_begins_anew(portraits, tmp_path):
    session = start(portraits, tmp_path)
    session.state.save = lambda: (_ for _ in ()).throw(MemoryError("killed"))
    with pytest.raises(MemoryError):
        session.fit()
    resumed = start(portraits, tmp_path)
    assert resumed.step == 0
    assert [row["epoch"] for row in resumed.fit()] == [1, 2]


@pytest.mark.parametrize("lost", ["before its state", "before its row", "after its row"])
def test_a_run_killed_at_an_epochs_end_repeats_that_end(portraits, tmp_path, whole_run, lost):
    """The state of the epoch's last step is saved; the kill comes around its row."""
    session = start(portraits, tmp_path, dataclasses.replace(RECIPE, save_seconds=0.0))
    kept, save, write = [], session.state.save, session.run.write_history

    def fail_at_the_end():
        if session.step == RECIPE.steps_per_epoch:
            if lost == "before its state" and kept:
                raise MemoryError("killed")
            kept.append(session.step)
        save()

    def fail_at_the_row(rows):
        if lost == "after its row":
            write(rows)
        raise MemoryError("killed")

    session.state.save, session.run.write_history = fail_at_the_end, fail_at_the_row
    with pytest.raises(MemoryError):
        session.fit()
    resumed = start(portraits, tmp_path)
    assert resumed.step == RECIPE.steps_per_epoch
    assert len(resumed.run.history()) == (lost == "after its row")
    again = resumed.fit()
    assert [row["epoch"] for row in again] == [1, 2]
    losses = [row["loss"] for row in again]
    assert losses == pytest.approx([row["loss"] for row in whole_run[1]], rel=1e-6)


def test_nan_stops_the_run_and_keeps_the_last_good_model(portraits, tmp_path):
    session = start(portraits, tmp_path)
    train_step = session.train_step
    session.train_step = lambda *arguments: (
        float("nan") if session.step == 4 else train_step(*arguments)
    )
    with pytest.raises(loop.TrainingError, match=r"nan in epoch 2, step 2.*learning rate"):
        session.fit()
    assert [row["epoch"] for row in RunFolder(tmp_path).history()] == [1]
    assert (tmp_path / "model.h5").exists()


def test_a_finished_run_has_nothing_left_to_do(portraits, whole_run):
    folder, history, weights = whole_run
    session = start(portraits, folder)
    assert session.fit() == history
    for ours, theirs in zip(session.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_starts_from_a_model_file(portraits, tmp_path, whole_run):
    """At another size: the weights fit any."""
    folder, _, _ = whole_run
    session = start(portraits, tmp_path)
    session.start_from(folder / "model.h5")
    published = load_model(folder / "model.h5")[0].get_weights()
    for one, other in zip(session.model.get_weights(), published, strict=True):
        assert np.array_equal(one, other)
    swapped = build_colorizer(describe().embedding_dim, 24, network=SMALL.name)
    swapped = tf.keras.Model(swapped.inputs[::-1], swapped.outputs[0], name=SMALL.name)
    save_model(swapped, tmp_path / "swapped.h5", dataclasses.replace(describe(), size=24))
    with pytest.raises(KoalaFaceError, match=r"swapped\.h5"):
        session.start_from(tmp_path / "swapped.h5")
    session.description = dataclasses.replace(describe(), network="deep_koalarization")
    with pytest.raises(loop.TrainingError, match="Expected the network deep_koalarization"):
        session.start_from(folder / "model.h5")
    session.description = dataclasses.replace(describe(), backbone="facenet")
    with pytest.raises(loop.TrainingError, match="descriptor facenet"):
        session.start_from(folder / "model.h5")


def test_averaged_weights_are_published_and_resumed(portraits, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1, averaging=0.9, embedding_noise=0.1, crop=0.2)
    session = start(portraits, tmp_path / "one", recipe)
    session.fit()
    saved = session.inference_model.trainable_variables
    for kept, average in zip(saved, session.average.weights, strict=True):
        np.testing.assert_allclose(kept.numpy(), average.numpy())
    assert not np.allclose(saved[0].numpy(), session.model.trainable_variables[0].numpy())
    again = start(portraits, tmp_path / "one", recipe)
    for one, other in zip(session.average.weights, again.average.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())
