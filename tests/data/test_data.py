"""Batches hold the right pixels in the right order, whatever Keras reads them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import color as skimage_color

from koala_face.backbones import find_backbone
from koala_face.data import color_statistics, pipeline
from koala_face.data.portraits import Portraits, cache_file, embedding_file, load_portraits
from koala_face.photographs.reading import PhotographError

keras = tf.keras

NONE = find_backbone("none")


@pytest.fixture(scope="module")
def noise():
    """Seven portraits of noise with their own vectors, in memory."""
    random = np.random.RandomState(0)
    return Portraits(
        paths=[f"{number}.png" for number in range(7)],
        rgb=random.randint(0, 256, (7, 16, 16, 3)).astype("uint8"),
        embeddings=random.rand(7, 5).astype("float32"),
        unreadable={},
    )


def scaled_lab(rgb):
    """scikit-image's L*/100 and ab/128."""
    lab = skimage_color.rgb2lab(rgb)
    return lab[..., :1] / 100.0, lab[..., 1:] / 128.0


def test_load_portraits_gives_each_photograph_resized(portrait_folder, tmp_path, grace_hopper):
    portraits = load_portraits(portrait_folder, 64, NONE, tmp_path / "cache")
    assert portraits.paths == ["grace_hopper.jpg", "nasa/astronaut.png"]
    assert (len(portraits), portraits.rgb.shape) == (2, (2, 64, 64, 3))
    assert portraits.rgb.dtype == np.uint8
    assert portraits.embeddings.shape == (2, 512)
    # Averages of 600/64 x 512/64 pixels, by plain NumPy, at a quarter of the lines.
    rows = portraits.rgb[0].reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    expected = grace_hopper[:592].reshape(16, 37, 16, 32, 3).mean(axis=(1, 3))
    assert np.abs(rows - expected).mean() < 6.0


def test_the_photographs_folder_is_left_alone(portrait_folder, tmp_path):
    before = sorted(path for path in portrait_folder.rglob("*"))
    load_portraits(portrait_folder, 64, NONE, tmp_path / "new" / "cache")
    assert sorted(path for path in portrait_folder.rglob("*")) == before
    (file,) = (tmp_path / "new" / "cache").glob("*.h5")
    assert file == cache_file(tmp_path / "new" / "cache", portrait_folder, "portraits-64")


def test_cache_files_of_two_folders_never_meet(tmp_path):
    names = [cache_file("cache", tmp_path / one / "train", "facenet").name for one in "ab"]
    assert names[0] != names[1]
    for name in names:
        assert name.startswith("train-")
        assert name.endswith("-facenet.h5")
        assert len(name) == len("train-01234567-facenet.h5")
    assert embedding_file("c", tmp_path, find_backbone("vggface")).name.endswith("-vggface.h5")
    fc7 = embedding_file("c", tmp_path, find_backbone("vggface", "fc7"))
    assert fc7.name.endswith("-vggface-fc7.h5")


def test_unreadable_photographs_are_left_out_or_stop_a_strict_run(tmp_path, astronaut, caplog):
    (tmp_path / "folder").mkdir()
    Image.fromarray(astronaut).save(tmp_path / "folder" / "b.png")
    (tmp_path / "folder" / "a.jpg").write_bytes(b"\xff\xd8\xff nothing else")
    portraits = load_portraits(tmp_path / "folder", 16, NONE, tmp_path)
    assert portraits.paths == ["b.png"]
    assert list(portraits.unreadable) == ["a.jpg"]
    assert caplog.text.count("1 of 2 photographs") == 1
    with pytest.raises(PhotographError, match=r"a\.jpg"):
        load_portraits(tmp_path / "folder", 16, NONE, tmp_path, strict=True)


