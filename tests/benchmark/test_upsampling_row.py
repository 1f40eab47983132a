"""The benchmark's row `upsampling`, each part on pictures whose answer is known by hand."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from koala_face.benchmark import upsampling_row
from koala_face.benchmark.timing import Setup
from koala_face.colorizer.colorizer import NetworkInput
from koala_face.colorizer.upsampling import EDGE_AWARE, PLAIN
from koala_face.photographs.sample_portraits import write_sample_portraits

RED, GRAY = (200, 40, 40), (120, 120, 120)


@pytest.fixture
def halves():
    """Red beside gray, 40 x 16, ten columns of them red."""
    rgb = np.full((40, 16, 3), GRAY, np.uint8)
    rgb[:, :10] = RED
    return rgb


def test_edges_of_colour_ignore_the_luminance(halves):
    """np.gradient looks at both neighbours: the columns on each side of the edge are steep."""
    halves[5:9, 12:15] = 30  # darker, but as gray
    edges = upsampling_row.color_edges(halves)
    assert edges[:, 9:11].all()
    assert edges.sum() == 2 * 40


def test_true_prediction_is_the_mean_of_each_box(astronaut):
    prediction = upsampling_row.true_prediction(astronaut, 128)
    lab = rgb2lab(astronaut)[..., 1:].reshape(64, 8, 64, 8, 2).mean((1, 3))
    np.testing.assert_allclose(prediction.ab, lab, atol=0.02)
    assert prediction.luminance.shape == (64, 64)
    assert "64x64" in prediction.name


def test_errors_of_a_flat_prediction_by_hand(halves):
    """ab of 0 leaves the gray half as it is; the red one becomes the neutral gray of its L*."""
    flat = np.zeros((4, 4, 2), np.float32)
    edges = upsampling_row.color_edges(halves)
    prediction = upsampling_row.Prediction("none", np.full((4, 4), 50, np.float32), flat)
    whole, narrow = upsampling_row.errors_of(halves, edges, prediction)
    gray = np.interp(rgb2lab(np.uint8([[RED]]))[0, 0, 0], *luminances_of_gray())
    error = np.mean((np.round(gray) - np.array(RED)) ** 2)
    for way in (PLAIN, EDGE_AWARE):
        assert whole[way] == pytest.approx(error * 10 / 16)
        assert narrow[way] == pytest.approx(error / 2)


def luminances_of_gray():
    levels = np.arange(256)
    grays = np.repeat(levels[:, None, None], 3, axis=2).astype(np.uint8)
    return rgb2lab(grays)[:, 0, 0], levels


def test_error_line_counts_the_photographs_that_gained():
    errors = [{EDGE_AWARE: 4.0, PLAIN: 8.0}, {EDGE_AWARE: 5.0, PLAIN: 4.0}]
    line = upsampling_row.error_line("row", errors)
    expected = ("row", "edge-aware: MSE 4.5, lower on 1 of 2", "plain: 6.0", "0.750", "ratio < 1")
    assert line == expected


def test_widest_difference_is_found():
    one = np.zeros((96, 128, 3), np.uint8)
    other = one.copy()
    other[40:60, 72:100] = 255
    rows, columns = upsampling_row.widest_difference(one, other, 32)
    assert rows.start <= 40
    assert rows.stop >= 60
    assert columns.start <= 72
    assert columns.stop >= 100


class NoNetwork:
    """In the place of the shipped model: it predicts no colour."""

    size, input_size = 64, 32

    @classmethod
    def load(cls):
        return cls()

    def prepare(self, pixels):
        return NetworkInput(np.full((64, 64), 38.0, np.float32), None)

    def embed(self, inputs):
        return None

    def predict(self, inputs, vectors):
        return np.zeros((1, 32, 32, 2), np.float32)


def test_the_row_measures_each_photograph_and_draws(monkeypatch, tmp_path):
    monkeypatch.setattr(upsampling_row, "Colorizer", NoNetwork)
    photographs = tuple(write_sample_portraits(tmp_path / "samples"))
    setup = Setup(photographs, tmp_path, 64, count=9, repeats=1, pictures=tmp_path)
    true, true_edges, none, none_edges, time = upsampling_row.measure_upsampling(setup)
    assert true.what == "upsampling, 2 photographs, shorter side 512-512 px, true ab, 32x32"
    assert "lower on 2 of 2" in true.value
    assert "lower on 2 of 2" in true_edges.value
    assert "32x32, edges of colour" in none_edges.what
    assert none.ratio == none_edges.ratio == "1.000"
    assert "512x600" in time.what
    assert (tmp_path / "upsampling.png").stat().st_size > 10_000
