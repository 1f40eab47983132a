"""The recipe is the paper's, and what cannot be trained is refused."""

import math
import re

import pytest

from koala_face.training.recipe import LOSSES, SCHEDULES, Recipe, RecipeError


def test_the_defaults_are_section_two_f():
    recipe = Recipe()
    assert (recipe.epochs, recipe.steps_per_epoch, recipe.batch_size) == (21, 40, 50)
    assert (recipe.loss, recipe.schedule) == ("mse", "constant")
    beyond = (recipe.flip, recipe.crop, recipe.embedding_noise, recipe.averaging)
    beyond += (recipe.ageing, recipe.shares)
    assert not any(beyond)
    assert recipe.steps == 840
    assert recipe.loss in LOSSES
    assert recipe.schedule in SCHEDULES
    recipe.check()


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"crop": 1.0},
        {"crop": -0.1},
        {"averaging": 1.0},
        {"embedding_noise": -1.0},
        {"embedding_noise": math.inf},
        {"embedding_noise": math.nan},
        {"learning_rate": math.inf},
        {"crop": math.nan},
        {"seed": -1},
        {"seed": 2**32},
        {"save_seconds": math.nan},
        {"loss": "none"},
        {"schedule": "none"},
        {"shares": (0.5, -0.5)},
    ],
)
def test_a_value_out_of_range_is_named(setting):
    (name,) = setting
    received = re.escape(str(setting[name]))
    with pytest.raises(RecipeError, match=rf"Expected {name} of .* Received: {received}"):
        Recipe(**setting).check()
