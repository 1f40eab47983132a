"""The command `tune`, and all that takes a tuned descriptor or an oracle, from end to end."""

import json
import os
import subprocess

import h5py
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.crafted_hdf5 import CRAFTS
from support.tuned_descriptors import save_descriptor

from koala_face import colorize, embed, evaluate, export, publish, train, tune
from koala_face.backbones import (
    BackboneError,
    build_descriptor,
    find_backbone,
    locate_weights,
)
from koala_face.colorizer.colorizer import Colorizer
from koala_face.compare import __main__ as compare
from koala_face.compare import runs
from koala_face.data.embeddings import compile_descriptor, descriptor_input, embed_folder
from koala_face.data.portraits import embedding_file
from koala_face.data.row_file import RowFileError
from koala_face.foundation.commands import parse_config
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.files import ModelFileError, build_network, load_model, save_model
from koala_face.model_files.shipped import shipped_model
from koala_face.training.run_folder import HISTORY_COLUMNS, RunFolder, RunFolderError


@pytest.fixture(scope="module")
def portraits(tmp_path_factory, astronaut, grace_hopper):
    """Each of the two try-out portraits twenty times, a little moved; she is tinted blue, the
    other one red: who it is tells the colours."""
    folder = tmp_path_factory.mktemp("kinds")
    tints = ("eileen", astronaut, (0, 0, 70)), ("grace", grace_hopper, (70, 0, 0))
    for name, pixels, tint in tints:
        (folder / name).mkdir()
        small = np.asarray(Image.fromarray(pixels).resize((96, 96)), "int32")
        for number in range(20):
            moved = np.roll(np.clip(small + tint, 0, 255), number % 5 - 2, axis=1)
            image = Image.fromarray(moved.astype("uint8"))
            image.save(folder / name / f"{name}{number}.png")
    return folder


# Forty portraits make few steps of the default size.
STEPS = ("--weight-decays", 0.1, "--learning-rate", 0.001, "--batch-size", 8)


def words(*given):
    return [str(word) for word in given]


@pytest.fixture(scope="module")
def tuned(portraits, tmp_path_factory):
    """What `tune` gave with the real FaceNet: its report, its file, its cache."""
    folder = tmp_path_factory.mktemp("tuned")
    argv = words("--data", portraits, "--backbone", "facenet", "--classes", 2, "--holdout", 0.25)
    argv += words("--cache", folder / "cache", "-o", folder / "kinds.h5", *STEPS)
    assert tune.main(argv) == 0
    return folder / "kinds.h5", json.loads((folder / "kinds.json").read_text()), folder / "cache"


def test_what_the_gray_portrait_tells_is_learned(tuned):
    _, report, _ = tuned
    training = report["training"]
    counts = training["portraits"]
    assert sum(counts.values()) == 40
    assert min(counts.values()) > 0
    accuracy = training["accuracy"]
    assert accuracy["top1"]["accuracy"] == 1
    assert accuracy["top1"]["chance"] == 0.5
    assert accuracy["top1"]["prior"] < 0.8
    assert accuracy["cross_entropy"] < accuracy["prior_cross_entropy"] / 2
    assert accuracy["colors"]["known"] > 0.8


def test_the_file_says_what_it_is(tuned, portraits):
    file, report, _ = tuned
    assert (report["backbone"], report["layer"], report["classes"]) == ("facenet", "avgpool", 2)
    assert report["training"]["seed"] == 0
    assert "--data" in report["training"]["command"]
    assert str(portraits) not in json.dumps(report), "a path of this machine"
    with h5py.File(file) as opened:
        assert opened.attrs["koala_face_targets"] == b"colors"
        assert opened["koala_face_centers"].shape == (2, 8)
    backbone = find_backbone(f"tuned:{file}")
    assert backbone.head.sha256 == report["sha256"]
    assert (backbone.embedding_dim, backbone.input_size) == (2, 160)


