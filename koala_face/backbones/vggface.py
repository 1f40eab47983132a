"""VGG-Face (Section II.C): the VGG16 layout, trained on 2.6M portraits of 2622 people.

O. M. Parkhi, A. Vedaldi, A. Zisserman, "Deep Face Recognition", BMVC 2015. Layers and
their names are those of keras-vggface 0.6, `VGGFace(model="vgg16")`, whose weights fit;
where it writes "fc6/relu", this writes "fc6_relu", because Keras 3 allows no "/".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import tensorflow as tf

from koala_face.backbones.preprocessing import portrait_input, preprocess
from koala_face.backbones.saved_layers import fill_by_name
from koala_face.backbones.vggface_layers import BLOCKS, TOP, Block, conv_name

if TYPE_CHECKING:
    from koala_face.backbones import Backbone

keras = tf.keras


def build_vggface(backbone: Backbone, weights_path: str | os.PathLike) -> tf.keras.Model:
    """(224, 224, 3) RGB in 0-255 to the activations of `backbone.layer`.

    `fc8` gives (2622,) probabilities of identities, `logits` what its softmax is computed
    from, `fc6` and `fc7` (4096,) values from 0 up. Layers above the chosen one are not built.

    Raises:
        WeightsError: unless the file holds every layer in its shape.
    """
    portrait = portrait_input(backbone)
    x = preprocess(portrait, backbone)
    for number, block in enumerate(BLOCKS, start=1):
        x = apply_block(x, block, number)
    x = keras.layers.Flatten(name="flatten")(x)
    for row in TOP:
        x = keras.layers.Dense(row.units, kernel_initializer="zeros", name=row.name)(x)
        if (row.name, backbone.layer) == ("fc8", "logits"):
            break
        x = keras.layers.Activation(row.activation, name=f"{row.name}_{row.activation}")(x)
        if row.name == backbone.layer:
            break
    model = keras.Model(portrait, x, name="vggface")
    fill_by_name(model, weights_path, backbone.weights_file)
    return model


def apply_block(x: tf.Tensor, block: Block, number: int) -> tf.Tensor:
    """One block: (H, W, C) to (H/2, W/2, filters)."""
    for row in range(1, block.convolutions + 1):
        x = keras.layers.Conv2D(
            block.filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer="zeros",
            name=conv_name(number, row),
        )(x)
    return keras.layers.MaxPooling2D(2, strides=2, name=f"pool{number}")(x)
