"""The step of Section II.F: Adam (II.F.2) on the mean squared error of ab."""

from collections.abc import Callable

import tensorflow as tf

from koala_face.model_files.files import ModelDescription, build_network
from koala_face.training.distribution import Distribution
from koala_face.training.losses import Loss, mse_loss

keras = tf.keras

LearningRate = float | keras.optimizers.schedules.LearningRateSchedule


def make_train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    compiled: bool = True,
    loss_of: Loss = mse_loss,
    after_step: Callable[[tf.Tensor], None] = lambda loss: None,
    distribution: Distribution | None = None,
) -> Callable[..., tf.Tensor]:
    """A function of (luminance, embedding, ab) that trains one step and returns the loss.

    Where the network sees an aged luminance, a fourth argument is the portrait's own, with which
    its colours are judged.

    Args:
        loss_of: of luminance, predicted and true ab; see `losses`.
        after_step: called in the step's graph when the weights have moved, with the loss.
        distribution: the replicas that share the step; without it there is one.
    """
    weights, distribution = model.trainable_variables, distribution or Distribution()
    # The same function; by Winograd's scheme on a CPU.
    model, loss_of = distribution.network(model, compiled), distribution.share_of(loss_of)
    compiled = compiled and not distribution.is_shared  # XLA has no all-reduce between CPUs

    def replica_step(luminance, embedding, ab, own_luminance=None):
        with tf.GradientTape() as tape:
            predicted = tf.cast(model([luminance, embedding], training=True), tf.float32)
            loss = loss_of(luminance if own_luminance is None else own_luminance, predicted, ab)
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss

    @tf.function(autograph=False, jit_compile=compiled or None)
    def train_step(*batch):
        loss = distribution.run(replica_step, batch)
        after_step(loss)
        return loss

    return train_step


def build_in(precision: str, description: ModelDescription) -> keras.Model:
    """The network of a description, computing in `precision`, such as mixed_bfloat16."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        return build_network(description)
    finally:
        keras.mixed_precision.set_global_policy(before)


def make_optimizer(model: keras.Model, learning_rate: LearningRate) -> keras.optimizers.Optimizer:
    """Adam (II.F.2) with its moments already made, so that they can be restored."""
    optimizer = keras.optimizers.Adam(learning_rate)

    def step_nowhere():
        zeros = [tf.zeros_like(variable) for variable in model.trainable_variables]
        optimizer.apply_gradients(zip(zeros, model.trainable_variables, strict=True))

    tf.distribute.get_strategy().run(step_nowhere)
    optimizer.iterations.assign(0)
    return optimizer


def learning_rate_of(schedule: str, learning_rate: float, steps: int) -> LearningRate:
    """The learning rate as Adam takes it: constant, or a cosine from it down to zero at `steps`."""
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return learning_rate


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