def test_the_same_seed_gives_the_same_head(tuned, portraits, tmp_path):
    file, _, cache = tuned
    argv = words("--data", portraits, "--backbone", "facenet", "--classes", 2, "--holdout", 0.25)
    argv += words("--cache", cache, "-o", tmp_path / "again.h5", *STEPS)
    tune.main(argv)
    one, other = (find_backbone(f"tuned:{path}").head for path in (file, tmp_path / "again.h5"))
    for expected, found in zip(one.layers[0], other.layers[0], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.array_equal(one.centers, other.centers)


def test_vectors_are_the_softmax_on_features_that_are_there(tuned, portraits, monkeypatch):
    """The network below is not built again: its features are in the cache since `tune`."""
    file, _, cache = tuned
    backbone = find_backbone(f"tuned:{file}")
    monkeypatch.setattr("koala_face.data.embeddings.descriptor_function", None)
    path = embed.embed(embed.EmbedConfig(str(portraits), f"tuned:{file}", cache=str(cache)))
    assert path == embedding_file(cache, portraits, backbone)
    assert path.name.endswith(f"tuned-kinds-{backbone.head.sha256[:8]}.h5")
    with h5py.File(path) as rows:
        assert rows.attrs["descriptor_sha256"] == backbone.head.sha256
        vectors = rows["embeddings"][:]
    assert vectors.shape == (40, 2)
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=1e-5)
    clusters = vectors.argmax(axis=1)
    assert (clusters == np.repeat(clusters[[0, -1]], 20)).all()


def test_another_file_than_the_caches_is_refused(portraits, tmp_path):
    first = find_backbone(f"tuned:{save_descriptor(tmp_path / 'x.h5')}")
    embed_folder(portraits, first, tmp_path / "rows.h5")
    other = find_backbone(f"tuned:{save_descriptor(tmp_path / 'x.h5', training='{}')}")
    with pytest.raises(RowFileError) as raised:
        embed_folder(portraits, other, tmp_path / "rows.h5")
    for head in (first.head, other.head):
        assert f"descriptor_sha256='{head.sha256}'" in str(raised.value)


SMALL = ("--size", 16, "--batch-size", 2, "--steps-per-epoch", 2, "--epochs", 1, "--no-xla")


def train_small(backbone, portraits, output, cache, *more):
    argv = words("--data", portraits, "--validation", portraits, "--backbone", backbone, *SMALL)
    train.main([*argv, *words("--output", output, "--cache", cache, *more)])
    return output / "model.h5"


@pytest.fixture(scope="module")
def model(tuned, portraits, tmp_path_factory):
    """A model of a tuned descriptor, whose file is elsewhere now."""
    file, _, cache = tuned
    folder = tmp_path_factory.mktemp("model")
    there = folder / "mine.h5"
    there.write_bytes(file.read_bytes())
    path = train_small(f"tuned:{there}", portraits, folder / "run", cache)
    there.unlink()
    return path


def test_a_model_carries_its_descriptor(model, tuned, tmp_path):
    network, description = load_model(model)
    assert description.backbone == "tuned:mine.h5"
    assert description.descriptor_file == tuned[0].read_bytes()
    assert description.embedding_dim == 2
    assert "--backbone tuned:mine.h5" in description.training["command"]
    assert str(model.parent.parent) not in description.training["command"]
    save_model(network, tmp_path / "copy.h5", description)
    assert load_model(tmp_path / "copy.h5")[1] == description


def test_photographs_are_coloured_by_it(model, tuned, astronaut, tmp_path):
    """The softmax of the photograph's own gray version enters the network."""
    source, target = tmp_path / "eileen.png", tmp_path / "out" / "eileen.png"
    Image.fromarray(astronaut).save(source)
    assert colorize.main(words(source, "-o", target.parent, "--model", model)) == 0
    with Image.open(target) as image:
        assert image.size == (512, 512)
    colorizer = Colorizer.load(model)
    said = colorizer.embed([colorizer.prepare(astronaut)])
    facenet = find_backbone("facenet", "avgpool")
    gray = np.repeat(descriptor_input(astronaut, 160)[None, ..., None], 3, axis=-1)
    below = build_descriptor(facenet, None)(gray.astype("float32"), training=False).numpy()
    expected = find_backbone(f"tuned:{tuned[0]}").head(below)
    np.testing.assert_allclose(said, expected, atol=0.02)


