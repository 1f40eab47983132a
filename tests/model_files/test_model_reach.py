"""Every Keras opens the files: plain `load_model(path)` in a program without koala_face.

The readers are other Kerases and backends of this Python where they are installed, and
the Pythons that KOALA_FACE_PYTHONS names, separated by ":" (.ci/tox.ini names them all).
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.sample_models import (
    DESCRIPTION,
    model_of_all_layers,
    predict,
    sample_colorizer,
    sample_inputs,
)
from support.tuned_descriptors import make_head, save_descriptor

from koala_face.model_files.files import save_model

PROGRAM = Path(__file__).parents[1] / "support" / "open_models.py"
OTHER_PYTHONS = [
    name for name in os.environ.get("KOALA_FACE_PYTHONS", "").split(os.pathsep) if name
]
KERAS_3 = hasattr(tf.keras, "version")
KERAS_3_HERE = importlib.metadata.version("keras").startswith("3.")
FILES = ("all_layers.h5", "colorizer.h5", "descriptor.h5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Model files, each with inputs and this Keras's output beside it."""
    folder = tmp_path_factory.mktemp("reach")
    models = model_of_all_layers(), sample_colorizer(), make_head(512, hidden=4)
    for name, model in zip(FILES, models, strict=True):
        if name == "descriptor.h5":
            save_descriptor(folder / name, head=model)
        else:
            save_model(model, folder / name, DESCRIPTION)
        inputs = sample_inputs(model)
        output = predict(model, inputs)
        assert output.std() > 1e-3, "a flat output would hide wrong weights"
        np.savez(folder / f"{Path(name).stem}.npz", output=output, **inputs)
    return folder


def check_opened(python, folder, **variables):
    """Run the stranger's program; every file must predict the same and train a step."""
    drop = ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "PYTHONPATH")
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    done = subprocess.run(
        [python, str(PROGRAM), str(folder)],
        env={**environment, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert "without koala_face: True" in lines
    results = [json.loads(line[7:]) for line in lines if line.startswith("opened ")]
    assert [result["file"] for result in results] == list(FILES)
    for result in results:
        assert result["difference"] <= 1e-5, result
        assert np.isfinite(result["loss"]), result


def needs(module):
    """Skip where `module` is not installed."""
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is not installed here")


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=needs(name)) for name in ("jax", "torch")]
)
@pytest.mark.skipif(not KERAS_3_HERE, reason="Keras 3 is not installed here")
def test_keras_3_on_another_backend_opens_the_files(folder, backend):
    check_opened(sys.executable, folder, KERAS_BACKEND=backend)


@pytest.mark.parametrize("legacy", ["0", "1"])
def test_the_kerases_of_this_python_open_the_files(folder, legacy):
    """Keras 3, and tf-keras where it is installed: both, whichever wrote the files."""
    if legacy == "1" and importlib.util.find_spec("tf_keras") is None:
        pytest.skip("tf_keras is not installed here")
    check_opened(sys.executable, folder, TF_USE_LEGACY_KERAS=legacy)


@pytest.mark.skipif(not OTHER_PYTHONS, reason="KOALA_FACE_PYTHONS names no other Python")
@pytest.mark.parametrize("legacy", ["0", "1"])
@pytest.mark.parametrize("python", OTHER_PYTHONS or [None])
def test_the_kerases_of_other_pythons_open_the_files(folder, python, legacy):
    if not Path(python).exists():
        pytest.skip(f"{python} does not exist")
    check_opened(python, folder, TF_USE_LEGACY_KERAS=legacy)


@needs("tf_keras")
def test_keras_2_and_keras_3_write_the_same_bytes(folder, tmp_path):
    """The other Keras of this Python writes the same models: file by file, byte by byte."""
    program = (
        "import sys; from pathlib import Path; import sample_models as made\n"
        "from koala_face.model_files import save_model\n"
        "models = made.model_of_all_layers(), made.sample_colorizer()\n"
        "for name, model in zip(('all_layers.h5', 'colorizer.h5'), models):\n"
        "    save_model(model, Path(sys.argv[1]) / name, made.DESCRIPTION)"
    )
    paths = [str(PROGRAM.parent), str(PROGRAM.parent.parent)]
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1" if KERAS_3 else "0",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=True)
    for name in FILES[:2]:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
