"""What all tests share: quiet imports, fixed seeds, a folder with two real portraits."""

import logging
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

with warnings.catch_warnings():
    # TensorFlow 2.10's own imports use aliases that NumPy 1.24 deprecated.
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.keras.Model  # noqa: B018  tf.keras is loaded at its first use

import pytest
from PIL import Image

from koala_face.photographs import sample_portraits


@pytest.fixture(autouse=True, scope="session")
def _seeds_of_shared_fixtures():
    tf.keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _seeds():
    # tf.random.set_seed alone leaves Keras's initial weights to chance.
    tf.keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _messages():
    """Undo what `commands.run` does to loggers, so that caplog sees all messages."""
    yield
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).filters.clear()
    package = logging.getLogger("koala_face")
    package.handlers.clear()
    package.propagate = True


@pytest.fixture(scope="session")
def astronaut():
    """Eileen Collins, (512, 512, 3) uint8; the portrait that scikit-image carries."""
    return sample_portraits.astronaut()


@pytest.fixture(scope="session")
def grace_hopper():
    """Grace Hopper, (600, 512, 3) uint8; the portrait that matplotlib carries."""
    return sample_portraits.grace_hopper()


@pytest.fixture(scope="session")
def portrait_folder(tmp_path_factory, astronaut, grace_hopper):
    """A folder with both portraits, one of them in a subfolder; do not write into it."""
    folder = tmp_path_factory.mktemp("portraits")
    (folder / "nasa").mkdir()
    Image.fromarray(astronaut).save(folder / "nasa" / "astronaut.png")
    Image.fromarray(grace_hopper).save(folder / "grace_hopper.jpg", quality=95)
    return folder
