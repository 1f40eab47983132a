"""Training (II.F): a run on two portraits, stopped in every way, and resumed."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from koala_face.backbones import find_backbone
from koala_face.data.portraits import load_portraits
from koala_face.model_files.files import ModelDescription, load_model
from koala_face.training import loop
from koala_face.training.recipe import Recipe
from koala_face.training.run_folder import RunFolder

SIZE = 16
RECIPE = Recipe(epochs=2, steps_per_epoch=3, batch_size=4, flip=True, xla=False)


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


@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_stopped_run_resumes_to_the_very_same_weights(portraits, tmp_path, whole_run, stop_after):
    _, history, weights = whole_run
    session = start(portraits, tmp_path)
    train_step = session.train_step

    def step_and_interrupt(*arguments):
        if session.step == stop_after - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return train_step(*arguments)

    session.train_step = step_and_interrupt
    with pytest.raises(KeyboardInterrupt):
        session.fit()
    assert session.step == stop_after
    assert (tmp_path / "model.h5").exists()

    resumed = start(portraits, tmp_path)
    assert resumed.step == stop_after
    again = resumed.fit()
    for ours, theirs in zip(resumed.model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for ours, theirs in zip(again, history, strict=True):
        for key in ("epoch", "loss", "val_loss", "learning_rate"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-6)


def test_a_run_killed_after_its_history_row_writes_that_row_once(portraits, tmp_path):
    session = start(portraits, tmp_path)
    session.save_state = lambda: (_ for _ in ()).throw(MemoryError("killed"))
    with pytest.raises(MemoryError):
        session.fit()
    resumed = start(portraits, tmp_path)
    assert resumed.step == 0
    assert [row["epoch"] for row in resumed.fit()] == [1, 2]


@pytest.mark.parametrize("lost", ["write_history", "save_state"])
def test_a_run_killed_at_an_epochs_end_repeats_that_end(portraits, tmp_path, whole_run, lost):
    """The state of the epoch's last step is saved; the kill comes before or after its row."""
    session = start(portraits, tmp_path, dataclasses.replace(RECIPE, save_seconds=0.0))
    owner = session.run if lost == "write_history" else session
    function = getattr(owner, lost)

    def fail_at_the_end(*arguments):
        if session.step == RECIPE.steps_per_epoch and session.loss_sum.numpy() == 0.0:
            raise MemoryError("killed")
        if lost == "write_history" and session.step == RECIPE.steps_per_epoch:
            raise MemoryError("killed")
        function(*arguments)

    setattr(owner, lost, fail_at_the_end)
    with pytest.raises(MemoryError):
        session.fit()
    resumed = start(portraits, tmp_path)
    assert resumed.step == RECIPE.steps_per_epoch
    losses = [row["loss"] for row in resumed.fit()]
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
    session.description = dataclasses.replace(session.description, backbone="facenet")
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
