"""The first layer of every descriptor: what its network was trained to see."""

import numpy as np
import tensorflow as tf

keras = tf.keras


def portrait_input(backbone):
    """The input of a descriptor: (input_size, input_size, 3) float32, RGB in 0-255."""
    size = backbone.input_size
    return keras.Input((size, size, 3), name="portrait")


def preprocess(portrait, backbone):
    """Channel order, scale and offset as one frozen 1x1 convolution.

    A convolution, because it is a layer that every Keras and every export format
    knows. (H, W, 3) RGB in 0-255 to (H, W, 3) in the network's own units.
    """
    layer = keras.layers.Conv2D(
        3, 1, kernel_initializer="zeros", trainable=False, name="preprocessing"
    )
    preprocessed = layer(portrait)
    order, scale = backbone.preprocess.order, backbone.preprocess.scale
    kernel = np.zeros((1, 1, 3, 3), "float32")
    for channel, source in enumerate(order):
        kernel[0, 0, source, channel] = scale
    layer.set_weights([kernel, np.array(backbone.preprocess.offset, "float32")])
    return preprocessed
