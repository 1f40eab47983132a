"""The packages that first published the descriptors, as they are: what ours are proven against.

    python authorities.py NETWORK FOLDER

reads FOLDER/pictures.npy, (N, H, W, 3) uint8 RGB, fills keras-vggface's or
keras_applications's network with random weights, and writes FOLDER/weights.h5 as that
package's users do, and FOLDER/outputs.npz: its name and version, the preprocessed pictures
and each layer's output. Both packages date from Keras 2, so
that under Keras 3 this runs on tf-keras (TF_USE_LEGACY_KERAS=1); keras-vggface's imports are
given the modules they name. `proof` runs it in a process of its own.
"""

import importlib
import importlib.metadata
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

SEED = 20260101


def stand_in_for_keras() -> None:
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


def build_vggface() -> tuple[tf.keras.Model, Callable, str]:
    """keras-vggface's network, its preprocessing and its package."""
    stand_in_for_keras()
    from keras_vggface import VGGFace
    from keras_vggface.utils import preprocess_input

    model = VGGFace(model="vgg16", weights=None)
    return model, lambda x: preprocess_input(x, version=1), "keras-vggface"


def build_imagenet(network: str) -> tuple[tf.keras.Model, Callable, str]:
    """keras_applications's network, its preprocessing and its package."""
    modules = {
        "backend": tf.keras.backend,
        "layers": tf.keras.layers,
        "models": tf.keras.models,
        "utils": tf.keras.utils,
    }
    name = {"vgg19": "VGG19", "inception_resnet_v2": "InceptionResNetV2"}[network]
    package = importlib.import_module(f"keras_applications.{network}")
    model = getattr(package, name)(weights=None, **modules)
    return model, lambda x: package.preprocess_input(x, **modules), "keras-applications"


def leave_first_weights_at_zero() -> None:
    """Keras's own, which `fill_with_random` sets anew, take seconds to draw for 140 million."""
    zeros = tf.keras.initializers.Zeros()
    tf.keras.initializers.GlorotUniform.__call__ = lambda _, *args, **kwargs: zeros(*args, **kwargs)


def fill_with_random(model: tf.keras.Model) -> None:
    """Weights under which signals neither fade nor grow from layer to layer."""
    random = np.random.default_rng(SEED)
    for layer in model.layers:
        arrays = []
        for weight in layer.weights:
            shape, name = weight.shape, weight.name.split("/")[-1].split(":")[0]
            values = random.random(shape, dtype="float32")  # a third of the normal's time
            values -= 0.5
            # Of the variance 2 / inputs, or 0.01: a uniform's is a twelfth of its width's square.
            values *= np.sqrt(24 / np.prod(shape[:-1]) if name == "kernel" else 0.12)
            if name == "moving_variance":
                values += 1
            arrays.append(values)
        if arrays:
            layer.set_weights(arrays)


def level_top(top: tf.keras.layers.Layer, features: np.ndarray) -> None:
    """Scale the last layer so that its probabilities differ, but none is near 1."""
    kernel, bias = top.get_weights()
    top.set_weights([kernel * 2 / np.abs(features).max(), bias])


def run(model: tf.keras.Model, outputs: list, pictures: np.ndarray) -> list[np.ndarray]:
    """Call a model up to each of `outputs` once: quicker than `predict`."""
    values = tf.keras.Model(model.input, outputs)(pictures, training=False)
    return [np.asarray(value) for value in (values if isinstance(values, list) else [values])]


def layer_outputs(model: tf.keras.Model, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Level the last layer; then each layer of our table by its name there, from the package's own
    layers. What lies below the last one, and takes the time, runs once.

    keras_applications has the softmax in its last layer: what it is computed from is that
    layer's product, made here by NumPy.
    """
    if model.name == "vggface_vgg16":
        outputs = [model.get_layer(name).output for name in ("fc6/relu", "fc7/relu")]
        fc6, fc7 = run(model, outputs, pictures)
        level_top(model.get_layer("fc8"), fc7)
        logits = model.get_layer("fc8")(fc7)
        fc8 = model.get_layer("fc8/softmax")(logits)
        return {"fc6": fc6, "fc7": fc7, "logits": np.asarray(logits), "fc8": np.asarray(fc8)}
    top = model.get_layer("predictions")
    (features,) = run(model, [top.input], pictures)
    level_top(top, features)
    kernel, bias = top.get_weights()
    below = {"vgg19": "fc2", "inception_resnet_v2": "avg_pool"}[model.name]
    predictions = np.asarray(top(features))
    return {"predictions": predictions, "logits": features @ kernel + bias, below: features}


def main(network: str, folder: str) -> None:
    """Fill FOLDER with what the package of NETWORK gives."""
    leave_first_weights_at_zero()
    model, preprocess, package = (
        build_vggface() if network == "vggface" else build_imagenet(network)
    )
    pictures = preprocess(np.load(Path(folder) / "pictures.npy").astype("float32"))
    fill_with_random(model)
    outputs = layer_outputs(model, pictures)
    model.save_weights(str(Path(folder) / "weights.h5"))
    keras = importlib.import_module(tf.keras.Model.__module__.split(".")[0])
    version = (
        f"{package} {importlib.metadata.version(package)} on {keras.__name__} {keras.__version__}"
    )
    np.savez(Path(folder) / "outputs.npz", version=version, preprocessed=pictures, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
