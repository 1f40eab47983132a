"""Convolutions with fewer multiplications: 3x3 as matrix products of sums, and the fusion's.

A convolution over a row of outputs is a short polynomial product, and Toom-Cook's scheme needs
fewer multiplications than the sum as written: 6 instead of 12 for 4 outputs (Winograd's F(4, 3);
Lavin and Gray, CVPR 2016). In two dimensions the saving is squared. `training.fast_forward` chooses
the scheme of each row of the tables, `colorizer.quick_layers` that of a network in use.
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
# Stride 1: F(2, 3) with the points 0, 1, -1 and infinity: 4 for 6, of kernels that grow less.
WINOGRAD_OF_TWO = Bilinear(
    before=1,
    step=2,
    inputs=np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    taps=np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
    outputs=np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
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


def prepare_taps(kernel: np.ndarray, scheme: Bilinear) -> list[list[tf.Tensor]]:
    """The kernel's side of all products, (3, 3, C, F) to n rows of n (1, 1, C, F), made once."""
    taps = scheme.taps.astype(kernel.dtype)
    columns = np.tensordot(taps, kernel, (1, 1))
    rows = np.tensordot(taps, columns, (1, 1))
    return [[tf.constant(matrix[None, None]) for matrix in row] for row in rows]


def convolve_prepared(x: tf.Tensor, taps: list[list[tf.Tensor]], scheme: Bilinear) -> tf.Tensor:
    """As `bilinear_convolution`, by taps of `prepare_taps` in products of their own.

    TensorFlow's own kernels multiply single matrices quicker than a batch of them, XLA the batch.
    """
    stretch = len(scheme.outputs) / scheme.step
    height, width = (int(n * stretch) for n in x.shape[1:3])
    products = []
    x = _pad(x, scheme, (1, 2))
    for row, kernels in zip(_weighted(scheme.inputs, _cut(x, scheme, 1)), taps, strict=True):
        windows = _weighted(scheme.inputs, _cut(row, scheme, 2))
        pairs = zip(windows, kernels, strict=True)
        products.append([tf.nn.conv2d(window, kernel, 1, "VALID") for window, kernel in pairs])
    columns = [_weighted(scheme.outputs, row) for row in products]
    rows = [_weighted(scheme.outputs, column) for column in zip(*columns, strict=True)]
    y = tf.stack([tf.stack(column, axis=2) for column in rows], axis=4)
    _, tiles, outputs, more_tiles, _, filters = y.shape
    y = tf.reshape(y, [-1, tiles * outputs, more_tiles * outputs, filters])
    return y[:, :height, :width]


def convolve_beside_repeated(x: tf.Tensor, vectors: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve (B, H, W, C), beside it (B, D) repeated at each position, with (1, 1, C + D, F).

    The kernel's first rows meet x, the others each vector once.
    """
    channels = x.shape[-1]
    shared = tf.matmul(vectors, kernel[0, 0, channels:])
    return tf.nn.conv2d(x, kernel[:, :, :channels], 1, "SAME") + shared[:, None, None]


def _windows(x, scheme: Bilinear, axis: int) -> list:
    """The members of each tile's window along `axis`: tensors of one entry per tile."""
    return _cut(_pad(x, scheme, (axis,)), scheme, axis)


def _pad(x, scheme: Bilinear, axes: tuple[int, ...]) -> tf.Tensor:
    """Zeros around x along `axes`, for whole windows of the tiles that cover it."""
    paddings = [[0, 0]] * x.shape.rank
    for axis in axes:
        length = (-(-x.shape[axis] // scheme.step) + _steps_beyond(scheme)) * scheme.step
        paddings[axis] = [scheme.before, length - scheme.before - x.shape[axis]]
    return tf.pad(x, paddings)


def _cut(x, scheme: Bilinear, axis: int) -> list:
    """The windows of what `_pad` gave."""
    window, step = scheme.inputs.shape[1], scheme.step
    entries = x.shape[axis] // step
    tiles = entries - _steps_beyond(scheme)
    shape = [-1 if n is None else n for n in x.shape]
    shape[axis : axis + 1] = [entries, step]
    phases = tf.unstack(tf.reshape(x, shape), axis=axis + 1)
    before_axis = (slice(None),) * axis
    return [
        phases[i % step][(*before_axis, slice(i // step, i // step + tiles))] for i in range(window)
    ]


def _steps_beyond(scheme: Bilinear) -> int:
    """By how many steps a window is longer than its tile, rounded up."""
    return -(-(scheme.inputs.shape[1] - scheme.step) // scheme.step)


def _stack_weighted(matrix: np.ndarray, tensors, axis: int) -> tf.Tensor:
    """Stack along `axis` the sums of `tensors` that the rows of `matrix` weigh."""
    return tf.stack(_weighted(matrix, tensors), axis=axis)


def _weighted(matrix: np.ndarray, tensors) -> list[tf.Tensor]:
    """The sums of `tensors` that the rows of `matrix` weigh."""
    mixed = []
    for weights in matrix:
        total = None
        for weight, tensor in zip(weights, tensors, strict=True):
            if weight and total is None:
                total = tensor if weight == 1 else float(weight) * tensor
            elif weight:
                term = tensor if abs(weight) == 1 else float(abs(weight)) * tensor
                total = total + term if weight > 0 else total - term
        mixed.append(total)
    return mixed
