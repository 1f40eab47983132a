"""Training the head of a tuned descriptor on features that are computed once (Section IV).

The network below stays as it is: an epoch on 20,000 portraits takes seconds.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

keras = tf.keras


class HeadRecipe(NamedTuple):
    """How the head is trained; all of it our choice, as the paper leaves it to the future.

    `epochs` are the most; `patience` epochs without a lower cross-entropy on the portraits kept
    apart end it.
    """

    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 0.0001
    patience: int = 5


class Trained(NamedTuple):
    """A head's weights, for features as they are; the decay, the epochs and the cross-entropy on
    the portraits kept apart that it has them by."""

    weights: list[np.ndarray]
    weight_decay: float
    epochs: int
    cross_entropy: float


def train_head(
    build: Callable[[float], keras.Model],
    weight_decays: tuple[float, ...],
    train: tuple[np.ndarray, np.ndarray],
    apart: tuple[np.ndarray, np.ndarray],
    recipe: HeadRecipe,
) -> Trained:
    """Train by Adam on the cross-entropy, once with each weight decay; the best on `apart` counts.

    Args:
        build: a weight decay to features to probabilities; of its weights the first two are a
            kernel and a bias on the features, the last the softmax's bias.
        train, apart: features, (N, D) float32, and class numbers, (N,).
    """
    features, labels = train
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = 1.0 / np.where(deviation > 0, deviation, 1.0)
    shown = ((features - mean) * scale, labels), ((apart[0] - mean) * scale, apart[1])
    trials = [_train(build(decay), decay, *shown, recipe) for decay in weight_decays]
    best = min(trials, key=lambda trial: trial.cross_entropy)
    kernel, bias, *above = best.weights
    # The network saw each feature with mean 0 and deviation 1.
    folded = [kernel * scale[:, None], bias - (mean * scale) @ kernel]
    return best._replace(weights=[*folded, *above])


def _train(
    model: keras.Model,
    decay: float,
    train: tuple[np.ndarray, np.ndarray],
    apart: tuple[np.ndarray, np.ndarray],
    recipe: HeadRecipe,
) -> Trained:
    """One training; it begins at the classes' shares, which the softmax's bias can say alone."""
    *below, bias = model.get_weights()
    counts = np.bincount(train[1], minlength=len(bias)) + 1.0
    model.set_weights([*below, np.log(counts / counts.sum())])
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalCrossentropy(name="nats")],
        jit_compile=False,  # Keras 3 would let XLA compile a single layer: seconds for each decay
    )
    stop = keras.callbacks.EarlyStopping(
        "val_nats", patience=recipe.patience, mode="min", restore_best_weights=True
    )
    history = model.fit(
        *train,
        validation_data=apart,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        callbacks=[stop],
        verbose=0,
    ).history["val_nats"]
    return Trained(model.get_weights(), decay, len(history), float(min(history)))
