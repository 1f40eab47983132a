"""Accuracies of made guesses, counted by hand."""

import numpy as np
import pytest

from koala_face.evaluation import target_accuracy

# Four portraits of six classes; the second guess of the second is right, the last is never right.
PROBABILITIES = np.array(
    [
        [0.5, 0.1, 0.1, 0.1, 0.1, 0.1],
        [0.4, 0.3, 0.1, 0.1, 0.06, 0.04],
        [0.1, 0.1, 0.5, 0.1, 0.1, 0.1],
        [0.3, 0.2, 0.2, 0.15, 0.1, 0.05],
    ]
)
LABELS = np.array([0, 1, 2, 5])
COUNTS = np.array([10, 4, 3, 2, 1, 0])


def test_hits_prior_and_chance_by_hand():
    found = target_accuracy.measure_accuracy(PROBABILITIES, LABELS, COUNTS, resamples=200)
    first, five = found["top1"], found["top5"]
    assert (first["accuracy"], first["prior"], first["gain"]) == (0.5, 0.25, 0.25)
    assert (five["accuracy"], five["prior"], five["gain"]) == (0.75, 0.75, 0.0)
    assert first["chance"] == pytest.approx(1 / 6)
    assert five["chance"] == pytest.approx(5 / 6)
    low, high = first["interval"]
    assert 0 <= low <= 0.5 <= high <= 1
    nats = -np.log([0.5, 0.3, 0.5, 0.05]).mean()
    assert found["cross_entropy"] == pytest.approx(nats)
    # One more of each class: 26 in all.
    assert found["prior_cross_entropy"] == pytest.approx(
        -np.log(np.array([11, 5, 4, 1]) / 26).mean()
    )
    text = target_accuracy.describe_accuracy(found)
    assert "top-1: 0.500" in text
    assert "the most frequent 0.250, chance 0.167" in text


def test_two_classes_are_always_among_five():
    found = target_accuracy.measure_accuracy(np.eye(2), np.array([0, 0]), np.array([1, 3]), 10)
    assert found["top5"]["accuracy"] == found["top5"]["chance"] == 1
    assert found["top1"]["prior"] == 0


def test_known_variance_by_hand():
    centers = np.array([[0.0], [10.0]])
    colors = np.array([[1.0], [9.0]])  # a spread of 16 about 5
    right = target_accuracy.measure_colors(np.eye(2), colors, centers)
    assert right == pytest.approx({"known": 1 - 1 / 16, "known_by_oracle": 1 - 1 / 16})
    even = target_accuracy.measure_colors(np.full((2, 2), 0.5), colors, centers)
    assert even["known"] == pytest.approx(0)


def test_the_prior_is_that_of_the_lists_before_the_last():
    labels = [np.array([0, 2]), np.array([2]), np.array([2, 0])]
    found = target_accuracy.measure_targets(np.eye(3)[[0, 0]], labels)
    assert (found["top1"]["accuracy"], found["top1"]["prior"]) == (0.5, 0.5)
    smoothed = np.array([2, 1, 3]) / 6
    expected = -np.log(smoothed[[2, 0]]).mean()
    assert found["prior_cross_entropy"] == pytest.approx(expected)
    assert "colors" not in found
