"""The file of vectors says what made it; rows are the descriptor's own; the command runs alone."""

import hashlib
import random
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import color as skimage_color

from koala_face import embed
from koala_face.backbones import build_descriptor, find_backbone, locate_weights
from koala_face.data import embeddings
from koala_face.data.row_file import RowFileError
from koala_face.foundation.commands import parse_config
from koala_face.photographs.reading import PhotographError, read_rgb, resize

keras = tf.keras

FACENET = find_backbone("facenet")


@pytest.fixture
def mean_descriptor(monkeypatch, tmp_path):
    """FaceNet's place taken by the portrait's mean, repeated: quick, and known by hand."""
    weights = tmp_path / "weights.pb"
    weights.write_bytes(b"weights")

    def build(backbone, weights_path):
        assert weights_path == weights
        portrait = keras.Input((backbone.input_size, backbone.input_size, 3))
        mean = keras.layers.GlobalAveragePooling2D()(portrait)
        kernel = np.zeros((3, backbone.embedding_dim), "float32")
        kernel[0] = 1.0
        dense = keras.layers.Dense(backbone.embedding_dim, use_bias=False)
        model = keras.Model(portrait, dense(mean))
        dense.set_weights([kernel])
        return model

    monkeypatch.setattr(embeddings, "descriptor_function", build)
    monkeypatch.setattr(embeddings, "locate_weights", lambda backbone, given: weights)
    return weights


@pytest.fixture
def grays(tmp_path):
    """Five flat gray portraits of the levels 10, 20, 30, 40, 50."""
    folder = tmp_path / "grays"
    folder.mkdir()
    for level in range(10, 60, 10):
        Image.new("L", (16, 12), level).save(folder / f"{level}.png")
    return folder


def test_each_portrait_has_its_own_vector(grays, mean_descriptor, tmp_path):
    embedded = embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5", batch_size=2)
    assert embedded.paths == ["10.png", "20.png", "30.png", "40.png", "50.png"]
    assert embedded.embeddings.shape == (5, 512)
    expected = np.repeat([[10], [20], [30], [40], [50]], 512, axis=1)
    np.testing.assert_allclose(embedded.embeddings[:], expected, rtol=1e-5)
    assert embedded.unreadable == {}


def test_the_file_declares_what_made_it(grays, mean_descriptor, tmp_path):
    embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5")
    with h5py.File(tmp_path / "rows.h5") as file:
        assert dict(file.attrs) == {
            "schema": "koala_face rows 1",
            "descriptor": "facenet",
            "layer": "embeddings",
            "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
            "input_size": 160,
            "preprocessing": "(RGB - 127.5) / 128",
        }
        digest = hashlib.sha256((grays / "10.png").read_bytes()).digest()
        assert file["sha256"][0].tobytes() == digest


def test_other_weights_are_an_error_that_names_both(grays, mean_descriptor, tmp_path):
    embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5")
    mean_descriptor.write_bytes(b"other")
    with pytest.raises(RowFileError) as raised:
        embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5")
    for content in (b"weights", b"other"):
        assert hashlib.sha256(content).hexdigest() in str(raised.value)


def test_the_network_is_not_built_when_nothing_is_missing(
    grays, mean_descriptor, tmp_path, monkeypatch
):
    before = embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5").embeddings[:]
    monkeypatch.setattr(embeddings, "descriptor_function", None)
    after = embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5").embeddings[:]
    assert np.array_equal(before, after)


def test_unreadable_photographs_are_left_out_and_named(grays, mean_descriptor, tmp_path, caplog):
    (grays / "15.jpg").write_bytes(b"nothing")
    embedded = embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5")
    assert embedded.paths == ["10.png", "20.png", "30.png", "40.png", "50.png"]
    assert list(embedded.unreadable) == ["15.jpg"]
    assert "1 of 6" in caplog.text
    with pytest.raises(PhotographError, match=r"15\.jpg"):
        embeddings.embed_folder(grays, FACENET, tmp_path / "rows.h5", strict=True)


def test_none_gives_zeros_and_writes_nothing(grays, tmp_path):
    embedded = embeddings.embed_folder(grays, find_backbone("none"), tmp_path / "rows.h5")
    assert embedded.embeddings.shape == (5, 512)
    assert not embedded.embeddings[:].any()
    assert not (tmp_path / "rows.h5").exists()


def test_descriptor_input_is_the_gray_of_luminance(astronaut):
    """scikit-image's L*, and the neutral gray that has it; resized after, not before."""
    lab = skimage_color.rgb2lab(astronaut)
    lab[..., 1:] = 0.0
    gray = np.round(skimage_color.lab2rgb(lab)[..., 1] * 255.0).astype("uint8")
    difference = embeddings.descriptor_input(astronaut, 224).astype(int) - resize(gray, 224, 224)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.01


