"""The device that trains: named as TensorFlow names it, and there."""

import pytest

from koala_face.training.device import DeviceError, find_device


@pytest.mark.parametrize("name", ["cpu", "CPU:0", "/cpu:0", "/device:CPU:0"])
def test_a_device_that_is_there_is_taken(name):
    assert find_device(name) == name


@pytest.mark.parametrize("name", ["nonsense", "gpu:99", "cpu:1", ""])
def test_another_is_refused_and_the_known_are_named(name):
    with pytest.raises(DeviceError, match=f"out of cpu:0.*Received: {name}"):
        find_device(name)


def test_without_a_name_it_is_the_first_card_or_the_processor():
    assert find_device(None) in ("cpu:0", "gpu:0")
