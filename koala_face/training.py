"""Training (Section II.F): Adam on the mean squared error of ab, in epochs of fixed steps.

The network that trains is not the one that is validated and saved: that is a copy of it whose
batch norm statistics are measured over training portraits (see `batch_norm`). The order of the
portraits depends on seed and step alone, so a run that is stopped anywhere goes on as if nothing
had happened.
"""

import datetime
import logging
import time

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from koala_face import data, models, sampling
from koala_face.batch_norm import statistics_batches
from koala_face.errors import KoalaFaceError
from koala_face.figures import draw_loss
from koala_face.interrupts import deferred_interrupt
from koala_face.losses import make_loss
from koala_face.model_files import ModelDescription, load_model, save_model
from koala_face.optimization import (
    WeightAverage,
    learning_rate_of,
    make_optimizer,
    make_train_step,
)
from koala_face.recipe import Recipe
from koala_face.run_folder import RunFolder
from koala_face.tensorboard_log import TensorBoardLog
from koala_face.validation import Validation

keras = tf.keras
log = logging.getLogger(__name__)

# The first steps are slower: they compile.
UNMEASURED_STEPS = 2


class TrainingError(KoalaFaceError):
    """Training cannot go on."""


class Training:
    """A run: the network, its optimizer, its place in the sequence of steps, and its folder."""

    def __init__(
        self,
        train: data.Portraits,
        validation: data.Portraits,
        run: RunFolder,
        recipe: Recipe,
        description: ModelDescription,
        precision: str = "float32",
        tensorboard: bool = False,
    ):
        self.train = train
        self.run, self.recipe, self.description = run, recipe, description
        self.tensorboard = TensorBoardLog(run.path / "tensorboard") if tensorboard else None
        shape = (description.embedding_dim, description.size)
        keras.mixed_precision.set_global_policy(precision)
        self.model = models.build_colorizer(*shape)
        keras.mixed_precision.set_global_policy("float32")
        self.published = models.build_colorizer(*shape)
        self.validation = Validation(self.published, validation, recipe)
        self.learning_rate = learning_rate_of(recipe)
        self.optimizer = make_optimizer(self.model, self.learning_rate)
        self.average = WeightAverage(self.model, recipe.averaging)
        loss = make_loss(recipe.loss, train)
        self.train_step = make_train_step(
            self.model, self.optimizer, recipe.xla, loss, self.average.update
        )
        self.noise = sampling.noise_deviation(recipe, train.embeddings)
        self.estimated = False
        self.position = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        state = tf.train.Checkpoint(
            model=self.model,
            optimizer=self.optimizer,
            average=self.average,
            position=self.position,
            loss_sum=self.loss_sum,
        )
        self.states = tf.train.CheckpointManager(state, str(run.state_folder), max_to_keep=2)

    @property
    def step(self) -> int:
        """Steps trained so far."""
        return int(self.position)

    def restore(self) -> int:
        """Go back to the last saved step, 0 if there is none; returns it."""
        self.states.restore_or_initialize()
        # A row that was written when the state was not belongs to an epoch yet to be repeated;
        # a state whose row is missing, to one whose end is yet to be repeated.
        ended, begun = divmod(self.step, self.recipe.steps_per_epoch)
        history = self.run.history()[:ended]
        self.run.write_history(history)
        if len(history) == ended and not begun:
            self.loss_sum.assign(0.0)
        return self.step

    def start_from(self, path) -> None:
        """Take the weights of a model file in place of random ones, whatever its size.

        Raises:
            ModelFileError: for a file that is no model of this package.
            TrainingError: if its descriptor is another one.
        """
        model, found = load_model(path)
        asked = self.description
        if (found.backbone, found.layer) != (asked.backbone, asked.layer):
            raise TrainingError(
                f"Expected a model with the descriptor {asked.backbone} ({asked.layer}) to start "
                f"from. Received: {path} with {found.backbone} ({found.layer})."
            )
        self.model.set_weights(model.get_weights())
        self.average.restart()

    def fit(self, after_epoch=None) -> list[dict]:
        """Train the epochs that are left; returns the history, a dict per epoch.

        Args:
            after_epoch: called with the history so far and the network as it was just saved.

        Raises:
            TrainingError: for a loss that is not finite.
            KeyboardInterrupt: after Ctrl-C, with state and a usable model saved.
        """
        with deferred_interrupt() as stop_if_asked:
            try:
                for epoch in range(len(self.run.history()), self.recipe.epochs):
                    self._train_epoch(epoch, stop_if_asked)
                    self._finish_epoch()
                    if after_epoch:
                        after_epoch(self.run.history(), self.published)
            except KeyboardInterrupt:
                self.save_state()
                self._publish(batches=2)
                save_model(self.published, self.run.model_file, self.description)
                log.info("Stopped after step %d; %s is usable.", self.step, self.run.model_file)
                raise
        return self.run.history()

    def save_state(self) -> None:
        """Write weights, optimizer and position: a resumed run goes on from here."""
        self.states.save()

    def _train_epoch(self, epoch: int, stop_if_asked) -> None:
        """Train the steps that are left of an epoch, counted from 0."""
        recipe = self.recipe
        self.epoch_started = saved = time.monotonic()
        measured = self.step + UNMEASURED_STEPS
        bar = tqdm(
            self._batches(self.step, (epoch + 1) * recipe.steps_per_epoch),
            desc=f"epoch {epoch + 1}/{recipe.epochs}",
            total=recipe.steps_per_epoch,
            initial=self.step - epoch * recipe.steps_per_epoch,
            unit="step",
            disable=None,
            leave=False,
        )
        for inputs, truth in bar:
            stop_if_asked()
            loss = float(self.train_step(*inputs, *truth))
            self._check(loss)
            self.position.assign_add(1)
            self.loss_sum.assign_add(loss)
            bar.set_postfix(loss=f"{loss:.5f}")
            if self.step == measured:
                measuring = time.monotonic()
            elif self.step == measured + 1 and not self.estimated:
                self._estimate(time.monotonic() - measuring)
            if time.monotonic() - saved > recipe.save_seconds:
                self.save_state()
                saved = time.monotonic()

    def _estimate(self, seconds_per_step: float) -> None:
        """Say once how long the steps left will take, without the validations between them."""
        left = self.recipe.steps - self.step
        duration = datetime.timedelta(seconds=round(left * seconds_per_step))
        log.info(
            "%.2f s a step: about %s for the %d steps left, validation not counted.",
            *(seconds_per_step, duration, left),
        )
        self.estimated = True

    def _batches(self, start: int, stop: int) -> tf.data.Dataset:
        """The training batches of steps `start` to `stop`."""
        return sampling.training_batches(self.train, self.recipe, start, stop, self.noise)

    def _check(self, loss: float) -> None:
        if np.isfinite(loss):
            return
        epoch, step = divmod(self.step, self.recipe.steps_per_epoch)
        raise TrainingError(
            f"Expected a finite loss. Received: {loss} in epoch {epoch + 1}, step {step + 1}. "
            "Likely causes: a learning rate that is too high (try a tenth with "
            "--learning-rate), NaN in the embeddings (delete the cache), or mixed precision. "
            f"The model of the last whole epoch is kept: {self.run.model_file}."
        )

    def _finish_epoch(self) -> None:
        """Validate, save the models, the history and its figure, and at last the state."""
        history, steps_per_epoch = self.run.history(), self.recipe.steps_per_epoch
        untreated, treated = self._validate_both()
        rate = self.learning_rate
        row = {
            "epoch": self.step // steps_per_epoch,
            "loss": float(self.loss_sum) / steps_per_epoch,
            "val_loss": treated,
            "val_loss_untreated": untreated,
            "learning_rate": float(rate(self.step - 1) if callable(rate) else rate),
            "seconds": round(time.monotonic() - self.epoch_started, 1),
        }
        best = treated < min((past["val_loss"] for past in history), default=np.inf)
        history.append(row)
        save_model(self.published, self.run.model_file, self.description)
        if best:
            save_model(self.published, self.run.best_file, self.description)
        self.run.write_history(history)
        draw_loss(history, self.run.loss_figure)
        if self.tensorboard:
            self.tensorboard.write(row)
        self.loss_sum.assign(0.0)
        self.save_state()
        log.info(
            "epoch %(epoch)d: loss %(loss).6f, val_loss %(val_loss).6f "
            "(with moving averages %(val_loss_untreated).6f), %(seconds).0f s" + best * ", best",
            row,
        )

    def _validate_both(self) -> tuple[float, float]:
        """The validation loss with batch norm's moving averages and with measured statistics."""
        self.published.set_weights(self.model.get_weights())
        untreated = self.validation.error()
        save_model(self.published, self.run.untreated_file, self.description)
        self._publish()
        return untreated, self.validation.error()

    def _publish(self, batches: int | None = None) -> None:
        """Copy the network's weights, or their average, to `published` and measure its batch
        norm statistics, over the steps trained last."""
        self.published.set_weights(self.model.get_weights())
        self.average.copy_to(self.published)
        batches = batches or statistics_batches(self.recipe)
        start = max(self.step - batches, 0)
        self.validation.reestimate(self._batches(start, start + batches))
