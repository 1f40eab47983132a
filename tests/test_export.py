"""Exported models: standard layers take a gray image where the package takes a photograph."""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import color as skimage_color
from support.sample_models import fill, predict

from koala_face import export
from koala_face.backbones import build_descriptor, find_backbone, locate_weights
from koala_face.colorizer.gray_network import luminance_knots
from koala_face.colorizer.upsampling import resampling_weights
from koala_face.model_files.files import ModelDescription, ModelFileError, load_model, save_model
from koala_face.models import build_colorizer

keras = tf.keras
SIZE = 64
MODES = ("RGB", "L")  # of the photographs that the README's program is shown
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A colorizer of 64x64 pixels for FaceNet's vector, with random weights."""
    backbone = find_backbone("facenet")
    description = ModelDescription(
        backbone.name, backbone.layer, backbone.preprocessing, backbone.embedding_dim, SIZE
    )
    path = tmp_path_factory.mktemp("models") / "model.h5"
    colorizer = fill(build_colorizer(backbone.embedding_dim, SIZE))
    # Colours that sRGB can show: a* and b* near 13.
    last = colorizer.get_layer("decoder_conv5")
    last.set_weights([last.get_weights()[0] * 0.1, np.full(2, 0.1, "float32")])
    save_model(colorizer, path, description)
    return path


@pytest.fixture(scope="module")
def gray(astronaut):
    """The astronaut at 64x64, (1, 64, 64, 1) float32 in 0-1."""
    small = Image.fromarray(astronaut).convert("L").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return (np.array(small, "float32") / 255)[None, :, :, None]


@pytest.fixture(scope="module")
def network(model_file):
    return export.load_gray_network(model_file)[0]


@pytest.fixture(scope="module")
def h5(model_file, tmp_path_factory):
    """What the command writes; it makes the folder."""
    folder = tmp_path_factory.mktemp("exported") / "new"
    assert export.main([str(model_file), "-o", str(folder), "--formats", "h5"]) == 0
    return folder / "model-gray.h5"


def test_the_curve_to_luminance_is_that_of_scikit_image():
    knots, values = luminance_knots()
    gray = np.linspace(0, 1, 10_001)
    lab = skimage_color.rgb2lab(np.repeat(gray[:, None], 3, axis=1))
    assert np.abs(np.interp(gray, knots, values) - lab[:, 0] / 100).max() < 1e-4


@pytest.mark.parametrize(("size", "new_size"), [(256, 224), (256, 160), (64, 160), (64, 299)])
def test_the_resize_is_that_of_pillow(size, new_size):
    """Pillow's own kernel, in its float mode, which neither rounds nor clips."""
    pixels = np.random.default_rng(1).random((size, size), dtype="float32")
    expected = Image.fromarray(pixels).resize((new_size, new_size), Image.Resampling.BICUBIC)
    matrix = resampling_weights(size, new_size, 0, new_size)
    np.testing.assert_allclose(matrix @ pixels @ matrix.T, np.array(expected), atol=1e-5)


def test_the_network_inside_sees_what_the_package_sees(model_file, network, gray):
    """The same ab by the long way: scikit-image's L*, Pillow's resize, the two networks."""
    colorizer, _ = load_model(model_file)
    backbone = find_backbone("facenet")
    descriptor = build_descriptor(backbone, locate_weights(backbone))
    pixels = Image.fromarray(np.uint8(np.round(gray[0, ..., 0] * 255)))
    portrait = np.array(pixels.resize((160, 160), Image.Resampling.BICUBIC), "float32")
    embedding = np.asarray(descriptor(np.repeat(portrait[None, ..., None], 3, axis=-1)))
    lab = skimage_color.rgb2lab(np.repeat(gray[0], 3, axis=-1))
    luminance = (lab[None, ..., :1] / 100).astype("float32")
    expected = predict(colorizer, {"luminance": luminance, "embedding": embedding})
    assert expected.std() > 0.01
    # Pillow rounds the portrait to whole levels, twice; ab is a*/128.
    np.testing.assert_allclose(predict(network, {"gray": gray}), expected, atol=2e-2)
    assert np.abs(predict(network, {"gray": gray}) - expected).mean() < 2e-3


def test_the_h5_opens_by_plain_load_model(h5, network, gray):
    assert [path.name for path in h5.parent.iterdir()] == ["model-gray.h5"]
    again = keras.models.load_model(str(h5), compile=False)
    np.testing.assert_allclose(
        predict(again, {"gray": gray}), predict(network, {"gray": gray}), atol=1e-5
    )
    assert again.output_shape == (None, SIZE, SIZE, 2)


