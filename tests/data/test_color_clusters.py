"""Clusters of portraits' colours: the colours by scikit-image, the clusters by hand."""

import sys

import numpy as np
import pytest
from skimage.color import rgb2lab

from koala_face.data import color_clusters
from koala_face.data.color_clusters import SIZE, ClusterError

SKIN, BLUE, GREEN, RED = (224, 172, 105), (30, 60, 200), (40, 160, 60), (200, 30, 40)


def lab_ab(color):
    return rgb2lab(np.array([[color]], np.uint8))[0, 0, 1:]


def flat(color):
    return np.broadcast_to(np.array(color, np.uint8), (SIZE, SIZE, 3)).copy()


def test_the_colours_of_a_made_portrait():
    """Blue above, green below, a red border of an eighth, skin in a part of the middle."""
    portrait = flat(BLUE)
    portrait[SIZE // 2 :] = GREEN
    portrait[24:40, 24:40] = SKIN  # half above, half below; within the middle half
    eighth = SIZE // 8
    for edge in (np.s_[:eighth], np.s_[-eighth:], np.s_[:, :eighth], np.s_[:, -eighth:]):
        portrait[edge] = RED
    skin, upper, lower, border = color_clusters.portrait_colors(portrait[None])[0].reshape(4, 2)
    np.testing.assert_allclose(skin, lab_ab(SKIN), atol=0.01)
    np.testing.assert_allclose(border, lab_ab(RED), atol=0.01)
    halves = rgb2lab(portrait)[..., 1:]
    np.testing.assert_allclose(upper, halves[: SIZE // 2].mean((0, 1)), atol=0.01)
    np.testing.assert_allclose(lower, halves[SIZE // 2 :].mean((0, 1)), atol=0.01)


def test_the_middle_stands_for_skin_that_is_not_found():
    found = color_clusters.portrait_colors(flat(BLUE)[None])[0]
    np.testing.assert_allclose(found, np.tile(lab_ab(BLUE), 4), atol=0.01)


@pytest.fixture
def three_kinds():
    """5 blue, 9 red and 2 green portraits, each a little off."""
    random = np.random.default_rng(0)
    colors = [BLUE] * 5 + [RED] * 9 + [GREEN] * 2
    return np.stack([flat(color) + random.integers(0, 5, 3).astype("uint8") for color in colors])


def test_clear_clusters_are_found_the_largest_first(three_kinds):
    colors = color_clusters.portrait_colors(three_kinds)
    centers = color_clusters.find_clusters(colors, 3, seed=0)
    expected = [np.tile(lab_ab(color), 4) for color in (RED, BLUE, GREEN)]
    np.testing.assert_allclose(centers, expected, atol=3)
    np.testing.assert_allclose(centers[0], colors[5:14].mean(axis=0), atol=1e-3)
    labels = color_clusters.nearest_cluster(colors, centers)
    assert labels.tolist() == [1] * 5 + [0] * 9 + [2] * 2
    again = color_clusters.find_clusters(colors, 3, seed=0)
    assert np.array_equal(centers, again)


def test_an_oracle_says_the_true_cluster(three_kinds):
    centers = np.stack([np.tile(lab_ab(color), 4) for color in (RED, BLUE, GREEN)])
    vectors = color_clusters.true_clusters(three_kinds[[0, 5, 14]], centers)
    assert vectors.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_more_clusters_than_colours_are_an_error():
    colors = np.repeat(np.eye(8, dtype="float32")[:2], 5, axis=0)
    with pytest.raises(ClusterError, match="of 3 different colours or more. Received: 2"):
        color_clusters.find_clusters(colors, 3, seed=0)


def test_without_scikit_learn_its_command_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ClusterError, match=r"koala_face\[tune\]"):
        color_clusters.find_clusters(np.eye(8, dtype="float32"), 2, seed=0)