def test_it_is_exported_inside(model, tmp_path):
    """The file, opened as any Keras model is, predicts what the joined network predicts."""
    export.main(words(model, "-o", tmp_path, "--formats", "h5"))
    gray = np.random.default_rng(0).random((1, 16, 16, 1), "float32")
    network, _ = export.load_gray_network(model)
    opened = tf.keras.models.load_model(tmp_path / "model-gray.h5", compile=False)
    for one, other in zip(opened(gray), network(gray), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert opened.get_layer("descriptor_tuned_softmax").units == 2


def test_it_is_evaluated(model, portraits, tuned, tmp_path):
    argv = words("--model", model, "--data", portraits, "--size", 16, "--cache", tuned[2])
    assert evaluate.main([*argv, *words("-o", tmp_path / "report", "--resamples", 20)]) == 0
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "descriptor `tuned:mine.h5`, layer `avgpool`" in text


def test_a_published_copy_carries_it_too(model, portraits, tuned, tmp_path):
    argv = words("--model", model, "--data", portraits, "--cache", tuned[2])
    publish.main([*argv, *words("-o", tmp_path / "out.h5")])
    assert load_model(tmp_path / "out.h5")[1].descriptor == load_model(model)[1].descriptor


def test_a_run_goes_on_with_the_very_file_alone(portraits, tmp_path):
    file, run = save_descriptor(tmp_path / "x.h5"), tmp_path / "run"
    train_small(f"tuned:{file}", portraits, run, tmp_path / "cache")
    train_small(f"tuned:{file}", portraits, run, tmp_path / "cache", "--resume")
    save_descriptor(tmp_path / "x.h5", training="{}")
    with pytest.raises(RunFolderError, match="descriptor_sha256"):
        train_small(f"tuned:{file}", portraits, run, tmp_path / "cache", "--resume")
    settings = json.loads((run / "settings.json").read_text())["settings"]
    assert settings["backbone"] == "tuned:x.h5"


def change(dataset):
    dataset[1000:1010] = 7


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.attrs.modify("koala_face_descriptor_sha256", "ab"), "SHA-256"),
        (lambda file: file.pop("koala_face_descriptor"), "koala_face_descriptor is not in it"),
        (lambda file: change(file["koala_face_descriptor"]), "SHA-256"),
        (lambda file: file.attrs.modify("koala_face_backbone", "facenet"), "koala_face_backbone"),
    ],
)
def test_a_model_without_the_descriptor_that_it_names_is_refused(damage, message, model, tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(model.read_bytes())
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)
    if "backbone" not in message:
        with pytest.raises(KoalaFaceError, match=r"model\.h5"):
            colorize.main(words(tmp_path / "model.h5", "-o", tmp_path / "o.png", "--model", path))


