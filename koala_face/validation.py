"""The validation of a network between epochs, and the batch norm statistics that it takes."""

import numpy as np
import tensorflow as tf

from koala_face import data
from koala_face.batch_norm import make_reestimate, statistics_batches
from koala_face.losses import mean_squared_error
from koala_face.optimization import quickest_forward
from koala_face.recipe import Recipe

keras = tf.keras

# `fast_models` takes XLA some 20 CPU seconds longer to compile for this, and wins them back on
# this many pixels: 160 portraits of 256x256.
REPAID_PIXELS = 160 * 256**2


class Validation:
    """What is measured of a network after each epoch.

    Args:
        model: the network of Section II.D whose error counts.
        portraits: those to validate on.
        recipe: says in which batches, how often and whether by XLA.
    """

    def __init__(self, model: keras.Model, portraits: data.Portraits, recipe: Recipe):
        self.portraits, self.batch_size = portraits, recipe.batch_size
        passes = 2 * len(portraits) + statistics_batches(recipe) * recipe.batch_size
        pixels = recipe.epochs * passes * model.inputs[0].shape[1] ** 2
        forward = quickest_forward(model, recipe.xla and pixels > REPAID_PIXELS)
        self.reestimate = make_reestimate(model, forward, recipe.xla)
        self.batch_error = make_batch_error(forward, recipe.xla)

    def error(self) -> float:
        """The mean squared error over all values of all portraits, in squared units of ab/128."""
        order = np.arange(len(self.portraits))
        pairs = data.batches(self.portraits, order, self.batch_size)
        errors = [float(self.batch_error(*inputs, ab)) * len(ab) for inputs, ab in pairs]
        return sum(errors) / len(self.portraits)


def make_batch_error(forward, compiled: bool = True):
    """A function of (luminance, embedding, ab) that gives a batch's mean squared error.

    Args:
        forward: of (luminance, embedding, training); see `optimization.quickest_forward`.
    """

    @tf.function(autograph=False, jit_compile=compiled or None)
    def batch_error(luminance, embedding, ab):
        predicted = tf.cast(forward(luminance, embedding, False), tf.float32)
        return mean_squared_error(luminance, predicted, ab)

    return batch_error
