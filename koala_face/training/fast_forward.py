"""The network of Section II.D with fewer multiplications: for training on a CPU.

`fast_forward` computes what `model(...)` computes, on the model's own variables:
gradients flow to them and nothing has to be converted or saved differently. Three
exact rewritings, equal to the tables within float error, leave 1.8 of the 5.7 G
multiply-adds that a 256x256 portrait needs:

- a 3x3 convolution over a row of outputs is a short polynomial product, and
  Toom-Cook's scheme needs fewer multiplications than the sum as written: 6 instead
  of 12 for 4 outputs (Winograd's F(4, 3); Lavin and Gray, CVPR 2016). In two
  dimensions the saving is squared. `WINOGRAD`, `STRIDED` and `UPSAMPLED` below;
- the 1x1 convolution of the fusion, over [local, repeated global], is that of the
  local part plus a dense layer of the global part: no 2878-channel volume;
- what is left are matrix products, which XLA runs near the processor's peak. So
  compile the step: `tf.function(jit_compile=True)`.

On a GPU the plain model is the better choice: cuDNN does the same by itself. `quickest` chooses.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face import models

keras = tf.keras


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


def quickest(model: keras.Model, compiled: bool) -> Callable[..., tf.Tensor]:
    """The model, or what stands for it at every call `model([luminance, embedding], training=...)`.

    On a CPU, compiled by XLA and in float32, that is `fast_forward` of the same variables.
    """
    precise = model.get_layer("encoder_conv1").compute_dtype == "float32"
    if compiled and precise and not tf.config.list_logical_devices("GPU"):
        return lambda inputs, training: fast_forward(model, *inputs, training)
    return model


def fast_forward(
    model: keras.Model,
    luminance: tf.Tensor,
    embedding: tf.Tensor,
    training: bool = False,
    rewritten: bool = True,
) -> tf.Tensor:
    """Compute `model([luminance, embedding], training=training)` with fewer multiplications.

    With `training`, batch statistics normalize and the moving ones are updated, as Keras 3's
    layers do. (Keras 2 multiplies the variance that it averages by n / (n - 1), n being the
    positions of a whole batch: 1.0001 and less at 256x256, batch 10.) The batch may be of
    unknown size, the portraits may not. In the replicas of `distribution` the batch is that of
    all of them.

    Args:
        model: from `models.build_colorizer`, or read from a file.
        luminance: (B, N, M, 1) float, L*/100.
        embedding: (B, D) float.
        rewritten: without it 3x3 convolutions are TensorFlow's own, for where XLA does not compile.

    Returns:
        (B, N, M, 2), a*/128 and b*/128.
    """
    tables = models.find_network(model.name)
    features = 2.0 * luminance - 1.0 if tables.centred else luminance
    features = _apply_rows(model, features, tables.encoder, "encoder", training, rewritten)
    features = _apply_fusion(model, features, embedding, training)
    return _apply_rows(model, features, tables.decoder, "decoder", training, rewritten)


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


def scheme_of(row: models.Conv, channels: int, upsampled: bool) -> Bilinear | None:
    """How a row `Conv` on `channels` channels is computed; None: as it stands."""
    if row.kernel != 3 or channels == 1:
        return None
    return UPSAMPLED if upsampled else STRIDED if row.stride == 2 else WINOGRAD


def _apply_rows(model, x, rows, part: str, training: bool, rewritten: bool):
    """Apply a table's rows as `models.apply_rows` names them."""
    convolutions, upsample = 0, False
    for row in rows:
        if isinstance(row, models.Upsampling):
            upsample = True
            continue
        convolutions += 1
        layer = model.get_layer(f"{part}_conv{convolutions}")
        x = _convolve(x, tf.convert_to_tensor(layer.kernel), row, upsample, rewritten)
        upsample = False
        if row.activation == "tanh":
            x = tf.tanh(x + layer.bias)
        else:
            norm = _norm_of(model, f"{part}_norm{convolutions}")
            x = _normalized_relu(x, layer.bias, norm, training)
    return _upsample(x) if upsample else x


