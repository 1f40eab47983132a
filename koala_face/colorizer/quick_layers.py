"""A network's widest convolutions with fewer multiplications, for use on a CPU.

What the layers compute, within float error, in TensorFlow's own kernels: at 128x128 six tenths of a
prediction's time. Wide 3x3 convolutions go by `foundation.winograd`, and that of the fusion meets
the repeated embedding once instead of at each position. Narrow convolutions and those with stride
stay as they are: their sums would cost what their products save.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from koala_face.foundation.winograd import (
    UPSAMPLED,
    WINOGRAD_OF_TWO,
    Bilinear,
    convolve_beside_repeated,
    convolve_prepared,
    prepare_taps,
)
from koala_face.models import NETWORKS

keras = tf.keras

# Channels that enter a convolution from which on it is computed by fewer multiplications.
WIDE = 64

# Of what came before, and the embedding.
Layer = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def quick_layers(model: keras.Model) -> dict[str, Layer]:
    """What to call in place of layers, by their names; empty where the layers are the better way.

    That is on a GPU, in other precisions than float32, and in networks of others. The weights
    are those of this moment. A convolution takes over the layer before it, fusion or nearest
    upsampling, which stands here as what leaves its input alone.
    """
    if model.name not in NETWORKS or tf.config.list_logical_devices("GPU"):
        return {}
    if model.get_layer("fusion_conv1").compute_dtype != "float32":
        return {}
    quick = {"fusion": _pass_on, "fusion_conv1": _quick_fusion(model.get_layer("fusion_conv1"))}
    upsampling = None
    for layer in model.layers:
        if isinstance(layer, keras.layers.UpSampling2D):
            upsampling = layer
        elif isinstance(layer, keras.layers.Conv2D):
            if _is_wide(layer):
                scheme = WINOGRAD_OF_TWO if upsampling is None else UPSAMPLED
                quick[layer.name] = _quick_convolution(layer, scheme)
                quick |= {upsampling.name: _pass_on} if upsampling is not None else {}
            upsampling = None
    return quick


def _is_wide(layer: keras.layers.Conv2D) -> bool:
    kernel, channels = tuple(layer.kernel.shape[:2]), layer.kernel.shape[2]
    return kernel == (3, 3) and channels >= WIDE and tuple(layer.strides) == (1, 1)


def _pass_on(x: tf.Tensor, embedding: tf.Tensor) -> tf.Tensor:
    return x


def _quick_convolution(layer: keras.layers.Conv2D, scheme: Bilinear) -> Layer:
    taps = prepare_taps(np.asarray(layer.kernel), scheme)

    def convolve(x: tf.Tensor, embedding: tf.Tensor) -> tf.Tensor:
        return layer.activation(tf.nn.bias_add(convolve_prepared(x, taps, scheme), layer.bias))

    return convolve


def _quick_fusion(layer: keras.layers.Conv2D) -> Layer:
    def convolve(x: tf.Tensor, embedding: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(layer.kernel)
        y = convolve_beside_repeated(x, embedding, kernel)
        return layer.activation(tf.nn.bias_add(y, layer.bias))

    return convolve
