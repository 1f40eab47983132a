"""The pretrained descriptors (Section II.C and the comparison of Section III).

Each turns the gray version of a portrait into one vector. The table `BACKBONES`
names them; `locate_weights` finds a descriptor's file without ever downloading
it; `build_descriptor` makes a network that takes RGB in 0-255, so that its own
preprocessing is part of it, and `descriptor_function` gives its vectors alone,
sooner. Only these two import TensorFlow: a command that lacks weights says so at
once.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.backbones.table import (
    BACKBONE_NAMES,
    BACKBONES,
    CHOICES,
    NO_PREPROCESSING,
    ORACLE,
    TUNED,
    Backbone,
    BackboneError,
    find_row,
)
from koala_face.backbones.tuned import DescriptorFileError, attach, parse_head, read_head
from koala_face.backbones.weight_files import WeightsError, locate_file, weights_sha256

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "BACKBONES",
    "BACKBONE_NAMES",
    "CHOICES",
    "Backbone",
    "BackboneError",
    "DescriptorFileError",
    "WeightsError",
    "build_descriptor",
    "check_blind",
    "check_tuned_on",
    "descriptor_function",
    "find_backbone",
    "locate_weights",
    "weights_sha256",
]


def find_backbone(
    name: str, layer: str | None = None, descriptor_file: bytes | None = None
) -> Backbone:
    """Find the row of `BACKBONES` with this name and layer; without `layer`, the default.

    `tuned:FILE` is the descriptor in a file that `python -m koala_face tune` wrote; `oracle:FILE`
    the true target of that file, of a portrait in colour.

    Args:
        descriptor_file: the bytes of FILE, as a model carries them; None reads it.

    Raises:
        BackboneError: for a name or a layer that is not in the table; lists those that are.
        DescriptorFileError: from FILE.
    """
    kind, _, file = name.partition(":")
    if kind not in (TUNED, ORACLE) or not file:
        return find_row(name, layer)
    head = read_head(file) if descriptor_file is None else parse_head(descriptor_file, file)
    base = find_row(head.backbone, head.layer)
    if head.features != base.embedding_dim:
        raise DescriptorFileError(
            f"Expected in {file} a head on the {base.embedding_dim} values of {base.name} "
            f"({base.layer}). Received: one on {head.features}. Tune it anew."
        )
    row = base._replace(name=f"{kind}:{head.name}", embedding_dim=head.classes, head=head)
    if kind == ORACLE:
        if head.centers is None:
            raise BackboneError(
                f"Expected for {name} a descriptor of clusters of colours. Received: one of "
                f"{head.targets}. Tune one with --targets colors."
            )
        row = row._replace(layer="cluster", preprocess=NO_PREPROCESSING, weights_file=None)
    if layer not in (None, row.layer):
        raise BackboneError(f"Expected {name} without --layer, or {row.layer}. Received: {layer}.")
    return row


def check_blind(backbone: Backbone) -> None:
    """Refuse a descriptor that looks at the colours that are asked for.

    Raises:
        BackboneError: for an oracle.
    """
    if backbone.sees_color:
        raise BackboneError(
            f"Expected a descriptor of gray portraits. Received: {backbone.name}, the true cluster "
            "of a portrait's colours, which a gray one does not tell. It is a measure, for "
            "embed, train, evaluate and compare alone: colour with a model of another descriptor, "
            "or with this one in several ways, by colorize --palettes 3."
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
        The file, which opens and is whole; None for a descriptor without a network.

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
        WeightsError: for weights whose layers or shapes are not this network's, or that are
            others than those that a tuned descriptor was tuned on.
        BackboneError: for an oracle.
    """
    check_blind(backbone)
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
    model = builders[backbone.base.name](backbone.base, weights_path)
    if backbone.head is not None:
        check_tuned_on(backbone, weights_path)
        model = attach(model, backbone.head)
    model.trainable = False
    return model


def descriptor_function(
    backbone: Backbone, weights_path: str | os.PathLike | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """What `build_descriptor` gives, where vectors are all that is wanted of it.

    FaceNet's, which ships, is made of plain ops, in a third of the time and to the same bits, also
    below a head that is tuned on it.

    Returns:
        A function of (B, input_size, input_size, 3) float32 RGB in 0-255 to (B, embedding_dim).

    Raises:
        WeightsError, BackboneError: as `build_descriptor`.
    """
    if backbone.base.name != "facenet":
        return functools.partial(build_descriptor(backbone, weights_path), training=False)
    check_blind(backbone)
    from koala_face.backbones.facenet_ops import facenet_function

    weights_path = weights_path or locate_weights(backbone)
    describe = facenet_function(backbone.base, weights_path)
    if backbone.head is None:
        return describe
    check_tuned_on(backbone, weights_path)
    import tensorflow as tf

    features = tf.keras.Input((backbone.head.features,))
    tell = attach(tf.keras.Model(features, features), backbone.head)
    return lambda portraits: tell(describe(portraits), training=False)


def check_tuned_on(backbone: Backbone, weights_path: str | os.PathLike | None) -> None:
    """Refuse weights of the base that are others than those below the head when it was tuned.

    Raises:
        WeightsError: with both hashes.
    """
    found = "" if weights_path is None else weights_sha256(weights_path)
    if found != backbone.head.weights_sha256:
        raise WeightsError(
            f"Expected for {backbone.name} the weights of {backbone.base.name} that it was tuned "
            f"on, of SHA-256 {backbone.head.weights_sha256}. Received: {weights_path}, {found}. "
            "Name those by --weights, or tune it anew."
        )
