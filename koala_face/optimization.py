"""The arithmetic of Section II.F: Adam (II.F.2) on the mean squared error of ab, step by step."""

import functools

import tensorflow as tf

from koala_face.fast_models import fast_forward
from koala_face.losses import mean_squared_error
from koala_face.recipe import Recipe

keras = tf.keras


def learning_rate_of(recipe: Recipe):
    """The learning rate as Adam takes it: a constant, or a cosine from it down to zero."""
    if recipe.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.steps)
    return recipe.learning_rate


def make_optimizer(model: keras.Model, learning_rate) -> keras.optimizers.Optimizer:
    """Adam (II.F.2) with its moments already made, so that they can be restored."""
    optimizer = keras.optimizers.Adam(learning_rate)
    zeros = [tf.zeros_like(variable) for variable in model.trainable_variables]
    optimizer.apply_gradients(zip(zeros, model.trainable_variables, strict=True))
    optimizer.iterations.assign(0)
    return optimizer


def quickest_forward(model: keras.Model, compiled: bool):
    """A function of (luminance, embedding, training) in the arithmetic that is quickest here.

    On a CPU, compiled by XLA and in float32, that is the rewriting of `fast_models`: the same
    function of the same variables. Everywhere else it is the model itself.
    """
    precise = model.get_layer("encoder_conv1").compute_dtype == "float32"
    if compiled and precise and not tf.config.list_logical_devices("GPU"):
        return functools.partial(fast_forward, model)
    return lambda luminance, embedding, training: model([luminance, embedding], training=training)


class WeightAverage(tf.Module):
    """A moving average of a network's trainable weights (Polyak and Juditsky, 1992).

    The early steps count less than `decay` says, so that the first weights are soon forgotten.
    With a decay of 0 there is none and nothing is kept.
    """

    def __init__(self, model: keras.Model, decay: float):
        super().__init__()
        self._model, self._decay = model, decay
        kept = model.trainable_variables if decay else []
        self.step = tf.Variable(0.0, trainable=False)
        self.weights = [tf.Variable(tf.convert_to_tensor(v), trainable=False) for v in kept]

    def update(self) -> None:
        """Take the weights of one more step into the average."""
        if not self.weights:
            return
        self.step.assign_add(1.0)
        share = 1.0 - tf.minimum(self._decay, self.step / (self.step + 9.0))
        for average, weight in zip(self.weights, self._model.trainable_variables, strict=True):
            average.assign_add(share * (tf.convert_to_tensor(weight) - average))

    def restart(self) -> None:
        """Begin anew with the network's weights as they are now."""
        self.step.assign(0.0)
        for average, weight in zip(self.weights, self._model.trainable_variables, strict=False):
            average.assign(weight)

    def copy_to(self, model: keras.Model) -> None:
        """Give the average, if there is one, to a network of the same layers."""
        if self.weights:
            for weight, average in zip(model.trainable_variables, self.weights, strict=True):
                weight.assign(average)


def make_train_step(
    model: keras.Model,
    optimizer,
    compiled: bool = True,
    loss_of=mean_squared_error,
    after_step=lambda: None,
):
    """A function of (seen, embedding, ab) that trains one step and returns the loss.

    Where the network sees an aged portrait, a fourth argument is the portrait's own luminance,
    with which its colours are judged.

    Args:
        loss_of: of luminance, predicted and true ab; see `losses`.
        after_step: called in the step's graph when the weights have moved.
    """
    forward = quickest_forward(model, compiled)

    @tf.function(autograph=False, jit_compile=compiled or None)
    def train_step(seen, embedding, ab, luminance=None):
        with tf.GradientTape() as tape:
            predicted = tf.cast(forward(seen, embedding, True), tf.float32)
            loss = loss_of(seen if luminance is None else luminance, predicted, ab)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        after_step()
        return loss

    return train_step
