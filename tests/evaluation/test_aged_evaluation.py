"""The rows of `evaluate --aged`: what is seen is aged, what is asked is the portrait's own."""

import numpy as np
import pytest
import tensorflow as tf
from support.constant_model import NONE, constant_model

from koala_face.colorizer.colorizer import Colorizer
from koala_face.data.portraits import Portraits
from koala_face.evaluation import aged, baselines, scoring
from koala_face.models import build_colorizer
from koala_face.training import ageing


def zeros(grays):
    return tf.zeros((tf.shape(grays)[0], NONE.embedding_dim))


@pytest.fixture(scope="module")
def portraits(astronaut, grace_hopper):
    pictures = np.stack([astronaut[:128, 160:288], grace_hopper[100:228, 200:328]])
    return Portraits(["a", "b"], pictures, np.zeros((2, 4), "float32"), {})


@pytest.fixture(scope="module")
def constant():
    return Colorizer(constant_model(9.0, 14.0), zeros, 24)


def test_a_constant_errs_alike_however_the_portrait_is_seen(portraits, constant):
    """The network's and the baseline's: nothing of the truth may be aged."""
    expected = scoring.score(portraits, baselines.make_constant([9.0, 14.0])).values
    for effects in ((), ageing.NAMES):
        errors = aged.score_aged(portraits, constant, effects)
        np.testing.assert_allclose(errors.ab_mse, expected["ab_mse"], rtol=1e-3)
        np.testing.assert_allclose(errors.mse, expected["mse"], rtol=0.01)


def test_network_and_descriptor_see_the_aged_portrait(portraits, monkeypatch):
    seen = []

    def describe(grays):
        seen.append(np.asarray(grays))
        return zeros(grays)

    colorizer = Colorizer(constant_model(9.0, 14.0), describe, 24)
    for effects in ((), ("fading",)):
        aged.score_aged(portraits, colorizer, effects)
    clean, faded = (grays.astype(float) for grays in seen)
    assert np.abs(clean - faded).mean() > 3


def test_what_is_drawn_depends_on_seed_and_row_and_not_on_the_batches(portraits):
    tf.keras.utils.set_random_seed(3)
    model = build_colorizer(NONE.embedding_dim, 32)
    colorizer = Colorizer(model, zeros, 24)

    def errors(**settings):
        return aged.score_aged(portraits, colorizer, ("grain",), **settings).ab_mse

    np.testing.assert_allclose(errors(batch_size=1), errors(batch_size=2), rtol=1e-4)
    assert np.abs(errors(seed=0) - errors(seed=1)).min() > 1e-6


def test_the_section_has_a_row_for_each_effect_and_the_baselines():
    def errors(value):
        return aged.AgedErrors(np.array([value, 3.0 * value]), np.array([value, value]))

    rows = dict.fromkeys(aged.rows_of_effects(), errors(10.0))
    text = "\n".join(aged.aged_section(rows, errors(20.0), errors(40.0), 5, 50))
    for name in (*ageing.NAMES, "all together", "none: as they are"):
        assert f"| {name} | 20.0 | 0.500 | 0.250 | 0.500 |" in text
    assert "| *gray* | 40.0 | 1.000 | 0.500 | 1.000 |" in text
    assert "seed 5" in text
