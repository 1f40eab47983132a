"""The arithmetic of Section II.F: Adam (II.F.2) on the mean squared error of ab, step by step."""

from typing import NamedTuple

import tensorflow as tf

from koala_face.fast_models import fast_forward

keras = tf.keras


class Recipe(NamedTuple):
    """How a network is trained: Section II.F, and our choice where the paper is silent."""

    epochs: int = 21  # II.F
    steps_per_epoch: int = 40  # II.F
    batch_size: int = 50  # II.F
    learning_rate: float = 0.001  # our choice: Adam's default
    schedule: str = "constant"  # II.F.2
    flip: bool = False  # our choice: the paper names no augmentation
    seed: int = 0  # our choice
    compiled: bool = True  # our choice: XLA
    save_seconds: float = 30.0  # our choice

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch


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


def training_forward(model: keras.Model, compiled: bool):
    """The network of the tables in training, in the arithmetic that is quickest here.

    On a CPU, compiled by XLA and in float32, that is the rewriting of `fast_models`: the same
    function of the same variables. Everywhere else it is the model itself.
    """
    precise = model.get_layer("encoder_conv1").compute_dtype == "float32"
    if compiled and precise and not tf.config.list_logical_devices("GPU"):
        return lambda luminance, embedding: fast_forward(model, luminance, embedding, training=True)
    return lambda luminance, embedding: model([luminance, embedding], training=True)


def make_train_step(model: keras.Model, optimizer, compiled: bool = True):
    """A function of (luminance, embedding, ab) that trains one step and returns the loss."""
    forward = training_forward(model, compiled)

    @tf.function(autograph=False, jit_compile=compiled or None)
    def train_step(luminance, embedding, ab):
        with tf.GradientTape() as tape:
            predicted = tf.cast(forward(luminance, embedding), tf.float32)
            loss = tf.reduce_mean(tf.math.squared_difference(predicted, ab))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return train_step


def make_validate(model: keras.Model, compiled: bool = True):
    """A function of batches ((luminance, embedding), ab) that gives `model`'s mean squared error.

    The error is in squared units of ab/128, over all values of all portraits.
    """

    @tf.function(autograph=False, jit_compile=compiled or None)
    def squared_error(luminance, embedding, ab):
        predicted = tf.cast(model([luminance, embedding], training=False), tf.float32)
        return tf.reduce_sum(tf.math.squared_difference(predicted, ab))

    def validate(batches) -> float:
        total = count = 0.0
        for (luminance, embedding), ab in batches:
            total += float(squared_error(luminance, embedding, ab))
            count += float(tf.size(ab))
        return total / count

    return validate
