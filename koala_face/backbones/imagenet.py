"""The object classifiers that the paper compares with: Inception-ResNet-v2 and VGG19.

Both are those of `tf.keras.applications`, with the top, so that the vector is the
1000 probabilities of ImageNet's classes, or what their softmax is computed from: the logits.
Or it is the layer below the top: `avg_pool` and `fc2`.
Their weights are published in one .h5 each.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import tensorflow as tf

from koala_face.backbones.preprocessing import portrait_input, preprocess
from koala_face.backbones.saved_layers import (
    fill_by_name,
    fill_layer,
    open_saved,
    read_layer,
    text_attribute,
    weighted_layers,
    wrong_layers,
)

if TYPE_CHECKING:
    from koala_face.backbones import Backbone
    from koala_face.backbones.weight_files import WeightsFile

keras = tf.keras

# Inception-ResNet-v2's residual blocks in order, with the factor on each residual:
# keras.applications.inception_resnet_v2, `inception_resnet_block(scale=...)`.
RESIDUALS = (
    *((f"block35_{n}", 0.17) for n in range(1, 11)),
    *((f"block17_{n}", 0.1) for n in range(1, 21)),
    *((f"block8_{n}", 0.2) for n in range(1, 10)),
    ("block8_10", 1.0),
)
# The layer that adds a residual to its input is no layer that every Keras knows: a
# Lambda before Keras 3, a class of its own since. Here it is an Add, and the factor
# lies in the weights of the convolution before it.
RESIDUAL_CLASSES = ("Lambda", "CustomScaleLayer")
# The names that Keras gives to layers without one: "conv2d", "conv2d_1", ...
UNNAMED = re.compile(
    r"(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d)(?:_(\d+))?$"
)


def build_vgg19(backbone: Backbone, weights_path: str | os.PathLike) -> tf.keras.Model:
    """(224, 224, 3) RGB in 0-255 to (1000,) probabilities, or logits, or (4096,) of `fc2`.

    Raises:
        WeightsError: unless the file holds every layer in its shape.
    """
    portrait = portrait_input(backbone)
    x = preprocess(portrait, backbone)
    # Its own top would draw 124 million first weights, for seconds.
    x = keras.applications.VGG19(weights=None, include_top=False, input_tensor=x).output
    x = keras.layers.Flatten(name="flatten")(x)
    for name, units, activation in (
        ("fc1", 4096, "relu"),
        ("fc2", 4096, "relu"),
        ("predictions", 1000, top_activation(backbone)),
    ):
        x = keras.layers.Dense(units, activation, kernel_initializer="zeros", name=name)(x)
        if name == backbone.layer:
            break
    # `input_tensor` leaves a list of one input, and Keras 3 warns where it is given no list.
    model = keras.Model(portrait, x, name="vgg19")
    fill_by_name(model, weights_path, backbone.weights_file)
    return model


def build_inception_resnet_v2(
    backbone: Backbone, weights_path: str | os.PathLike
) -> tf.keras.Model:
    """(299, 299, 3) RGB in 0-255 to (1000,) probabilities, or logits, or (1536,) of `avg_pool`.

    Raises:
        WeightsError: unless the file holds as many layers, in this order and in their shapes.
    """
    portrait = portrait_input(backbone)
    published = keras.applications.InceptionResNetV2(
        weights=None,
        input_tensor=preprocess(portrait, backbone),
        classifier_activation=top_activation(backbone),
    )
    names = stable_names(published)
    clone = keras.models.clone_model(
        published, clone_function=lambda layer: standard_layer(layer, names[layer.name])
    )
    model = keras.Model(clone.inputs[0], clone.outputs[0], name="inception_resnet_v2")
    model.get_layer("preprocessing").set_weights(published.get_layer("preprocessing").get_weights())
    order = [names[layer.name] for layer in weighted_layers(published)]
    fill_in_order([model.get_layer(name) for name in order], weights_path, backbone.weights_file)
    return up_to_layer(model, backbone)


def top_activation(backbone: Backbone) -> str | None:
    """What follows the last layer, in the word of `tf.keras.applications`."""
    return None if backbone.layer == "logits" else "softmax"


def up_to_layer(model: tf.keras.Model, backbone: Backbone) -> tf.keras.Model:
    """The network without what lies above the descriptor's layer."""
    if backbone.layer in ("predictions", "logits"):
        return model
    layer = model.get_layer(backbone.layer)
    return keras.Model(model.inputs[0], layer.output, name=model.name)


def stable_names(model: tf.keras.Model) -> dict[str, str]:
    """Old name to new: names that do not depend on what was built before.

    Keras numbers unnamed layers through the life of a process; here each kind counts
    from 1, in the order in which `keras.applications` makes them.
    """
    numbered = {layer.name: UNNAMED.match(layer.name) for layer in model.layers}
    first = {}
    for match in filter(None, numbered.values()):
        number = int(match[2] or 0)
        first[match[1]] = min(number, first.get(match[1], number))
    residuals = iter(RESIDUALS)
    names = {}
    for layer in model.layers:
        match = numbered[layer.name]
        if layer.__class__.__name__ in RESIDUAL_CLASSES:
            names[layer.name], _ = next(residuals)
        elif match:
            names[layer.name] = f"{match[1]}_{int(match[2] or 0) - first[match[1]] + 1}"
        else:
            names[layer.name] = layer.name
    return names


def standard_layer(layer: tf.keras.layers.Layer, name: str) -> tf.keras.layers.Layer:
    """A copy of a layer under a new name, without weights; a residual becomes an Add."""
    if layer.__class__.__name__ in RESIDUAL_CLASSES:
        return keras.layers.Add(name=name)
    config = {**layer.get_config(), "name": name}
    if "kernel_initializer" in config:
        config["kernel_initializer"] = "zeros"
    return layer.__class__.from_config(config)


def fill_in_order(
    layers: list[tf.keras.layers.Layer], path: str | os.PathLike, file: WeightsFile
) -> None:
    """Set layers from a saved .h5 in its order: unnamed layers have other names there.

    Raises:
        WeightsError: unless the file has as many layers, of the same shapes.
    """
    scales = {f"{block}_conv": scale for block, scale in RESIDUALS}
    with open_saved(path, file) as saved:
        groups = [read_layer(saved, n, path, file) for n in text_attribute(saved, "layer_names")]
        groups = [datasets for datasets in groups if datasets]
        if len(groups) != len(layers):
            raise wrong_layers(
                path, file, f"{len(layers)} layers with weights", f"{len(groups)} of them"
            )
        for layer, datasets in zip(layers, groups, strict=True):
            fill_layer(layer, datasets, path, file, scales.get(layer.name, 1.0))