def test_a_color_portrait_and_its_gray_version_enter_alike(astronaut):
    gray = embeddings.descriptor_input(astronaut, 512)
    again = embeddings.descriptor_input(np.stack([gray] * 3, axis=-1), 512)
    assert np.array_equal(gray, again)


def test_facenet_vectors_are_those_of_its_network(portrait_folder, tmp_path):
    embedded = embeddings.embed_folder(portrait_folder, FACENET, tmp_path / "rows.h5")
    model = build_descriptor(FACENET, locate_weights(FACENET))
    inputs = [
        embeddings.descriptor_input(read_rgb(portrait_folder / path), 160)
        for path in embedded.paths
    ]
    portraits = np.stack([np.stack(inputs)] * 3, axis=-1).astype("float32")
    expected = model(portraits, training=False).numpy()
    assert embedded.paths == ["grace_hopper.jpg", "nasa/astronaut.png"]
    # The photographs are decoded at a smaller scale, which the resize to 160 hardly shows.
    assert np.sum(embedded.embeddings[:] * expected, axis=1).min() > 0.99


def test_command_writes_where_training_looks(grays, mean_descriptor, tmp_path, monkeypatch):
    from koala_face.data.portraits import embedding_file

    monkeypatch.setattr(embed, "locate_weights", lambda backbone, given: mean_descriptor)
    flags = ["--data", str(grays), "--backbone", "facenet", "--cache", str(tmp_path / "cache")]
    file = embed.embed(parse_config(embed.EmbedConfig, flags))
    assert file == embedding_file(tmp_path / "cache", grays, FACENET)
    assert file.parent == tmp_path / "cache"
    with h5py.File(file) as found:
        assert found["embeddings"][2, 0] == pytest.approx(30)


def test_command_without_data_ends_before_tensorflow_loads(tmp_path):
    script = (
        "import sys\nfrom koala_face import embed\n"
        "try:\n    embed.main(['--data', 'nowhere', '--backbone', 'facenet'])\n"
        "except Exception as error:\n    print(error, 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "nowhere" in done.stdout
    assert done.stdout.rstrip().endswith("False")


def read_vectors(file) -> dict[str, bytes]:
    """By h5py: the finished rows."""
    if not file.exists():
        return {}
    with h5py.File(file) as found:
        names, vectors = found["paths"].asstr()[:], found["embeddings"][:]
        finished = np.flatnonzero(found["sha256"][:].any(axis=1))
        return {names[number]: vectors[number].tobytes() for number in finished}


def kill_at_random(command, begun, chance) -> bool:
    """Kill -9 up to 5 s after the file `begun` appears; whether the process was still at work."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    with process:
        while process.poll() is None and not begun.exists():
            time.sleep(0.01)
        try:
            process.wait(chance.uniform(0.0, 5.0))
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


@pytest.mark.slow
def test_no_kill_of_the_command_loses_a_vector(tmp_path, astronaut):
    """At least 20 kills of the command with the real FaceNet while the folder grows: no loss."""
    folder, file, chance = tmp_path / "portraits", tmp_path / "rows.h5", random.Random(0)
    folder.mkdir()
    command = [sys.executable, "-m", "koala_face.embed", "--data", folder, "--batch-size", "4"]
    command += ["--backbone", "facenet", "--output"]
    safe, kills, losses, count = {}, 0, 0, 0
    while kills < 20:
        for _ in range(30):
            portrait = Image.fromarray(np.roll(astronaut, 3 * count, axis=1))
            portrait.resize((160, 160)).save(folder / f"{count}.png")
            count += 1
        (tmp_path / "rows.h5.holder").unlink(missing_ok=True)
        kills += kill_at_random([*command, file], tmp_path / "rows.h5.holder", chance)
        found = read_vectors(file)
        losses += sum(found.get(name) != vector for name, vector in safe.items())
        safe = found
    assert losses == 0
    for output in (file, tmp_path / "uninterrupted.h5"):
        subprocess.run([*command, output], check=True, stderr=subprocess.DEVNULL)
    expected = read_vectors(tmp_path / "uninterrupted.h5")
    found = read_vectors(file)
    assert len(expected) == count
    assert sorted(found) == sorted(expected)
    for name, vector in expected.items():
        one, other = np.frombuffer(found[name], "float32"), np.frombuffer(vector, "float32")
        np.testing.assert_allclose(one, other, atol=1e-5)
