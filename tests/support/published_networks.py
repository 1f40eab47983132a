"""Runs `keras_authorities.py` in a process of its own, for the tests of the descriptors."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

SCRIPT = Path(__file__).with_name("keras_authorities.py")


class Authority(NamedTuple):
    """What a published package gave: pictures (1, H, W, 3) uint8, its weights, its outputs."""

    pictures: np.ndarray
    weights: Path
    outputs: dict


def run_authority(network: str, folder: Path, pixels: np.ndarray, size: int) -> Authority:
    """Run a package on Keras 2; skips where this environment has none."""
    if tf.__version__ >= "2.16" and not _has_legacy_keras():
        pytest.skip("these packages date from Keras 2: pip install tf-keras")
    pictures = np.asarray(Image.fromarray(pixels).resize((size, size)))[None]
    np.save(folder / "pictures.npy", pictures)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), network, str(folder)],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "outputs.npz") as outputs:
        return Authority(pictures, folder / "weights.h5", dict(outputs))


def _has_legacy_keras() -> bool:
    try:
        import tf_keras  # noqa: F401
    except ImportError:
        return False
    return True