@pytest.mark.parametrize("craft", CRAFTS, ids=lambda craft: craft.__name__)
def test_a_model_that_carries_what_does_harm_is_refused(craft, model, tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(model.read_bytes())
    with h5py.File(path, "r+") as file:
        craft(file, "koala_face_descriptor")
    with pytest.raises(ModelFileError, match=r"model\.h5"):
        load_model(path)


@pytest.fixture(scope="module")
def oracle_model(tuned, portraits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("oracle")
    return train_small(f"oracle:{tuned[0]}", portraits, folder, tuned[2])


def test_an_oracle_says_the_true_cluster(tuned, portraits, tmp_path):
    backbone = find_backbone(f"oracle:{tuned[0]}")
    embedded = embed_folder(portraits, backbone, tmp_path / "rows.h5")
    vectors = embedded.embeddings[:]
    assert sorted(vectors.sum(axis=0).tolist()) == [20, 20]
    assert set(vectors.ravel().tolist()) == {0, 1}
    assert (vectors[:20] == vectors[0]).all(), "one person, one tint"


def test_an_oracle_trains_and_is_evaluated(oracle_model, portraits, tuned, tmp_path):
    assert load_model(oracle_model)[1].backbone == "oracle:kinds.h5"
    argv = words("--model", oracle_model, "--data", portraits, "--size", 16, "--cache", tuned[2])
    argv += words("-o", tmp_path / "report", "--resamples", 20)
    assert evaluate.main(argv) == 0
    with pytest.raises(BackboneError, match="true cluster"):
        evaluate.main([*argv, "--aged"])


def test_an_oracle_colours_nothing(oracle_model, astronaut, tmp_path, monkeypatch):
    Image.fromarray(astronaut).save(tmp_path / "gray.png")
    message = r"descriptor of gray portraits. Received: oracle:kinds.h5.*colour with a model of"
    with pytest.raises(BackboneError, match=message):
        colorize.main(words(tmp_path / "gray.png", "--model", oracle_model))
    with pytest.raises(BackboneError, match=message):
        export.main(words(oracle_model, "-o", tmp_path / "exported"))
    with pytest.raises(BackboneError, match=message):
        Colorizer.load(oracle_model)
    assert [path.name for path in tmp_path.iterdir()] == ["gray.png"]


def test_an_oracle_colours_in_so_many_palettes(oracle_model, tuned, grace_hopper, tmp_path):
    """Her likeliest cluster is the red portraits', who all are of her; the other one the blue."""
    gray = Image.fromarray(grace_hopper).resize((96, 96)).convert("L")
    gray.save(tmp_path / "her.png")
    argv = words(tmp_path / "her.png", "--model", oracle_model, "-o", tmp_path / "out")
    assert colorize.main([*argv, "--palettes", "2", "--saturation", "0.5"]) == 0
    one, two = (tmp_path / "out" / f"her-{number}.png" for number in (1, 2))
    assert sorted((tmp_path / "out").iterdir()) == [one, two]
    base, head = find_backbone("facenet", "avgpool"), find_backbone(f"tuned:{tuned[0]}").head
    features = compile_descriptor(base, locate_weights(base))
    seen = descriptor_input(np.repeat(np.asarray(gray)[..., None], 3, axis=-1), base.input_size)
    order = np.argsort(-head(np.asarray(features(seen[None])))[0])
    network, _ = load_model(oracle_model)
    for path, cluster in zip((one, two), order, strict=True):
        colorizer = Colorizer(
            network, lambda grays, k=cluster: np.eye(2, dtype="float32")[[k]], 160, saturation=0.5
        )
        np.testing.assert_array_equal(np.asarray(Image.open(path)), colorizer(gray))
    assert not np.array_equal(*(np.asarray(Image.open(path)) for path in (one, two)))


def test_palettes_that_there_are_not(oracle_model, tmp_path, astronaut):
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    argv = words(tmp_path / "a.png", "-o", tmp_path / "out", "--palettes")
    with pytest.raises(KoalaFaceError, match="2 or less, the clusters of oracle:kinds.h5.*: 3"):
        colorize.main([*argv, "3", "--model", str(oracle_model)])
    with pytest.raises(KoalaFaceError, match="follows clusters.*Received: one of facenet"):
        colorize.main([*argv, "2", "--model", str(shipped_model())])
    with pytest.raises(KoalaFaceError, match="--palettes of 1 or more, with a --model"):
        colorize.main([*argv, "2"])


def test_a_comparison_has_a_column_for_each(tuned, portraits, tmp_path, monkeypatch):
    """The run that `train` would leave, but for the training."""

    def run(command):
        commands.append(command)
        config = parse_config(train.TrainConfig, command[3:])
        folder = RunFolder(config.output)
        folder.path.mkdir(parents=True)
        description = train.describe_model(config, train.load_both(config)[0])
        save_model(build_network(description), folder.model_file, description)
        folder.write_settings(train.run_settings(config))
        folder.write_history([{**dict.fromkeys(HISTORY_COLUMNS, 0.5), "epoch": 1}])
        return subprocess.CompletedProcess(command, 0)

    commands = []
    monkeypatch.setattr(runs.subprocess, "run", run)
    file, _, cache = tuned
    argv = words("--data", portraits, "--validation", portraits, "--measure-size", 16)
    argv += words("--size", 16, "--batch-size", 2, "--steps-per-epoch", 1, "--epochs", 1)
    argv += words("--cache", cache, "-o", tmp_path / "out", "--resamples", 20)
    argv += ["--backbones", f"none,tuned:{file},oracle:{file}"]
    assert compare.main(argv) == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for pair in ("none (zeros) − tuned-kinds", "tuned-kinds − oracle-kinds"):
        assert f"| {pair} | MSE |" in text
    header = (tmp_path / "out" / "portraits.csv").read_text(encoding="utf-8").splitlines()[0]
    assert {"none_mse", "tuned-kinds_mse", "oracle-kinds_mse"} <= set(header.split(","))
    assert compare.main(argv) == 0
    assert len(commands) == 3, "finished runs are not trained again"


def test_two_files_of_one_name_are_no_two_columns(tmp_path):
    (tmp_path / "a").mkdir()
    files = [save_descriptor(tmp_path / place / "x.h5") for place in ("", "a")]
    config = compare.CompareConfig(backbones=tuple(f"tuned:{file}" for file in files))
    with pytest.raises(compare.CompareError, match="of different names.*Rename one"):
        runs.find_pairs(config)


def test_folders_are_classes_too(tuned, portraits, tmp_path):
    argv = words("--data", portraits, "--backbone", "facenet", "--targets", "folders")
    argv += words("--holdout", 0.25, "--cache", tuned[2], "-o", tmp_path / "who.h5", *STEPS)
    assert tune.main(argv) == 0
    training = json.loads((tmp_path / "who.json").read_text())["training"]
    assert training["classes"] == ["eileen", "grace"]
    assert training["accuracy"]["top1"]["accuracy"] == 1
    assert "colors" not in training["accuracy"]
    with pytest.raises(BackboneError, match="one of folders"):
        find_backbone(f"oracle:{tmp_path / 'who.h5'}")


def test_a_descriptor_that_says_nothing_learns_the_prior(tuned, portraits, tmp_path):
    argv = words("--data", portraits, "--backbone", "none", "--classes", 2, "--holdout", 0.25)
    argv += words("--cache", tuned[2], "--weight-decays", 0.1, "--epochs", 5)
    tune.main([*argv, *words("-o", tmp_path / "nothing.h5")])
    accuracy = json.loads((tmp_path / "nothing.json").read_text())["training"]["accuracy"]
    assert accuracy["top1"]["gain"] == 0
    backbone = find_backbone(f"tuned:{tmp_path / 'nothing.h5'}")
    embedded = embed_folder(portraits, backbone, tmp_path / "rows.h5")
    assert np.ptp(embedded.embeddings[:], axis=0).max() < 1e-6


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--classes", "1"], "--classes as 2 to 500"),
        (["-o", "head.json"], "--output as a file NAME.h5"),
        (["--holdout", "0"], "--holdout as a share"),
        (["--weight-decays", "-1"], "--weight-decays as"),
        (["--data", "nowhere"], "nowhere"),
        (["--backbone", "vgg19"], "vgg19_weights.*weights --download vgg19"),
        (["--layer", "fc9"], "Expected a layer of none"),
        (["--classes", "400"], "fewer --classes"),
        (["--targets", "folders", "--data", "{flat}"], "in none, such as eileen0.png"),
        (["--data", "{flat}", "--holdout", "0.999999"], "take another --holdout"),
    ],
)
def test_what_cannot_be_tuned_says_what_to_do(argv, message, portraits, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    flat = portraits / "eileen"
    given = words("--data", portraits, "--backbone", "none", "--cache", "cache")
    with pytest.raises(KoalaFaceError, match=message):
        tune.main([*given, *[word.format(flat=flat) for word in argv]])
    assert not os.path.exists("tuned")
