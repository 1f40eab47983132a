"""Training and use see the same picture of a photograph, whatever its file."""

import imagecodecs
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.constant_model import NONE, constant_model

from koala_face.backbones import find_backbone
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.files import colorize_files
from koala_face.colorizer.jobs import Job
from koala_face.data.embeddings import descriptor_input
from koala_face.data.pipeline import split_lab
from koala_face.data.portraits import load_portraits
from koala_face.photographs.reading import read_rgb

SIZE, INPUT_SIZE = 32, 24


@pytest.fixture(scope="module")
def files(tmp_path_factory, astronaut, grace_hopper):
    """Portraits in colour and gray, each several times larger than the networks' sizes."""
    folder = tmp_path_factory.mktemp("photographs")
    Image.fromarray(astronaut).save(folder / "colour.png")
    Image.fromarray(astronaut[..., 1]).save(folder / "gray.png")
    Image.fromarray(grace_hopper).save(folder / "colour.jpg", quality=95)
    Image.fromarray(grace_hopper[..., 0]).save(folder / "gray.jpg")
    Image.fromarray(astronaut[100:170, 200:260]).save(folder / "small.jpg")
    imagecodecs.imwrite(folder / "deep.png", astronaut.astype(np.uint16) * 257 ^ 0x00A5)
    return folder


def seen_in_use(path, target, monkeypatch):
    """What the networks get when the command colours the file."""
    colorizer = Colorizer(constant_model(12.0, 18.0, SIZE), None, INPUT_SIZE)
    seen = []
    monkeypatch.setattr(colorizer, "embed", lambda inputs: seen.extend(inputs) or vectors(inputs))
    (outcome,) = colorize_files([Job(path, target, "png")], colorizer)
    assert outcome.error is None
    return seen[0]


def vectors(inputs):
    return tf.zeros((len(inputs), NONE.embedding_dim))


def test_training_and_use_see_the_same_picture(files, tmp_path, monkeypatch):
    portraits = load_portraits(files, SIZE, find_backbone("none"), tmp_path / "cache")
    assert len(portraits) == 6
    for name, rgb in zip(portraits.paths, portraits.rgb[:], strict=True):
        seen = seen_in_use(files / name, tmp_path / "out.png", monkeypatch)
        luminance = split_lab(rgb)[0].numpy()[..., 0] * 100.0
        # The last digits of float32: tables for gray, a matrix for colour.
        assert np.abs(seen.luminance - luminance).max() < 1e-3, name
        trained = descriptor_input(read_rgb(files / name, 2 * INPUT_SIZE), INPUT_SIZE)
        np.testing.assert_array_equal(seen.descriptor, trained)


def test_the_gray_version_of_a_portrait_enters_nearly_alike(astronaut, grace_hopper):
    """A mean of encoded colours is not that of the encoded grays: what remains is at edges."""
    colorizer = Colorizer(constant_model(12.0, 18.0, 256), None, 160)
    for portrait in (astronaut, grace_hopper):
        gray = descriptor_input(portrait, 512)
        colour = np.asarray(Image.fromarray(portrait).resize((512, 512)))
        difference = colorizer.prepare(gray).luminance - colorizer.prepare(colour).luminance
        assert np.abs(difference).mean() < 0.2
