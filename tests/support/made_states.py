"""Saved states of a few made variables, for the tests of run folders."""

import tensorflow as tf

from koala_face.training.state import State


class Values(tf.Module):
    """Stands in for the network, the optimizer and the average: what TensorFlow can track."""

    def __init__(self, value=0.0, size=1000):
        super().__init__()
        self.values = tf.Variable(tf.fill((size,), float(value)))


def make_state(folder, value=0.0, size=1000):
    return State(folder, *(Values(value, size) for _ in range(3)))
