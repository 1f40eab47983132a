"""Run the packages that first published the descriptors, each in its own process.

    python keras_authorities.py NETWORK FOLDER

reads FOLDER/pictures.npy, (N, H, W, 3) uint8 RGB, fills keras-vggface's or
keras_applications's network with random weights, and writes FOLDER/weights.h5 as that
package's users do and FOLDER/outputs.npz: the preprocessed pictures and each layer's
output. Both packages date from Keras 2, so that under Keras 3 this runs on tf-keras
(TF_USE_LEGACY_KERAS=1); keras-vggface's imports are given the modules they name.
"""

import importlib
import sys
import types
from pathlib import Path

import numpy as np
import tensorflow as tf


def stand_in_for_keras():
    """Make `import keras` give the Keras that tf.keras is, laid out as in 2018."""
    keras = importlib.import_module(tf.keras.Model.__module__.split(".")[0])
    topology = types.ModuleType("keras.engine.topology")
    topology.get_source_inputs = None  # only for input_tensor=
    data_utils = types.ModuleType("keras.utils.data_utils")
    data_utils.get_file = None  # only for weights="vggface"
    sys.modules.update(
        {
            "keras": keras,
            "keras.layers": keras.layers,
            "keras.models": keras.models,
            "keras.backend": keras.backend,
            "keras.utils": keras.utils,
            "keras.utils.layer_utils": types.ModuleType("keras.utils.layer_utils"),
            "keras.utils.data_utils": data_utils,
            "keras.engine": types.ModuleType("keras.engine"),
            "keras.engine.topology": topology,
        }
    )
    keras.utils.layer_utils = sys.modules["keras.utils.layer_utils"]


def build_vggface():
    stand_in_for_keras()
    from keras_vggface import VGGFace
    from keras_vggface.utils import preprocess_input

    layers = ("fc6", "fc6/relu", "fc7", "fc7/relu", "fc8", "fc8/softmax")
    return VGGFace(model="vgg16", weights=None), lambda x: preprocess_input(x, version=1), layers


def build_imagenet(network):
    modules = {
        "backend": tf.keras.backend,
        "layers": tf.keras.layers,
        "models": tf.keras.models,
        "utils": tf.keras.utils,
    }
    name = {"vgg19": "VGG19", "inception_resnet_v2": "InceptionResNetV2"}[network]
    package = importlib.import_module(f"keras_applications.{network}")
    model = getattr(package, name)(weights=None, **modules)
    return model, lambda x: package.preprocess_input(x, **modules), ("predictions",)


def fill_with_random(model):
    """Weights under which signals neither fade nor grow from layer to layer."""
    random = np.random.default_rng(20260101)
    for layer in model.layers:
        arrays = []
        for weight in layer.weights:
            shape, name = weight.shape, weight.name.split("/")[-1].split(":")[0]
            values = random.standard_normal(shape, dtype="float32")
            if name == "kernel":
                values *= np.sqrt(2 / np.prod(shape[:-1]))
            else:
                values *= 0.1
            if name == "moving_variance":
                values += 1
            arrays.append(values)
        if arrays:
            layer.set_weights(arrays)


def level_top(model, top, pictures):
    """Scale the last layer so that its probabilities differ, but none is near 1."""
    kernel, bias = top.get_weights()
    top.set_weights([kernel * 2 / np.abs(run(model, top.input, pictures)).max(), bias])


def run(model, output, pictures):
    """Call a model up to `output` (one tensor, or a list) once: quicker than `predict`."""
    outputs = tf.keras.Model(model.input, output)(pictures, training=False)
    return [value.numpy() for value in outputs] if isinstance(output, list) else outputs.numpy()


def main(network, folder):
    model, preprocess, layers = build_vggface() if network == "vggface" else build_imagenet(network)
    pictures = preprocess(np.load(Path(folder) / "pictures.npy").astype("float32"))
    fill_with_random(model)
    level_top(model, model.get_layer(layers[-1].split("/")[0]), pictures)
    model.save_weights(str(Path(folder) / "weights.h5"))
    outputs = [model.get_layer(name).output for name in layers]
    outputs = run(model, outputs, pictures) if len(layers) > 1 else [run(model, *outputs, pictures)]
    named = {name.replace("/", "_"): value for name, value in zip(layers, outputs, strict=True)}
    np.savez(Path(folder) / "outputs.npz", preprocessed=pictures, **named)


if __name__ == "__main__":
    main(*sys.argv[1:])