def test_batches_are_scaled_lab_in_order(noise):
    order = [3, 0, 6, 6, 1]
    luminances, embeddings, abs_ = [], [], []
    for (luminance, embedding), ab in pipeline.batches(noise, order, 2):
        luminances.append(luminance)
        embeddings.append(embedding)
        abs_.append(ab)
    assert [len(ab) for ab in abs_] == [2, 2, 1]
    luminance, ab = scaled_lab(noise.rgb[order])
    np.testing.assert_allclose(np.concatenate(luminances), luminance, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(abs_), ab, atol=1e-5)
    assert np.array_equal(np.concatenate(embeddings), noise.embeddings[order])


def test_flips_mirror_the_portraits_chosen(noise):
    ((luminance, embedding), ab) = next(iter(pipeline.batches(noise, [0, 1], 2, [False, True])))
    expected_luminance, expected_ab = scaled_lab(np.stack([noise.rgb[0], noise.rgb[1][:, ::-1]]))
    np.testing.assert_allclose(luminance, expected_luminance, atol=1e-5)
    np.testing.assert_allclose(ab, expected_ab, atol=1e-5)
    assert np.array_equal(embedding, noise.embeddings[:2])
    with pytest.raises(ValueError, match="Expected 2 flips"):
        pipeline.batches(noise, [0, 1], 2, [True])


def test_sampled_colours_are_every_fourth_pixels_of_all_portraits():
    rgb = np.random.default_rng(2).integers(
        0, 256, (color_statistics.SAMPLED_AT_ONCE + 3, 16, 16, 3), "uint8"
    )
    parts = list(color_statistics.sampled_ab(rgb))
    assert [len(part) for part in parts] == [color_statistics.SAMPLED_AT_ONCE, 3]
    expected = skimage_color.rgb2lab(rgb[:, ::4, ::4])[..., 1:]
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-3)


def test_windows_enlarge_a_part_of_each_portrait(noise):
    """A window of the very size takes it whole; from pixel 3 to 8 of 16, the corners are those."""
    windows = np.array([[0, 0, 1, 1], [3 / 15, 3 / 15, 8 / 15, 8 / 15]], "float32")
    ((luminance, _), ab) = next(iter(pipeline.batches(noise, [0, 1], 2, windows=windows)))
    whole_luminance, whole_ab = scaled_lab(noise.rgb[:2])
    np.testing.assert_allclose(luminance[0], whole_luminance[0], atol=1e-5)
    np.testing.assert_allclose(ab[0], whole_ab[0], atol=1e-4)
    for here, there in ((0, 3), (15, 8), (3, 4), (6, 5)):
        np.testing.assert_allclose(ab[1, here, here], whole_ab[1, there, there], atol=1e-4)


def test_batches_from_the_disk_are_those_from_memory(portrait_folder, tmp_path):
    stored = load_portraits(portrait_folder, 32, NONE, tmp_path)
    loaded = Portraits(stored.paths, stored.rgb[:], stored.embeddings[:], {})
    order, flips = [1, 0, 1], [True, False, False]
    for one, other in zip(
        pipeline.batches(stored, order, 2, flips),
        pipeline.batches(loaded, order, 2, flips),
        strict=True,
    ):
        for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            assert np.array_equal(a, b)


def test_shapes_are_known_to_the_network(noise):
    (luminance, embedding), ab = pipeline.batches(noise, range(6), 3).element_spec
    assert luminance == tf.TensorSpec((3, 16, 16, 1), tf.float32)
    assert embedding == tf.TensorSpec((3, 5), tf.float32)
    assert ab == tf.TensorSpec((3, 16, 16, 2), tf.float32)
    assert pipeline.batches(noise, range(7), 3).element_spec[1].shape[0] is None


def test_no_iterator_waits_for_autotuning(noise, portrait_folder):
    """TensorFlow's autotuning holds up the end of an iteration by up to a minute, at times."""
    decoded = pipeline.decode_portraits([portrait_folder / "grace_hopper.jpg"], 16, 16)
    for pairs in (pipeline.batches(noise, range(6), 3), decoded):
        assert pairs.options().autotune.enabled is False


