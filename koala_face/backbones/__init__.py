"""The pretrained descriptors (Section II.C and the comparison of Section III).

Each turns the gray version of a portrait into one vector. The table `BACKBONES`
names them; `locate_weights` finds a descriptor's file without ever downloading
it; `build_descriptor` makes a network that takes RGB in 0-255, so that its own
preprocessing is part of it. Only `build_descriptor` imports TensorFlow: a
command that lacks weights says so at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from koala_face.backbones.weight_files import (
    FACENET_WEIGHTS,
    INCEPTION_RESNET_V2_WEIGHTS,
    VGG19_WEIGHTS,
    VGGFACE_WEIGHTS,
    WeightsError,
    WeightsFile,
    locate_file,
    weights_sha256,
)
from koala_face.foundation.errors import KoalaFaceError

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "BACKBONES",
    "BACKBONE_NAMES",
    "Backbone",
    "BackboneError",
    "WeightsError",
    "build_descriptor",
    "find_backbone",
    "locate_weights",
    "weights_sha256",
]


class BackboneError(KoalaFaceError):
    """A descriptor or a layer that does not exist."""


class Preprocessing(NamedTuple):
    """What a network expects of its input: `channels * scale + offset`.

    `order` says which of the input's channels (0 red, 1 green, 2 blue) comes
    first, second, third; `offset` is in that order.
    """

    text: str
    order: tuple[int, int, int]
    scale: float
    offset: tuple[float, float, float]


RGB = (0, 1, 2)
BGR = (2, 1, 0)

# keras_vggface.utils.preprocess_input(version=1): the means of the VGG-Face training set.
VGGFACE = Preprocessing(
    "BGR, minus 93.5940, 104.7624, 129.1863", BGR, 1.0, (-93.5940, -104.7624, -129.1863)
)
# keras_applications.imagenet_utils, mode "caffe": the means of ImageNet.
CAFFE = Preprocessing(
    "BGR, minus 103.939, 116.779, 123.68", BGR, 1.0, (-103.939, -116.779, -123.68)
)
# keras_applications.imagenet_utils, mode "tf".
TENSORFLOW = Preprocessing("RGB / 127.5 - 1", RGB, 1 / 127.5, (-1.0, -1.0, -1.0))
# facenet.py `fixed_image_standardization`, with which 20180408-102900 was trained.
FIXED = Preprocessing("(RGB - 127.5) / 128", RGB, 1 / 128.0, (-127.5 / 128.0,) * 3)
NO_PREPROCESSING = Preprocessing("none", RGB, 1.0, (0.0, 0.0, 0.0))


class Backbone(NamedTuple):
    """One descriptor: a network, and the layer whose output is the vector.

    `input_size` is the height and width in pixels; `weights_file` is None for the
    descriptor without a network.
    """

    name: str
    layer: str
    input_size: int
    embedding_dim: int
    preprocess: Preprocessing
    weights_file: WeightsFile | None

    @property
    def preprocessing(self) -> str:
        """What happens to RGB in 0-255 before the network, in words for caches and files."""
        return self.preprocess.text


# The first row of a name is its default layer. Each layer is taken after its activation:
# `fc6` is keras-vggface's `fc6/relu`, `fc8` its `fc8/softmax`; `logits` is what the softmax of
# the default layer is computed from. Deep Koalarization fused 1001 logits of TF-slim's
# Inception-ResNet-v2, whose class 0 is "background"; Keras's has the 1000 others.
BACKBONES = (
    Backbone("vggface", "fc8", 224, 2622, VGGFACE, VGGFACE_WEIGHTS),
    Backbone("vggface", "fc7", 224, 4096, VGGFACE, VGGFACE_WEIGHTS),
    Backbone("vggface", "fc6", 224, 4096, VGGFACE, VGGFACE_WEIGHTS),
    Backbone("vggface", "logits", 224, 2622, VGGFACE, VGGFACE_WEIGHTS),
    Backbone(
        "inception_resnet_v2", "predictions", 299, 1000, TENSORFLOW, INCEPTION_RESNET_V2_WEIGHTS
    ),
    Backbone("inception_resnet_v2", "logits", 299, 1000, TENSORFLOW, INCEPTION_RESNET_V2_WEIGHTS),
    Backbone("vgg19", "predictions", 224, 1000, CAFFE, VGG19_WEIGHTS),
    Backbone("vgg19", "logits", 224, 1000, CAFFE, VGG19_WEIGHTS),
    Backbone("facenet", "embeddings", 160, 512, FIXED, FACENET_WEIGHTS),
    Backbone("facenet", "bottleneck", 160, 512, FIXED, FACENET_WEIGHTS),
    Backbone("facenet", "avgpool", 160, 1792, FIXED, FACENET_WEIGHTS),
    # The ablation: a vector that says nothing, so that only the local features colour.
    Backbone("none", "zeros", 8, 512, NO_PREPROCESSING, None),
)
BACKBONE_NAMES = tuple(dict.fromkeys(row.name for row in BACKBONES))


def find_backbone(name: str, layer: str | None = None) -> Backbone:
    """Find the row of `BACKBONES` with this name and layer; without `layer`, the default.

    Raises:
        BackboneError: for a name or a layer that is not in the table; lists those that are.
    """
    rows = [row for row in BACKBONES if row.name == name]
    if not rows:
        raise BackboneError(
            f"Expected a descriptor out of {', '.join(BACKBONE_NAMES)}. Received: {name!r}."
        )
    for row in rows:
        if layer in (None, row.layer):
            return row
    raise BackboneError(
        f"Expected a layer of {name} out of {', '.join(row.layer for row in rows)}. "
        f"Received: {layer!r}."
    )


def locate_weights(
    backbone: Backbone, weights_path: str | os.PathLike | None = None
) -> Path | None:
    """Find a descriptor's weights on this machine; nothing is ever downloaded here.

    Args:
        backbone: a row of `BACKBONES`.
        weights_path: the file, or a folder that holds it under its published name. None
            looks in Keras's cache folder, then in the installed package that carries it.

    Returns:
        The file, which opens and is whole; None for the descriptor `none`.

    Raises:
        WeightsError: no such file, with its address, size, place and the command that
            fetches it; or a file that is cut off or of another kind.
    """
    if backbone.weights_file is None:
        return None
    return locate_file(backbone.weights_file, weights_path)


def build_descriptor(backbone: Backbone, weights_path: str | os.PathLike | None) -> tf.keras.Model:
    """Build a descriptor with its weights, as one flat functional model of standard layers.

    Args:
        backbone: a row of `BACKBONES`.
        weights_path: what `locate_weights` gave.

    Returns:
        A frozen model: `portrait`, (input_size, input_size, 3) float32 RGB in 0-255,
        to the vector, (embedding_dim,) float32.

    Raises:
        WeightsError: for weights whose layers or shapes are not this network's.
    """
    from koala_face.backbones import facenet, imagenet, preprocessing, vggface

    builders = {
        "vggface": vggface.build_vggface,
        "inception_resnet_v2": imagenet.build_inception_resnet_v2,
        "vgg19": imagenet.build_vgg19,
        "facenet": facenet.build_facenet,
        "none": preprocessing.build_zeros,
    }
    if backbone.weights_file is not None and weights_path is None:
        weights_path = locate_weights(backbone)
    model = builders[backbone.name](backbone, weights_path)
    model.trainable = False
    return model
