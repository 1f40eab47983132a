"""The table of the descriptors (Section II.C), a row for each layer that gives a vector."""

from __future__ import annotations

from typing import NamedTuple

from koala_face.backbones.tuned import Head
from koala_face.backbones.weight_files import (
    FACENET_WEIGHTS,
    INCEPTION_RESNET_V2_WEIGHTS,
    VGG19_WEIGHTS,
    VGGFACE_WEIGHTS,
    WeightsFile,
)
from koala_face.foundation.errors import KoalaFaceError


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
    descriptor without a network. `head` is what a tuned descriptor has on top of that layer.
    """

    name: str
    layer: str
    input_size: int
    embedding_dim: int
    preprocess: Preprocessing
    weights_file: WeightsFile | None
    head: Head | None = None

    @property
    def base(self) -> Backbone:
        """The descriptor below the head; without one itself."""
        return find_row(self.head.backbone, self.head.layer) if self.head else self

    @property
    def sees_color(self) -> bool:
        """Whether its vector is made of the true colours: an oracle, which cannot colour."""
        return self.name.startswith(f"{ORACLE}:")

    @property
    def plain_name(self) -> str:
        """The name for files and folders: "facenet", "facenet-avgpool", "tuned-colors-32"."""
        if self.head:
            return self.name.replace(":", "-").removesuffix(".h5")
        default = self.layer == find_row(self.name).layer
        return self.name if default else f"{self.name}-{self.layer}"

    @property
    def preprocessing(self) -> str:
        """What happens to RGB in 0-255 before the network, in words for caches and files."""
        return self.preprocess.text


# Before the name of a descriptor file: its softmax, or the true target as a one-hot vector.
TUNED, ORACLE = "tuned", "oracle"

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
    Backbone("inception_resnet_v2", "avg_pool", 299, 1536, TENSORFLOW, INCEPTION_RESNET_V2_WEIGHTS),
    Backbone("vgg19", "predictions", 224, 1000, CAFFE, VGG19_WEIGHTS),
    Backbone("vgg19", "logits", 224, 1000, CAFFE, VGG19_WEIGHTS),
    Backbone("vgg19", "fc2", 224, 4096, CAFFE, VGG19_WEIGHTS),
    Backbone("facenet", "embeddings", 160, 512, FIXED, FACENET_WEIGHTS),
    Backbone("facenet", "bottleneck", 160, 512, FIXED, FACENET_WEIGHTS),
    Backbone("facenet", "avgpool", 160, 1792, FIXED, FACENET_WEIGHTS),
    # The ablation: a vector that says nothing, so that only the local features colour.
    Backbone("none", "zeros", 8, 512, NO_PREPROCESSING, None),
)
BACKBONE_NAMES = tuple(dict.fromkeys(row.name for row in BACKBONES))
# What a command's help says of `--backbone`.
CHOICES = f"{', '.join(BACKBONE_NAMES)}, tuned:FILE, oracle:FILE"


def find_row(name: str, layer: str | None = None) -> Backbone:
    """Find the row with this name and layer; without `layer`, the first of the name."""
    rows = [row for row in BACKBONES if row.name == name]
    if not rows:
        raise BackboneError(f"Expected a descriptor out of {CHOICES}. Received: {name!r}.")
    for row in rows:
        if layer in (None, row.layer):
            return row
    raise BackboneError(
        f"Expected a layer of {name} out of {', '.join(row.layer for row in rows)}. "
        f"Received: {layer!r}."
    )