@pytest.mark.parametrize("count", [6, 7])
def test_fit_and_evaluate_take_batches_without_a_warning(noise, count):
    """Warnings are errors here: Keras 3 warns of inputs of another structure."""
    luminance = keras.Input((16, 16, 1), name="luminance")
    embedding = keras.Input((5,), name="embedding")
    features = keras.layers.Conv2D(2, 3, padding="same")(luminance)
    vector = keras.layers.Reshape((1, 1, 2))(keras.layers.Dense(2)(embedding))
    model = keras.Model([luminance, embedding], keras.layers.Add()([features, vector]))
    model.compile("adam", "mse")
    # shuffle=False: Keras 3 says that it does not shuffle a dataset, which has its order.
    history = model.fit(
        pipeline.batches(noise, np.arange(count), 3), epochs=2, shuffle=False, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.evaluate(pipeline.batches(noise, range(count), 3), verbose=0))
    assert model.predict(pipeline.batches(noise, range(count), 3), verbose=0).shape[0] == count


def test_mean_ab_of_flat_portraits():
    """Red is (80.09, 67.20) and blue (79.19, -107.86) in every table of CIELAB."""
    flat = np.zeros((2, 8, 8, 3), "uint8")
    flat[0, ..., 0] = flat[1, ..., 2] = 255
    portraits = Portraits(["red", "blue"], flat, np.zeros((2, 1)), {})
    assert color_statistics.mean_ab(portraits) == pytest.approx([79.64, -20.33], abs=0.02)


def test_decode_portraits_needs_no_cache(portrait_folder, astronaut):
    paths = [portrait_folder / "nasa" / "astronaut.png", portrait_folder / "grace_hopper.jpg"]
    ((luminance, ab, gray),) = pipeline.decode_portraits(paths, size=512, input_size=512)
    expected_luminance, expected_ab = scaled_lab(astronaut)
    np.testing.assert_allclose(luminance[0], expected_luminance, atol=1e-5)
    np.testing.assert_allclose(ab[0], expected_ab, atol=1e-5)
    # The neutral gray of scikit-image's L*, without a resize in between.
    lab = np.concatenate([expected_luminance * 100.0, np.zeros((512, 512, 2))], axis=-1)
    expected_gray = skimage_color.lab2rgb(lab) * 255.0
    assert gray.shape == (2, 512, 512, 3)
    np.testing.assert_allclose(gray[0], expected_gray, atol=0.51)


def test_decode_portraits_names_the_photograph_that_it_cannot_read(tmp_path):
    (tmp_path / "text.jpg").write_text("no photograph")
    with pytest.raises(tf.errors.OpError, match=r"text\.jpg"):
        list(pipeline.decode_portraits([tmp_path / "text.jpg"], 16, 8))


RESIDENT = """
import resource, sys
from koala_face.data import color_statistics
from koala_face.data import pipeline
from koala_face.data.portraits import load_portraits
from koala_face.training import sampling
from koala_face.backbones import find_backbone

portraits = load_portraits(sys.argv[1], 128, find_backbone("none"), sys.argv[2])
order = sampling.sample_order(len(portraits), 0, 0, len(portraits))
for _ in pipeline.batches(portraits, order, 50):
    pass
print(len(portraits), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="resource of POSIX")
def test_memory_does_not_grow_with_the_folder(tmp_path, portrait_folder):
    """The most memory ever taken, filling the cache and one epoch; 400 and 4000 portraits."""
    photographs = sorted(path for path in portrait_folder.rglob("*.*") if path.is_file())
    resident = {}
    for count in (400, 4000):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        for number in range(count):
            source = photographs[number % len(photographs)]
            os.link(source, folder / f"{number}{source.suffix}")
        done = subprocess.run(
            [sys.executable, "-c", RESIDENT, folder, tmp_path / "cache"],
            capture_output=True,
            text=True,
            check=True,
        )
        found, kilobytes = done.stdout.split()
        assert int(found) == count
        resident[count] = int(kilobytes)
    assert resident[4000] < 1.1 * resident[400]
