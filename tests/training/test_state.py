"""The saved state: the newest that can be read counts, whatever a crash left of the others."""

import numpy as np
import pytest
import tensorflow as tf
from support.made_states import Values, make_state

from koala_face.training.state import State, StateError

INDEX, DATA = ".index", ".data-00000-of-00001"


@pytest.fixture
def saved(tmp_path):
    """Steps 5, 6 and 7 saved, in this order; gives the folder."""
    state = make_state(tmp_path, 1.0)
    for step in (5, 6, 7):
        state.position.assign(step)
        state.save()
    return tmp_path


def test_the_two_last_are_kept_and_the_last_is_restored(saved):
    names = {path.name for path in saved.iterdir()}
    assert names == {f"ckpt-{n}{end}" for n in (2, 3) for end in (INDEX, DATA)}
    state = make_state(saved)
    assert state.restore()
    assert int(state.position) == 7


@pytest.mark.parametrize("end", [INDEX, DATA])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other bytes"])
def test_of_a_damaged_newest_the_one_before_is_taken_and_said(saved, end, damage, caplog):
    file = saved / f"ckpt-3{end}"
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        cut = {"empty": 0, "cut": len(content) // 2, "other bytes": len(content)}[damage]
        content = bytes(255 - byte for byte in content) if damage == "other bytes" else content
        file.write_bytes(content[:cut])
    state = make_state(saved)
    assert state.restore()
    assert int(state.position) == 6
    assert "ckpt-3 cannot be read" in caplog.text
    # The next saving keeps the good one, not the damaged one.
    state.save()
    assert {path.name.partition(".")[0] for path in saved.iterdir()} == {"ckpt-2", "ckpt-4"}


def test_without_any_that_can_be_read_no_value_changes(saved):
    for file in saved.glob("*.data*"):
        file.write_bytes(file.read_bytes()[:-1])
    state = make_state(saved, 3.0)
    assert not state.restore()
    assert int(state.position) == 0
    assert not make_state(saved / "nowhere").restore()


def test_a_state_of_another_network_is_refused(saved):
    with pytest.raises(StateError, match=r"versions of TensorFlow"):
        make_state(saved, size=10).restore()


def test_what_a_killed_saving_left_goes(saved):
    (saved / "ckpt-9_temp").mkdir()
    (saved / "ckpt-9.data-00000-of-00001").write_bytes(b"half")
    (saved / "notes.txt").write_text("mine")
    state = make_state(saved)
    assert state.restore()
    state.save()
    kept = {path.name.partition(".")[0] for path in saved.iterdir()}
    assert kept == {"ckpt-3", "ckpt-10", "notes"}


def test_a_state_of_before_is_read(tmp_path):
    """As the first versions saved it, by TensorFlow's own manager."""
    values = [Values(2.0) for _ in range(3)]
    old = tf.train.Checkpoint(
        **dict(zip(("model", "optimizer", "average"), values, strict=True)),
        position=tf.Variable(11, dtype=tf.int64),
        loss_sum=tf.Variable(0.5, dtype=tf.float64),
    )
    tf.train.CheckpointManager(old, str(tmp_path), max_to_keep=2).save()
    model = Values()
    state = State(tmp_path, model, Values(), Values())
    assert state.restore()
    assert (int(state.position), float(state.loss_sum)) == (11, 0.5)
    np.testing.assert_array_equal(model.values, np.full(1000, 2.0))