def _apply_fusion(model, features, embedding, training: bool):
    """Table II: the kernel's first rows meet the local features, the others the embedding."""
    layer = model.get_layer("fusion_conv1")
    kernel = tf.convert_to_tensor(layer.kernel)
    channels = features.shape[-1]
    shared = tf.matmul(embedding, kernel[0, 0, channels:])
    x = tf.nn.conv2d(features, kernel[:, :, :channels], 1, "SAME") + shared[:, None, None]
    return _normalized_relu(x, layer.bias, _norm_of(model, "fusion_norm1"), training)


def _norm_of(model, name: str):
    """The batch normalization of that name; None in a network that has none."""
    return model.get_layer(name) if models.find_network(model.name).batch_norm else None


def _convolve(x, kernel, row: models.Conv, upsample: bool, rewritten: bool):
    """A row `Conv`, after nearest upsampling if `upsample`."""
    scheme = scheme_of(row, x.shape[-1], upsample) if rewritten else None
    if scheme is None:
        return tf.nn.conv2d(_upsample(x) if upsample else x, kernel, row.stride, "SAME")
    return bilinear_convolution(x, kernel, scheme)


def _upsample(x):
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)


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


def _normalized_relu(x, bias, norm, training: bool):
    """Bias, ReLU and the batch normalization of layer `norm`, if there is one."""
    if norm is None:
        return tf.nn.relu(x + bias)
    bias, gamma, beta = (tf.convert_to_tensor(v) for v in (bias, norm.gamma, norm.beta))
    if not training:
        scale = tf.math.rsqrt(norm.moving_variance + norm.epsilon) * gamma
        return (tf.nn.relu(x + bias) - norm.moving_mean) * scale + beta
    epsilon = tf.constant(norm.epsilon, x.dtype)
    y, mean, variance = _normalize_batch(x, bias, gamma, beta, epsilon)
    for moving, now in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        moving.assign(moving * norm.momentum + now * (1.0 - norm.momentum))
    return y


@tf.custom_gradient
def _normalize_batch(x, bias, gamma, beta, epsilon):
    """Normalize relu(x + bias) over a batch, in all replicas; gives its mean and variance too.

    The gradient is Ioffe and Szegedy's (2015, Section 3), with `_sums` where automatic
    differentiation would leave XLA slow loops over columns.
    """
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync  # of parts as large
    count = tf.cast(replicas * (tf.size(x) / tf.shape(x)[-1]), x.dtype)
    active = tf.nn.relu(x + bias)
    mean = _over_replicas(_sums(active))[0] / count
    centred = active - mean
    variance = _over_replicas(_sums(centred * centred))[0] / count
    deviation = tf.math.rsqrt(variance + epsilon)
    y = centred * (deviation * gamma) + beta

    def gradient(dy, *_):
        dbeta = _sums(dy)
        dgamma = _sums(dy * centred) * deviation
        # Only what enters dactive: Keras's optimizers sum gradients over the replicas.
        all_dbeta, all_dgamma = _over_replicas(dbeta, dgamma)
        dactive = dy - (all_dbeta + centred * (deviation * all_dgamma)) / count
        dx = tf.where(active > 0, dactive * (deviation * gamma), 0)
        return dx, _sums(dx), dgamma, dbeta, None

    return (y, mean, variance), gradient


def _over_replicas(*sums):
    """The sums over all replicas; as they are where there is one."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return sums
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, sums)


def _sums(x):
    """Sum each channel of (B, H, W, C): down the columns of each portrait, then what is left.

    The first as a matrix product, far quicker under XLA than a sum; no sum is long, so that the
    float32 variance of a rarely active channel errs by 1e-6 where one long sum errs by 1e-2.
    """
    height, width, channels = x.shape[1:]
    columns = tf.reshape(x, [-1, height, width * channels])
    rows = tf.matmul(tf.ones([tf.shape(x)[0], 1, height], x.dtype), columns)
    return tf.reduce_sum(tf.reshape(rows, [-1, channels]), axis=0)
