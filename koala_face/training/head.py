"""Training the head of a tuned descriptor on features that are computed once (Section IV).

The network below stays as it is: an epoch on 20,000 portraits takes seconds.
"""

import dataclasses

import numpy as np
import tensorflow as tf

keras = tf.keras


@dataclasses.dataclass(frozen=True)
class HeadRecipe:
    """How the head is trained; all of it our choice, as the paper leaves it to the future.

    `patience`: epochs without a lower loss on the portraits kept apart, after which it ends.
    """

    epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 0.0003
    patience: int = 15


def train_head(
    model: keras.Model,
    train: tuple[np.ndarray, np.ndarray],
    apart: tuple[np.ndarray, np.ndarray],
    recipe: HeadRecipe,
) -> tuple[list[np.ndarray], list[float]]:
    """Train by Adam on the cross-entropy, and keep the weights of the lowest loss on `apart`.

    Args:
        train, apart: features, (N, D) float32, and class numbers, (N,).
        model: features to probabilities, with Dropout; its first weights are a kernel and a bias.

    Returns:
        The weights for features as they are, though the model saw each with mean 0 and
        deviation 1; and the loss on `apart` after each epoch.
    """
    (features, labels), (others, their_labels) = train, apart
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = 1.0 / np.where(deviation > 0, deviation, 1.0)
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss="sparse_categorical_crossentropy",
    )
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=recipe.patience, restore_best_weights=True
    )
    history = model.fit(
        (features - mean) * scale,
        labels,
        validation_data=((others - mean) * scale, their_labels),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        callbacks=[stop],
        verbose=0,
    )
    kernel, bias, *above = model.get_weights()
    bias = bias - (mean * scale) @ kernel
    kernel = kernel * scale[:, None]
    return [kernel, bias, *above], [float(loss) for loss in history.history["val_loss"]]
