"""The ablation: a descriptor that says nothing, zeros whatever the portrait."""

import tensorflow as tf

from koala_face.backbones.preprocessing import portrait_input

keras = tf.keras


def build_zeros(backbone, weights_path=None) -> keras.Model:
    """Zeros, (embedding_dim,), as a model like the others: callers need no special case."""
    portrait = portrait_input(backbone)
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(portrait)
    zeros = keras.layers.Dense(
        backbone.embedding_dim, use_bias=False, kernel_initializer="zeros", name="zeros"
    )(mean)
    return keras.Model(portrait, zeros, name="none")
