"""The three colorings beside which a model is judged: gray, a constant and the block mean.

Each is a coloring as `evaluation` scores it: a function of a `Batch` that gives ab.
"""

import logging
import os
from collections.abc import Sequence

import numpy as np

from koala_face.backbones import find_backbone
from koala_face.color import AB_SCALE
from koala_face.data.color_statistics import mean_ab
from koala_face.data.portraits import Portraits, load_portraits
from koala_face.evaluation.batch_coloring import Batch, Coloring
from koala_face.evaluation.scoring import EvaluationError
from koala_face.figures.report import code
from koala_face.foundation.files import short_name
from koala_face.model_files.files import ModelDescription

log = logging.getLogger(__name__)

# The network's last layer is an upsampling by 2 (Table III): it decides half the pixels.
OUTPUT_REDUCTION = 2


def make_baselines(constant: Sequence[float]) -> dict[str, Coloring]:
    """The colorings gray, constant and block_mean; `constant` is the mean a and b."""
    return {
        "gray": color_gray,
        "constant": make_constant(constant),
        "block_mean": color_block_mean,
    }


def color_gray(batch: Batch) -> np.ndarray:
    """The baseline a = b = 0."""
    return np.zeros_like(batch.ab)


def make_constant(mean_ab: Sequence[float]) -> Coloring:
    """The baseline that gives each pixel the same a and b: the best sepia."""

    def color_constant(batch: Batch) -> np.ndarray:
        return np.broadcast_to(np.asarray(mean_ab, np.float32), batch.ab.shape)

    return color_constant


def color_block_mean(batch: Batch) -> np.ndarray:
    """The true ab, averaged over the 2x2 pixels that the network colors as one."""
    count, height, width, _ = batch.ab.shape
    step = OUTPUT_REDUCTION
    blocks = batch.ab.reshape(count, height // step, step, width // step, step, 2)
    return blocks.mean(axis=(2, 4)).repeat(step, axis=1).repeat(step, axis=2)


def name_baselines(constant: Sequence[float], size: int) -> dict[str, str]:
    """The baselines as the tables name them."""
    half = size // OUTPUT_REDUCTION
    return {
        "gray": "gray: a = b = 0",
        "constant": f"constant: a = {constant[0]:.1f}, b = {constant[1]:.1f}",
        "block_mean": f"block mean: true ab at {half} × {half}",
    }


def find_mean_ab(
    description: ModelDescription,
    portraits: Portraits,
    train_data: str | os.PathLike | None = None,
    size: int = 256,
    cache: str | os.PathLike = "data/cache",
) -> tuple[list[float], str]:
    """The mean ab of the training portraits, and in words, as Markdown, where it comes from.

    Args:
        description: in its `training` the model's file may note it.
        portraits: the evaluated ones, which give it if nothing else does.
        train_data: the folder of training portraits; measured, whatever the model says.
        size: at which they are measured.

    Raises:
        EvaluationError: for a model whose file notes something else than two numbers.
    """
    if train_data:
        train = load_portraits(train_data, size, find_backbone("none"), cache)
        return mean_ab(train), f"of {code(short_name(train_data))}"
    if "mean_ab" in description.training:
        trained_on = description.training.get("data", "the training portraits")
        return noted_mean_ab(description), f"of {code(trained_on)}, as the model's file says"
    log.warning("The model's file does not note its training portraits' mean ab; see the report.")
    return mean_ab(portraits), (
        "of the evaluated portraits themselves, a constant in hindsight, because the model's "
        "file does not note that of its training portraits"
    )


def noted_mean_ab(description: ModelDescription) -> list[float]:
    """The two numbers that a model's file, perhaps a stranger's, gives as its mean ab."""
    noted = description.training["mean_ab"]
    try:
        numbers = np.array(noted, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array([])
    if numbers.shape != (2,) or not np.all(np.abs(numbers) <= AB_SCALE):
        raise EvaluationError(
            "Expected two numbers as the training portraits' mean ab in the model's file. "
            f"Received: {noted!r}. Name their folder with --train-data."
        )
    return numbers.tolist()
