"""The device that trains: named as TensorFlow names it, there, and how it computes a step."""

import pytest
import tensorflow as tf
from support.sample_models import DESCRIPTION

from koala_face.training.device import DeviceError, find_device
from koala_face.training.distribution import Distribution
from koala_face.training.step import build_in


@pytest.mark.parametrize("name", ["cpu", "CPU:0", "/cpu:0", "/device:CPU:0"])
def test_a_device_that_is_there_is_taken(name):
    assert find_device(name) == name


@pytest.mark.parametrize("name", ["nonsense", "gpu:99", "cpu:1", ""])
def test_another_is_refused_and_the_known_are_named(name):
    with pytest.raises(DeviceError, match=f"out of cpu:0.*Received: {name}"):
        find_device(name)


def test_without_a_name_it_is_the_first_card_or_the_processor():
    assert find_device(None) in ("cpu:0", "gpu:0")


@pytest.mark.parametrize(
    ("precision", "compiled", "cards", "rewritten", "words"),
    [
        ("float32", True, 0, True, "with fewer multiplications, by XLA"),
        ("float32", False, 0, False, "the tables' layers in float32, without XLA"),
        ("float32", True, 1, False, "the tables' layers in float32, by XLA"),
        ("mixed_bfloat16", True, 0, False, "the tables' layers in mixed_bfloat16, by XLA"),
    ],
)
def test_a_step_is_computed_as_the_words_say(
    monkeypatch, precision, compiled, cards, rewritten, words
):
    model = build_in(precision, DESCRIPTION)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a card"] * cards)
    assert Distribution().way(precision, compiled) == words
    assert (Distribution().network(model, compiled) is not model) == rewritten