def test_the_h5_says_what_it_does(model_file, tmp_path):
    """One prediction, whatever mean the model asks for, and no score of that mean."""
    model, description = load_model(model_file)
    training = {"seed": 3, "validation_scores": {"mse": 1.0}, "sample_scores": {"mse": 2.0}}
    mean = dataclasses.replace(description, mirrored=True, scales=(0.75, 1.0), training=training)
    save_model(model, tmp_path / "mean.h5", mean)
    (path,) = export.export(tmp_path / "mean.h5", tmp_path / "new", ["h5"])
    with h5py.File(path) as file:
        assert not file.attrs["koala_face_mirrored"]
        assert file.attrs["koala_face_scales"].tolist() == [1.0]
        said = json.loads(file.attrs["koala_face_training"])
    assert said["seed"] == 3
    assert not {"validation_scores", "sample_scores"} & set(said)
    assert "one prediction" in said["exported"]
    # The scores of a model that is asked once are the export's as well.
    once = dataclasses.replace(description, training=training)
    assert export.describe_gray_network(once).training.items() > training.items()


def test_an_exported_model_is_not_taken_for_a_colorizer(h5):
    with pytest.raises(ModelFileError, match=r"-gray\.h5.*keras\.models\.load_model"):
        load_model(h5)


def test_tensorflow_runs_the_savedmodel(network, gray, tmp_path):
    export.save_savedmodel(network, tmp_path / "saved")
    signature = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    (output,) = signature(tf.constant(gray)).values()
    np.testing.assert_allclose(output, predict(network, {"gray": gray}), atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # the converter's and the interpreter's own
def test_litert_runs_the_tflite(network, gray, tmp_path):
    export.save_tflite(network, tmp_path / "model.tflite")
    if importlib.util.find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter
    else:
        Interpreter = tf.lite.Interpreter  # noqa: N806
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], gray)
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(output, predict(network, {"gray": gray}), atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # the converter's own
def test_onnx_runtime_runs_the_onnx(network, gray, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    export.save_onnx(network, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (output,) = session.run(["ab"], {"gray": gray})
    np.testing.assert_allclose(output, predict(network, {"gray": gray}), atol=1e-4)


def test_a_converter_that_is_missing_is_named(model_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(export.ExportError, match=r"tf2onnx.*koala_face\[export\]"):
        export.export(model_file, tmp_path, ("onnx",))


def test_what_a_converter_cannot_write_is_said(network, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(export, "save_tflite", fail)
    with pytest.raises(export.ExportError, match=rf"no such operation.*{tf.__version__}.*tflite"):
        export._convert("tflite", network, tmp_path / "model.tflite")


def test_an_unknown_format_lists_the_known(model_file, tmp_path):
    with pytest.raises(export.ExportError, match="h5, savedmodel, tflite, onnx.*coreml"):
        export.export(model_file, tmp_path, ("coreml",))


@pytest.fixture(scope="module")
def without_koala_face(h5, tmp_path_factory, astronaut):
    """A folder with RGB/ and L/: in each a photograph, and what the README's program made of it."""
    text = README.read_text(encoding="utf-8")
    (code,) = re.findall(r"<!-- without koala_face -->\n```python\n(.*?)```", text, re.S)
    assert "koala_face" not in code
    assert len(code.strip().splitlines()) <= 14
    folder = tmp_path_factory.mktemp("without")
    for mode in MODES:
        (folder / mode).mkdir()
        (folder / mode / "exported").symlink_to(h5.parent)
        Image.fromarray(astronaut).convert(mode).save(folder / mode / "portrait.jpg")
    program = f"""
import os
for mode in {MODES}:
    os.chdir({str(folder)!r} + "/" + mode)
    exec({code!r}, {{}})
"""
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_the_readme_colours_a_photograph_without_koala_face(without_koala_face, astronaut, mode):
    """In colour, and gray as the photographs are that one wants coloured."""
    colored = np.array(Image.open(without_koala_face / mode / "coloured.png"))
    assert colored.shape == astronaut.shape
    # The photograph as the program read it: JPEG itself moves L* by about 1.
    read = np.array(Image.open(without_koala_face / mode / "portrait.jpg").convert("RGB"))
    before, after = skimage_color.rgb2lab(read), skimage_color.rgb2lab(colored)
    assert np.abs(after[..., 1:]).mean() > 1
    assert np.median(np.abs(after[..., 0] - before[..., 0])) < 1
