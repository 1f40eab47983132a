"""The network of Section II.D with fewer multiplications: for training on a CPU.

`fast_forward` computes what `model(...)` computes, on the model's own variables:
gradients flow to them and nothing has to be converted or saved differently. Three
exact rewritings, equal to the tables within float error, leave 1.6 of the 5.7 G
multiply-adds that a 256x256 portrait needs:

- a 3x3 convolution as matrix products of sums, by the schemes of `winograd`;
- the 1x1 convolution of the fusion, over [local, repeated global], is that of the
  local part plus a dense layer of the global part: no 2878-channel volume;
- what is left are matrix products, which XLA runs near the processor's peak. So
  compile the step: `tf.function(jit_compile=True)`.

On a GPU the plain model is the better choice: cuDNN does the same by itself. `quickest` chooses.
"""

from collections.abc import Callable

import tensorflow as tf

from koala_face import models
from koala_face.foundation.winograd import (
    STRIDED,
    UPSAMPLED,
    WINOGRAD,
    Bilinear,
    bilinear_convolution,
    convolve_beside_repeated,
)

keras = tf.keras


def quickest(model: keras.Model, compiled: bool) -> Callable[..., tf.Tensor]:
    """The model, or what stands for it at every call `model([luminance, embedding], training=...)`.

    That is `fast_forward` of the same variables, where it `is_quickest`.
    """
    if is_quickest(model.get_layer("encoder_conv1").compute_dtype, compiled):
        return lambda inputs, training: fast_forward(model, *inputs, training)
    return model


def is_quickest(precision: str, compiled: bool) -> bool:
    """Whether `fast_forward` is the quickest way: on a CPU, compiled by XLA and in float32."""
    return compiled and precision == "float32" and not tf.config.list_logical_devices("GPU")


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
    """Table II: the embedding is met once, not at each position."""
    layer = model.get_layer("fusion_conv1")
    x = convolve_beside_repeated(features, embedding, tf.convert_to_tensor(layer.kernel))
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
