"""The first layer of every descriptor: what its network was trained to see.

And the ablation, which has no other layer that counts: zeros whatever the portrait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from koala_face.backbones import Backbone

keras = tf.keras


def portrait_input(backbone: Backbone) -> tf.Tensor:
    """The input of a descriptor: (input_size, input_size, 3) float32, RGB in 0-255."""
    size = backbone.input_size
    return keras.Input((size, size, 3), name="portrait")


def preprocess(portrait: tf.Tensor, backbone: Backbone) -> tf.Tensor:
    """Channel order, scale and offset as one frozen 1x1 convolution.

    A convolution, because it is a layer that every Keras and every export format
    knows. (H, W, 3) RGB in 0-255 to (H, W, 3) in the network's own units.
    """
    layer = keras.layers.Conv2D(
        3, 1, kernel_initializer="zeros", trainable=False, name="preprocessing"
    )
    preprocessed = layer(portrait)
    layer.set_weights(pixel_weights(backbone))
    return preprocessed


def pixel_weights(backbone: Backbone) -> list[np.ndarray]:
    """Kernel and bias of that convolution, (1, 1, 3, 3) and (3,) float32."""
    order, scale = backbone.preprocess.order, backbone.preprocess.scale
    kernel = np.zeros((1, 1, 3, 3), "float32")
    for channel, source in enumerate(order):
        kernel[0, 0, source, channel] = scale
    return [kernel, np.array(backbone.preprocess.offset, "float32")]


def build_zeros(backbone: Backbone, weights_path: None = None) -> tf.keras.Model:
    """Zeros, (embedding_dim,), as a model like the others: callers need no special case."""
    portrait = portrait_input(backbone)
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(portrait)
    zeros = keras.layers.Dense(
        backbone.embedding_dim, use_bias=False, kernel_initializer="zeros", name="zeros"
    )(mean)
    return keras.Model(portrait, zeros, name="none")
