"""3x3 convolutions with fewer multiplications, as matrix products of sums.

A convolution over a row of outputs is a short polynomial product, and Toom-Cook's scheme needs
fewer multiplications than the sum as written: 6 instead of 12 for 4 outputs (Winograd's F(4, 3);
Lavin and Gray, CVPR 2016). In two dimensions the saving is squared. `fast_forward` chooses the
scheme of each row of the tables.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Bilinear(NamedTuple):
    """A convolution with 3 taps along one axis, by products of sums.

    Tiles of `step` inputs, seen through windows of more, give outputs
    `outputs @ ((taps @ kernel) * (inputs @ window))`; along two axes the three
    matrices apply to each. `before` zeros stand before the first input.
    """

    before: int
    step: int
    inputs: np.ndarray
    taps: np.ndarray
    outputs: np.ndarray


# Stride 1: F(4, 3) with the points 0, 1, -1, 2, -2 and infinity; Lavin and Gray, eq. 13-14.
WINOGRAD = Bilinear(
    before=1,
    step=4,
    inputs=np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
    taps=np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
    outputs=np.array(
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    ),
)
# Stride 2: the outer taps meet even inputs only, a 2-tap convolution by F(2, 2); 5 for 6.
STRIDED = Bilinear(
    before=0,
    step=4,
    inputs=np.array(
        [[1, 0, -1, 0, 0], [0, 0, 1, 0, 0], [0, 0, -1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    ),
    taps=np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]),
    outputs=np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1]]),
)
# After nearest 2x upsampling, from the inputs before it: both outputs of an input x share
# the product x * (sum of the taps) and correct it by its neighbours' differences; 3 for 6.
UPSAMPLED = Bilinear(
    before=1,
    step=1,
    inputs=np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]),
    taps=np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1]]),
    outputs=np.array([[1, 1, 0], [0, 1, 1]]),
)


def bilinear_convolution(x: tf.Tensor, kernel: tf.Tensor, scheme: Bilinear) -> tf.Tensor:
    """Convolve (B, H, W, C) with a 3x3 `kernel` (3, 3, C, F), padded "same", by `scheme`."""
    channels, filters = kernel.shape[2:]
    stretch = len(scheme.outputs) / scheme.step
    height, width = (int(n * stretch) for n in x.shape[1:3])
    count = len(scheme.inputs)
    taps = _stack_weighted(scheme.taps, tf.unstack(kernel), axis=0)
    taps = _stack_weighted(scheme.taps, tf.unstack(taps, axis=1), axis=1)
    x = _stack_weighted(scheme.inputs, _windows(x, scheme, axis=1), axis=0)
    x = _stack_weighted(scheme.inputs, _windows(x, scheme, axis=3), axis=1)
    rows, columns = x.shape[3:5]
    products = tf.matmul(
        tf.reshape(x, [count**2, -1, channels]), tf.reshape(taps, [count**2, channels, filters])
    )
    products = tf.reshape(products, [count, count, -1, rows, columns, filters])
    y = _stack_weighted(scheme.outputs, tf.unstack(products, axis=1), axis=4)
    y = _stack_weighted(scheme.outputs, tf.unstack(y), axis=2)
    outputs = len(scheme.outputs)
    y = tf.reshape(y, [-1, rows * outputs, columns * outputs, filters])
    return y[:, :height, :width]


def _windows(x, scheme: Bilinear, axis: int) -> list:
    """The members of each tile's window along `axis`: tensors of one entry per tile."""
    window, step = scheme.inputs.shape[1], scheme.step
    tiles = -(-x.shape[axis] // step)
    beyond = -(-(window - step) // step)
    length = (tiles + beyond) * step
    paddings = [[0, 0]] * x.shape.rank
    paddings[axis] = [scheme.before, length - scheme.before - x.shape[axis]]
    shape = [-1 if n is None else n for n in x.shape]
    shape[axis : axis + 1] = [tiles + beyond, step]
    phases = tf.unstack(tf.reshape(tf.pad(x, paddings), shape), axis=axis + 1)
    before_axis = (slice(None),) * axis
    return [
        phases[i % step][(*before_axis, slice(i // step, i // step + tiles))] for i in range(window)
    ]


def _stack_weighted(matrix: np.ndarray, tensors, axis: int) -> tf.Tensor:
    """Stack along `axis` the sums of `tensors` that the rows of `matrix` weigh."""
    mixed = []
    for weights in matrix:
        terms = [t if w == 1 else float(w) * t for w, t in zip(weights, tensors, strict=True) if w]
        mixed.append(sum(terms[1:], terms[0]))
    return tf.stack(mixed, axis=axis)
