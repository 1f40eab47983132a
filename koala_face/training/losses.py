"""What training makes small: the paper's mean squared error (eq. 2), and others to try.

Each is a function of L*/100, (B, N, N, 1), and of predicted and true ab, (B, N, N, 2) in a*/128,
b*/128, all float32, to a scalar. The paper trains in ab and measures in RGB (Section II.E):
"rgb" trains in what is measured. It calls its results brownish (Section IV): the mean squared
error is smallest at the mean of all colours that a pixel may have, which is dull. "rebalanced"
answers that.
"""

import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from koala_face.color import AB_SCALE, scaled_lab_to_rgb
from koala_face.data.color_statistics import SAMPLED_AT_ONCE, sampled_ab
from koala_face.data.row_file import Rows

Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

# Huber's threshold, 10 units of a* and b*: errors above it count by their size, not its square.
HUBER_DELTA = 10.0 / AB_SCALE
# The same for sRGB in 0-1: 15 of its 255 levels.
RGB_DELTA = 15.0 / 255.0
# In RGB hardly anything is seen of the ab of dark pixels: a little of the error in ab holds them.
AB_SHARE = 0.1
# Zhang, Isola and Efros (2016), Section 2.2: bins of 10 units of a* and b*, the share of the
# uniform distribution that is mixed in, and the deviation of the smoothing, in units of ab.
BIN = 10.0
BINS = 26
UNIFORM_SHARE = 0.5
SMOOTHING = 5.0
# Portraits whose colours are counted.
COUNTED = 1000


def make_loss(name: str, rgb: Rows | np.ndarray) -> Loss:
    """The loss of a name out of `recipe.LOSSES`.

    Args:
        rgb: the training portraits, (N, S, S, 3) uint8; "rebalanced" counts their colours.
    """
    if name == "rebalanced":
        return make_rebalanced(color_weights(count_colors(rgb)))
    return {
        "mse": mse_loss,
        "huber": huber,
        "rgb": rgb_huber,
        "rgb-mse": rgb_mse_loss,
    }[name]


def mse_loss(luminance: tf.Tensor, predicted: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """Equation 2, over all values of all portraits."""
    return tf.reduce_mean(tf.math.squared_difference(predicted, ab))


def huber(luminance: tf.Tensor, predicted: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """Half the square of small errors, and a line beyond `HUBER_DELTA` (Huber, 1964)."""
    return _huber(predicted, ab, HUBER_DELTA)


def rgb_huber(luminance: tf.Tensor, predicted: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """Huber's error of the sRGB that is seen, clipped as it is, and `AB_SHARE` of that of ab."""
    seen, true = (scaled_lab_to_rgb(luminance, colors) for colors in (predicted, ab))
    return _huber(seen, true, RGB_DELTA) + AB_SHARE * _huber(predicted, ab, HUBER_DELTA)


def rgb_mse_loss(luminance: tf.Tensor, predicted: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
    """Equation 2 of the sRGB that is seen, and `AB_SHARE` of that of ab."""
    seen, true = (scaled_lab_to_rgb(luminance, colors) for colors in (predicted, ab))
    error = mse_loss(luminance, seen, true)
    return error + AB_SHARE * mse_loss(luminance, predicted, ab)


def _huber(predicted, true, delta: float):
    error = tf.abs(predicted - true)
    small = tf.minimum(error, delta)
    return tf.reduce_mean(small * (error - 0.5 * small))


def make_rebalanced(weights: np.ndarray) -> Loss:
    """The squared error of each pixel, weighted by how rare its true colour is.

    Args:
        weights: (BINS, BINS), by bins of a* and of b*; see `color_weights`.
    """
    flat = tf.constant(weights.reshape(-1), tf.float32)

    def rebalanced(luminance, predicted, ab):
        bins = tf.cast(tf.clip_by_value(ab * (AB_SCALE / BIN) + BINS / 2, 0, BINS - 1), tf.int32)
        weight = tf.gather(flat, bins[..., 0] * BINS + bins[..., 1])
        return tf.reduce_mean(weight[..., None] * tf.math.squared_difference(predicted, ab))

    return rebalanced


def count_colors(rgb: Rows | np.ndarray) -> np.ndarray:
    """How the pixels of up to `COUNTED` portraits, (N, S, S, 3) uint8, share the bins of ab."""
    counts = np.zeros((BINS, BINS))
    edges = (np.arange(BINS + 1) - BINS / 2) * BIN
    for ab in itertools.islice(sampled_ab(rgb), COUNTED // SAMPLED_AT_ONCE):
        counts += np.histogram2d(ab[..., 0].ravel(), ab[..., 1].ravel(), (edges, edges))[0]
    return counts / counts.sum()


def color_weights(shares: np.ndarray) -> np.ndarray:
    """Zhang et al.'s weights of colours: rare ones heavy, 1 on average over the pixels.

    Args:
        shares: (BINS, BINS), each bin's share of the pixels, summing to 1.
    """
    distance = np.subtract.outer(np.arange(BINS), np.arange(BINS))
    kernel = np.exp(-0.5 * (distance * BIN / SMOOTHING) ** 2)
    smooth = kernel @ shares @ kernel
    smooth /= smooth.sum()
    # The uniform distribution is over the bins that occur: no photograph fills the whole square.
    occurring = np.count_nonzero(shares)
    weights = 1.0 / ((1.0 - UNIFORM_SHARE) * smooth + UNIFORM_SHARE / occurring)
    return weights / (weights * shares).sum()
