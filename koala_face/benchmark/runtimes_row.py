"""Row `runtimes`: one portrait, gray to ab, by this package and by what else can run its export."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from koala_face.backbones import find_backbone, locate_weights
from koala_face.benchmark.timing import Measurement, Setup, median_seconds
from koala_face.colorizer.colorizer import Colorizer
from koala_face.data.embeddings import compile_descriptor, descriptor_input
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.files import load_model
from koala_face.model_files.shipped import shipped_model
from koala_face.photographs.reading import read_rgb


def measure_runtimes(setup: Setup) -> list[Measurement]:
    """The model that ships, asked once as its export is; descriptor and network, without files."""
    model, description = load_model(shipped_model())
    backbone = find_backbone(*description.descriptor)
    embed = compile_descriptor(backbone, locate_weights(backbone))
    colorizer = Colorizer(model, embed, backbone.input_size)
    rgb = read_rgb(setup.photographs[0])
    seen = colorizer.prepare(rgb)
    gray = descriptor_input(rgb, colorizer.size)
    gray = gray[None, ..., None].astype("float32") / 255
    keras_file, file = _export(setup.folder / "exported")
    network = tf.keras.models.load_model(keras_file, compile=False)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "koala_face": lambda: colorizer.predict([seen], colorizer.embed([seen])),
        "Keras, predict": lambda: network.predict(gray, verbose=0),
        "Keras, called": lambda: np.asarray(network(gray, training=False)),
    }
    missing = []
    for name, make in (("ONNX Runtime", _onnx_runtime), ("OpenCV's dnn", _opencv)):
        try:
            ways[name] = make(file, gray)
        except Exception as error:  # not installed, or it has no such operation
            missing.append(Measurement(f"runtimes, {name}", f"not measured: {error}"))
    seconds = median_seconds(ways, setup.repeats)
    ours = seconds.pop("koala_face")
    what = f"runtimes, one portrait, {colorizer.size}x{colorizer.size}, asked once, without files"
    return [
        Measurement(what, ms(ours), f"{name}: {ms(theirs)}", f"{theirs / ours:.2f}")
        for name, theirs in seconds.items()
    ] + missing


def _export(folder: Path) -> tuple[Path, Path]:
    """The model as its user exports it, for Keras and for the others."""
    command = [sys.executable, "-m", "koala_face", "export", str(shipped_model()), "-o"]
    command += [str(folder), "--formats", "h5,onnx"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise KoalaFaceError(done.stderr.strip().splitlines()[-1])
    return next(folder.glob("*.h5")), next(folder.glob("*.onnx"))


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _onnx_runtime(file: Path, gray: np.ndarray) -> Callable[[], np.ndarray]:
    session = importlib.import_module("onnxruntime").InferenceSession(
        str(file), providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"gray": gray})[0]


def _opencv(file: Path, gray: np.ndarray) -> Callable[[], np.ndarray]:
    network = importlib.import_module("cv2").dnn.readNetFromONNX(str(file))

    def run() -> np.ndarray:
        network.setInput(gray)
        return network.forward()

    run()  # what it cannot compute shows at the first call
    return run
