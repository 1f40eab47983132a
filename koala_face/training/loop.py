"""The loop of Section II.F: epochs of fixed steps, each followed by its validation.

The network that trains is not the one that is validated and saved: that is a copy of it whose
batch norm statistics are measured over training portraits (see `validation`). The order of the
portraits depends on seed and step alone, so a run that is stopped anywhere goes on as if nothing
had happened.
"""

import logging
import os
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from koala_face.data.portraits import Portraits
from koala_face.figures.paper import draw_loss
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.files import ModelDescription, load_model, save_model
from koala_face.models import find_network
from koala_face.training import sampling, step
from koala_face.training.distribution import Distribution
from koala_face.training.interrupts import deferred_interrupt
from koala_face.training.losses import make_loss
from koala_face.training.progress import Progress, TensorBoardLog
from koala_face.training.recipe import Recipe
from koala_face.training.run_folder import RunFolder, RunFolderError
from koala_face.training.state import State
from koala_face.training.validation import Validation

keras = tf.keras
log = logging.getLogger(__name__)


class TrainingError(KoalaFaceError):
    """Training cannot go on."""


class Training:
    """A run: the network, its optimizer, its place in the sequence of steps, and its folder."""

    def __init__(
        self,
        train: Portraits,
        validation: Portraits,
        run: RunFolder,
        recipe: Recipe,
        description: ModelDescription,
        precision: str = "float32",
        tensorboard: bool = False,
        distribution: Distribution | None = None,
    ):
        self.train, self.run, self.recipe, self.description = train, run, recipe, description
        self.distribution = distribution or Distribution()
        self.way = self.distribution.way(precision, recipe.xla)
        tensorboard = tensorboard and self.distribution.is_chief
        self.tensorboard = TensorBoardLog(run.path / "tensorboard") if tensorboard else None
        rate = step.learning_rate_of(recipe.schedule, recipe.learning_rate, recipe.steps)
        with self.distribution.scope():
            self.model = step.build_in(precision, description)
            self.learning_rate, optimizer = rate, step.make_optimizer(self.model, rate)
        self.inference_model = step.build_in("float32", description)
        passes = (recipe.batch_size, recipe.epochs, recipe.steps_per_epoch)
        self.validation = Validation(self.inference_model, validation, *passes, recipe.xla)
        self.average = step.WeightAverage(self.model, recipe.averaging)
        self.state = State(run.state_folder, self.model, optimizer, self.average)
        loss = make_loss(recipe.loss, train.rgb)
        self.train_step = step.make_train_step(
            self.model, optimizer, recipe.xla, loss, self._count_step, self.distribution
        )
        self.noise = sampling.noise_deviation(recipe.embedding_noise, train.embeddings)
        self.progress = Progress(recipe.epochs, recipe.steps_per_epoch)

    @property
    def step(self) -> int:
        """Steps trained so far."""
        return int(self.state.position)

    def fit(
        self, after_epoch: Callable[[list[dict], keras.Model], None] | None = None
    ) -> list[dict]:
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
                    started = time.monotonic()
                    self._train_epoch(epoch, stop_if_asked)
                    if not self.distribution.is_chief:
                        continue  # the chief validates and writes for all
                    untreated, treated = self._validate(self.distribution.watch(stop_if_asked))
                    self._finish_epoch(untreated, treated, time.monotonic() - started)
                    if after_epoch:
                        after_epoch(self.run.history(), self.inference_model)
            except KeyboardInterrupt:
                self._save_interrupted()
                raise
        self.distribution.wait()
        return self.run.history()

    def _train_epoch(self, epoch: int, stop_if_asked: Callable[[], None]) -> None:
        """Train the steps that are left of an epoch, counted from 0."""
        recipe = self.recipe
        saved = time.monotonic()
        part = self.distribution.part(recipe.batch_size)
        batches = self._batches(self.step, (epoch + 1) * recipe.steps_per_epoch, part)
        for inputs, truth in self.progress.start(batches, self.step):
            stop_if_asked()
            before = self.step
            loss = float(self.train_step(*inputs, *truth))
            self._check(loss, before)
            self.progress.show(loss)
            if self.distribution.is_chief and time.monotonic() - saved > recipe.save_seconds:
                self.state.save()
                saved = time.monotonic()

    def _validate(self, stop_if_asked: Callable[[], None]) -> tuple[float, float]:
        """The validation loss with batch norm's moving averages and with measured statistics.

        A network without batch norm has one, and no file of moving averages.
        """
        if not find_network(self.description.network).batch_norm:
            self._prepare_inference_model(0, stop_if_asked)
            return (self.validation.error(stop_if_asked),) * 2
        self.inference_model.set_weights(self.model.get_weights())
        untreated = self.validation.error(stop_if_asked)
        save_model(self.inference_model, self.run.moving_averages_file, self.description)
        self._prepare_inference_model(self.validation.statistics_batches, stop_if_asked)
        return untreated, self.validation.error(stop_if_asked)

    def _finish_epoch(self, untreated: float, treated: float, seconds: float) -> None:
        """Save the models, the state, the history and its figure, in this order."""
        history, steps_per_epoch = self.run.history(), self.recipe.steps_per_epoch
        rate = self.learning_rate
        row = {
            "epoch": self.step // steps_per_epoch,
            "loss": float(self.state.loss_sum) / steps_per_epoch,
            "val_loss": treated,
            "val_loss_untreated": untreated,
            "learning_rate": float(rate(self.step - 1) if callable(rate) else rate),
            "seconds": round(seconds, 1),
        }
        best = treated < min((past["val_loss"] for past in history), default=np.inf)
        history.append(row)
        save_model(self.inference_model, self.run.model_file, self.description)
        if best:
            save_model(self.inference_model, self.run.best_file, self.description)
        # Before the row, so that a history without a state is one that lost it.
        self.state.save()
        self.run.write_history(history)
        self.state.loss_sum.assign(0.0)
        draw_loss(history, self.run.loss_figure, self.recipe.loss)
        if self.tensorboard:
            self.tensorboard.write(row)
        log.info(
            "epoch %(epoch)d: loss %(loss).6f, val_loss %(val_loss).6f "
            "(with moving averages %(val_loss_untreated).6f), %(seconds).0f s" + best * ", best",
            row,
        )

    def restore(self) -> int:
        """Go back to the last saved step, 0 if there is none; returns it.

        Raises:
            RunFolderError: if the state is lost of a run with finished epochs, or the history.
        """
        history = self.run.history()
        if not self.state.restore() and history:
            raise RunFolderError(
                f"Expected a state in {self.run.state_folder} to go on from, since history.csv "
                f"has {len(history)} epochs. Found: none that can be read. "
                + self.run.describe_usable()
            )
        # A row that was written when the state was not belongs to an epoch yet to be repeated;
        # a state whose row is missing, to one whose end is yet to be repeated.
        ended, begun = divmod(self.step, self.recipe.steps_per_epoch)
        if len(history) < ended - (not begun):
            raise RunFolderError(
                f"Expected {ended} epochs in {self.run.history_file}, since the state is of step "
                f"{self.step}. Found: {len(history)}. {self.run.describe_usable()}"
            )
        if len(history) > ended:
            self.run.write_history(history[:ended])
        if len(history) >= ended and not begun:
            self.state.loss_sum.assign(0.0)
        return self.step

    def start_from(self, path: str | os.PathLike) -> None:
        """Take the weights of a model file in place of random ones, whatever its size.

        Raises:
            ModelFileError: for a file that is no model of this package.
            TrainingError: if its descriptor is another one, or its network.
        """
        model, found = load_model(path)
        asked = self.description
        if found.descriptor != asked.descriptor:
            raise TrainingError(
                f"Expected a model with the descriptor {asked.backbone} ({asked.layer}) to start "
                f"from. Received: {path} with {found.backbone} ({found.layer})."
            )
        if found.network != asked.network:
            raise TrainingError(
                f"Expected the network {asked.network} to start from. Received: {path} with "
                f"{found.network}."
            )
        self.model.set_weights(model.get_weights())
        self.average.restart()

    def _count_step(self, loss: tf.Tensor) -> None:
        """What else moves with the weights, in the same graph."""
        self.average.update()
        self.state.count(loss)

    def _batches(self, start: int, stop: int, part: slice = sampling.WHOLE) -> tf.data.Dataset:
        """The training batches of steps `start` to `stop`, or the same part of each."""
        recipe = self.recipe
        varied = {"flip": recipe.flip, "crop": recipe.crop, "noise": self.noise}
        beyond = {"shares": recipe.shares, "aged": recipe.ageing}
        return sampling.training_batches(
            self.train, start, stop, recipe.batch_size, recipe.seed, **varied, **beyond, part=part
        )

    def _prepare_inference_model(
        self, count: int, stop_if_asked: Callable[[], None] = lambda: None
    ) -> None:
        """Copy the network's weights, or their average, to `inference_model` and measure its batch
        norm statistics, over `count` batches of the steps trained last."""
        self.inference_model.set_weights(self.model.get_weights())
        self.average.copy_to(self.inference_model)
        start = max(self.step - count, 0)
        self.validation.reestimate(self._batches(start, start + count), stop_if_asked)

    def _save_interrupted(self) -> None:
        if not self.distribution.is_chief or not np.isfinite(float(self.state.loss_sum)):
            return  # the chief writes; unless between a step that failed and its error
        self.state.save()
        self._prepare_inference_model(count=2)
        save_model(self.inference_model, self.run.model_file, self.description)
        log.info("Stopped after step %d; %s is usable.", self.step, self.run.model_file)

    def _check(self, loss: float, steps_before: int) -> None:
        if np.isfinite(loss):
            return
        epoch, step = divmod(steps_before, self.recipe.steps_per_epoch)
        raise TrainingError(
            f"Expected a finite loss. Received: {loss} in epoch {epoch + 1}, step {step + 1}. "
            "Likely causes: a learning rate that is too high (try a tenth with "
            "--learning-rate), NaN in the embeddings (delete the cache), or mixed precision. "
            f"The model of the last whole epoch is kept: {self.run.model_file}."
        )
