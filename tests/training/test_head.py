"""The head of a tuned descriptor: what can be told is learned, what cannot is the prior."""

import functools

import numpy as np
import pytest

from koala_face.backbones.tuned import build_head
from koala_face.training.head import HeadRecipe, train_head

RECIPE = HeadRecipe(epochs=60, batch_size=16, learning_rate=0.02)


def features_of(labels, seed):
    """Three clear classes, in units far from 0 and 1, beside a value that is always the same."""
    random = np.random.default_rng(seed)
    told = 1000 + 50 * np.eye(3)[labels] + random.normal(0, 5, (len(labels), 3))
    return np.concatenate([told, np.full((len(labels), 1), 7.0)], axis=1).astype("float32")


@pytest.mark.parametrize("hidden", [0, 8])
def test_separable_features_are_learned_for_features_as_they_are(hidden):
    labels = np.arange(90) % 3
    build = functools.partial(build_head, 4, hidden, 3)
    train, apart = ((features_of(labels, seed), labels) for seed in (1, 2))
    trained = train_head(build, (1.0, 0.001), train, apart, RECIPE)
    head = build()
    head.set_weights(trained.weights)
    told = head(features_of(labels, 3)).numpy()
    assert (told.argmax(axis=1) == labels).all()
    assert trained.weight_decay == 0.001
    own = head(apart[0]).numpy()[range(90), labels]
    assert trained.cross_entropy == pytest.approx(-np.log(own).mean(), abs=1e-3)


def test_features_that_say_nothing_leave_the_shares_of_the_classes():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    build = functools.partial(build_head, 2, 0, 3)
    nothing = np.zeros((100, 2), "float32"), labels
    trained = train_head(build, (0.0,), nothing, nothing, HeadRecipe(epochs=1))
    head = build()
    head.set_weights(trained.weights)
    told = head(np.zeros((1, 2), "float32")).numpy()[0]
    np.testing.assert_allclose(told, [0.6, 0.3, 0.1], atol=0.01)
