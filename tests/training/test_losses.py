"""The losses by hand, and Zhang, Isola and Efros's weights of colours."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from skimage.color import lab2rgb

from koala_face.training import losses
from koala_face.training.recipe import LOSSES

# L*/100 where only ab counts.
GRAY = None


def test_mean_squared_error_by_hand():
    predicted = tf.constant([[[[0.5, 0.0], [0.0, 0.0]]]])
    assert float(losses.mse_loss(GRAY, predicted, tf.zeros((1, 1, 2, 2)))) == 0.25 / 4


def test_huber_is_half_the_square_below_ten_units_and_a_line_above():
    """Of an error e in units of ab: e² / 2 up to 10, then 10 (e - 5); all over 128²."""
    errors = np.array([4.0, 10.0, 30.0, -30.0], "float32")
    expected = np.array([8.0, 50.0, 250.0, 250.0]) / 128**2
    for error, value in zip(errors, expected, strict=True):
        ab = tf.fill((1, 2, 2, 2), error / 128)
        np.testing.assert_allclose(losses.huber(GRAY, ab, tf.zeros_like(ab)), value, rtol=1e-5)


def test_huber_agrees_with_keras():
    random = np.random.default_rng(0)
    predicted, ab = random.uniform(-1, 1, (2, 3, 4, 4, 2)).astype("float32")
    keras_loss = tf.keras.losses.Huber(delta=10 / 128)(ab, predicted)
    np.testing.assert_allclose(losses.huber(GRAY, predicted, ab), keras_loss, rtol=1e-5)


def test_the_errors_in_rgb_are_those_of_scikit_image_and_a_tenth_of_ab():
    """Huber's, of an error e in levels: e² / 2 up to 15, then 15 (e - 7.5); all over 255²."""
    random = np.random.default_rng(2)
    luminance = random.uniform(0, 1, (2, 8, 8, 1)).astype("float32")
    predicted, ab = random.uniform(-0.2, 0.2, (2, 2, 8, 8, 2)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # colours outside the gamut are clipped
        seen, true = (
            lab2rgb(np.concatenate([100 * luminance, 128 * colors], axis=-1))
            for colors in (predicted, ab)
        )
    error = 255 * np.abs(seen - true)
    expected = np.where(error <= 15, error**2 / 2, 15 * (error - 7.5)).mean() / 255**2
    expected += 0.1 * losses.huber(luminance, predicted, ab)
    np.testing.assert_allclose(losses.rgb_huber(luminance, predicted, ab), expected, rtol=1e-4)
    expected = np.mean((seen - true) ** 2) + 0.1 * np.mean((predicted - ab) ** 2)
    squared = losses.rgb_mse_loss(luminance, predicted, ab)
    np.testing.assert_allclose(squared, expected, rtol=1e-4)


def test_rare_colours_weigh_more_and_the_mean_weight_is_one():
    shares = np.zeros((losses.BINS, losses.BINS))
    shares[13, 13], shares[5, 20] = 0.99, 0.01
    weights = losses.color_weights(shares)
    assert weights[5, 20] > weights[13, 13]
    np.testing.assert_allclose((weights * shares).sum(), 1.0)


def test_colours_are_counted_in_bins_of_ten_units():
    """sRGB red lies at a* = 80.1, b* = 67.2 (CIE 15): bins 13 + 8 and 13 + 6."""
    red = np.zeros((2, 8, 8, 3), "uint8")
    red[..., 0] = 255
    counts = losses.count_colors(red)
    assert counts[21, 19] == 1.0
    assert counts.sum() == 1.0


def test_the_rebalanced_error_weighs_each_pixel_by_its_true_colour():
    weights = np.ones((losses.BINS, losses.BINS))
    weights[21, 19] = 7.0
    ab = np.zeros((1, 1, 2, 2), "float32")
    ab[0, 0, 1] = [80.1 / 128, 67.2 / 128]
    loss = losses.make_rebalanced(weights)
    np.testing.assert_allclose(loss(GRAY, ab + np.float32(0.5), ab), 0.25 * (1 + 7) / 2, rtol=1e-5)


def test_the_rebalanced_error_of_uniform_weights_is_the_mean_squared_one():
    random = np.random.default_rng(1)
    predicted, ab = random.uniform(-1, 1, (2, 3, 4, 4, 2)).astype("float32")
    loss = losses.make_rebalanced(np.ones((losses.BINS, losses.BINS)))
    np.testing.assert_allclose(loss(GRAY, predicted, ab), np.mean((predicted - ab) ** 2), rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_recipe_is_made_and_has_a_gradient(name, astronaut):
    loss = losses.make_loss(name, np.stack([astronaut, astronaut[:, ::-1]]))
    predicted = tf.Variable(tf.zeros((1, 4, 4, 2)))
    with tf.GradientTape() as tape:
        value = loss(tf.fill((1, 4, 4, 1), 0.5), predicted, tf.fill((1, 4, 4, 2), 0.3))
    assert float(value) > 0
    assert float(tf.reduce_max(tape.gradient(value, predicted))) < 0
