"""Ctrl-C between two steps."""

import os
import signal

import pytest

from koala_face.training.interrupts import deferred_interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_until_stopping_is_safe(number):
    finished = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as stop_if_asked:
        os.kill(os.getpid(), number)
        finished.append("step")
        stop_if_asked()
        finished.append("next step")
    assert finished == ["step"]


def test_the_second_signal_acts_at_once():
    finished = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        finished.append("step")
    assert finished == []


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with deferred_interrupt() as stop_if_asked:
        stop_if_asked()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
