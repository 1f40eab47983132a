"""`python -m koala_face.export`: a model with its descriptor inside, for other programs.

One input, `gray`: (B, size, size, 1) float32 in 0-1, the neutral sRGB gray; one output:
(B, size, size, 2), a*/128 and b*/128.
"""

import dataclasses
import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.colorizer.checks import check_model
from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.shipped import VARIANTS, shipped_model

if TYPE_CHECKING:
    import tensorflow as tf

    from koala_face.model_files.description import ModelDescription

FORMATS = ("h5", "savedmodel", "tflite", "onnx")
ENDINGS = {"h5": ".h5", "savedmodel": "_savedmodel", "tflite": ".tflite", "onnx": ".onnx"}
# ONNX operator set 15: the oldest that ONNX Runtime and tf2onnx both still keep whole.
OPSET = 15

log = logging.getLogger("koala_face.export")


class ExportError(KoalaFaceError):
    """A format that cannot be written here."""


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a model with its descriptor inside: gray in, ab out, standard layers only."""

    model: tuple[str, ...] = setting(
        dataclasses.MISSING, f"model file (.h5), or {' or '.join(VARIANTS)}", positional=True
    )
    output: str = setting("exported", "folder for the files", short="-o")
    formats: tuple[str, ...] = setting(FORMATS[:3], f"out of {', '.join(FORMATS)}")
    weights: str | None = setting(None, "weights file of the model's descriptor")


def export(
    model_path: str | os.PathLike,
    output: str | os.PathLike,
    formats: tuple[str, ...] = FORMATS[:3],
    weights: str | os.PathLike | None = None,
) -> list[Path]:
    """Write one file, or folder, per format.

    Args:
        model_path: the .h5 file of a colorizer.
        output: a folder, made if it is missing.
        formats: out of `FORMATS`; ONNX only on request, as its converter is an extra.
        weights: the descriptor's weights file, None to look in the usual places.

    Returns:
        What was written: OUTPUT/NAME-gray.h5, OUTPUT/NAME-gray_savedmodel, ...

    Raises:
        ExportError: for a format that is unknown, whose converter is not installed or that
            this TensorFlow cannot write.
        ModelFileError, BackboneError, WeightsError: from the model and its descriptor.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ExportError(f"Expected formats out of {', '.join(FORMATS)}. Received: {unknown}.")
    if "onnx" in formats:
        _import("tf2onnx")
    network, description = load_gray_network(model_path, weights)
    output = Path(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"Expected a folder to write. Received: {output} ({error}).") from error
    written = []
    for name in dict.fromkeys(formats):
        path = output / f"{Path(model_path).stem}-gray{ENDINGS[name]}"
        if name == "h5":
            from koala_face.model_files.files import save_model

            save_model(network, path, describe_gray_network(description))
        else:
            _convert(name, network, path)
        log.info("wrote %s", path)
        written.append(path)
    return written


def load_gray_network(
    model_path: str | os.PathLike, weights: str | os.PathLike | None = None
) -> "tuple[tf.keras.Model, ModelDescription]":
    """A model file and its descriptor as one network; and the model's own description."""
    from koala_face.backbones import build_descriptor, find_backbone, locate_weights
    from koala_face.colorizer.gray_network import build_gray_network
    from koala_face.model_files.files import load_model

    colorizer, description = load_model(model_path)
    backbone = find_backbone(*description.descriptor)
    descriptor = build_descriptor(backbone, locate_weights(backbone, weights))
    network = build_gray_network(colorizer, descriptor, description.size, backbone.input_size)
    return network, description


def describe_gray_network(description: "ModelDescription") -> "ModelDescription":
    """What the joined network does: one prediction, with none of the scores of a mean."""
    from koala_face.model_files.description import ONCE

    kept = {key: value for key, value in description.training.items() if "scores" not in key}
    if (description.mirrored, tuple(description.scales)) == (False, ONCE):
        kept = description.training
    size = description.size
    does = f"gray in 0-1, ({size}, {size}, 1), to one prediction of ab / {description.ab_scale:g}"
    training = {**kept, "exported": does}
    return dataclasses.replace(description, mirrored=False, scales=ONCE, training=training)


def _convert(name: str, network, path: Path) -> None:
    """Write another format than .h5; whatever a converter raises becomes an ExportError."""
    import tensorflow as tf

    from koala_face.foundation.versions import keras_version

    writers = {"savedmodel": save_savedmodel, "tflite": save_tflite, "onnx": save_onnx}
    try:
        writers[name](network, path)
    except KoalaFaceError:
        raise
    except Exception as error:  # converters raise errors of many kinds
        raise ExportError(
            f"Expected to write {path}. Received from the converter: {error}. TensorFlow "
            f"{tf.__version__} with {keras_version()} cannot write {name}: use "
            "Python 3.11 with the newest TensorFlow, or the .h5."
        ) from error


def save_savedmodel(network: "tf.keras.Model", path: Path) -> None:
    """A SavedModel with the signature `serving_default`, and its function as `serve`.

    Of the network it holds the weights and one graph: Keras's own `export` traces several, and
    takes five times as long.
    """
    import tensorflow as tf

    predict = _predict_function(network, None)
    module = tf.Module()
    # Keras 3's variables hold TensorFlow's.
    module.weights = [v if isinstance(v, tf.Variable) else v.value for v in network.variables]
    module.serve = tf.function(lambda gray: predict(gray)["ab"], predict.input_signature)
    tf.saved_model.save(module, str(path), module.serve)


def save_tflite(network: "tf.keras.Model", path: Path) -> None:
    """A LiteRT (TensorFlow Lite) file, float32, for one image at a time."""
    import tensorflow as tf

    # With the number of images left open, the upsamplings have no LiteRT operation.
    function = _predict_function(network, 1).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    path.write_bytes(converter.convert())


def save_onnx(network: "tf.keras.Model", path: Path) -> None:
    """An ONNX file, float32."""
    tf2onnx = _import("tf2onnx")
    predict = _predict_function(network, None)
    tf2onnx.convert.from_function(
        predict,
        predict.input_signature,
        opset=OPSET,
        output_path=str(path),
    )


def _predict_function(network, count):
    """`network` as a tf.function of `count` images, None for any number."""
    import tensorflow as tf

    size = network.inputs[0].shape[1]
    signature = [tf.TensorSpec((count, size, size, 1), tf.float32, name="gray")]

    @tf.function(autograph=False, input_signature=signature)
    def predict(gray):
        return {"ab": network(gray, training=False)}

    return predict


def _import(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExportError(
            f"Expected {name}, which writes ONNX. Received: {error}. "
            "Next: pip install 'koala_face[export]'"
        ) from error


def main(argv=None) -> int:
    """Run the command."""
    config = parse_config(ExportConfig, argv, "export")
    if len(config.model) != 1:
        raise ExportError(f"Expected one model file. Received: {', '.join(config.model)}.")
    name = config.model[0]
    model_path = shipped_model(name) if name in VARIANTS else name
    check_model(Path(model_path), config.weights)  # before TensorFlow is loaded
    export(model_path, config.output, config.formats, config.weights)
    return 0


if __name__ == "__main__":
    run(main)
