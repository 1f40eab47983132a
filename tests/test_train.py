"""The command: the paper is its default, and what it refuses."""

import dataclasses
import json
import shlex
import shutil

import pytest

from koala_face import train
from koala_face.backbones import WeightsError
from koala_face.evaluation.try_out import quick_config
from koala_face.foundation.commands import as_command, parse_config
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import short_name
from koala_face.model_files.files import load_model
from koala_face.training.run_folder import RunFolder
from koala_face.training.settings import INCIDENTAL, PATHS


def parse(*argv):
    return parse_config(train.TrainConfig, argv)


def test_no_flags_are_the_paper():
    config = parse()
    # Section II.B, II.C and II.F, transcribed.
    assert (config.size, config.batch_size) == (256, 50)
    assert (config.steps_per_epoch, config.epochs) == (40, 21)
    assert config.descriptor.name == "vggface"
    assert (config.schedule, config.flip) == ("constant", False)
    assert (config.data, config.validation) == ("data/helen/train", "data/helen/test")


def test_the_recipes_defaults_are_the_commands():
    from koala_face.training.recipe import Recipe

    assert train.recipe(parse()) == Recipe()


def test_the_command_in_a_model_file_repeats_the_run_without_naming_folders():
    config = parse("--data", "/home/me/helen/train", "--epochs", "2", "--flip", "--no-xla")
    command = as_command("train", config, left_out=INCIDENTAL, paths=PATHS)
    assert command == "python -m koala_face.train --epochs 2 --flip --no-xla --data helen/train"


def test_settings_leave_out_what_decides_nothing():
    settings = train.run_settings(parse("--output", "a", "--device", "cpu"))
    assert "output" not in settings
    assert "device" not in settings
    assert settings["seed"] == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--data", "missing"], "missing"),
        (["--data", "{folder}", "--validation", "missing"], "missing"),
        (["--data", "{folder}", "--validation", "{folder}"], "koala_face.weights"),
        (["--start-from", "missing.h5"], "missing.h5"),
    ],
)
def test_what_is_missing_is_named(argv, message, portrait_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    argv = [word.format(folder=portrait_folder) for word in argv]
    with pytest.raises(KoalaFaceError, match=message):
        train.main(argv)
    assert not (tmp_path / "runs").exists()


def test_missing_data_tells_of_quick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KoalaFaceError, match="--quick"):
        train.main([])


def test_a_small_run_from_folder_to_model(portrait_folder, tmp_path):
    argv = ["--data", portrait_folder, "--validation", portrait_folder, "--backbone", "none"]
    argv += ["--size", "16", "--batch-size", "2", "--steps-per-epoch", "2", "--epochs", "1"]
    argv += ["--output", tmp_path / "run", "--cache", tmp_path / "cache", "--no-xla"]
    assert train.main([str(word) for word in argv]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert settings["size"] == 16
    assert (tmp_path / "run" / "model.h5").stat().st_size > 1_000_000
    with pytest.raises(KoalaFaceError, match="already holds a run"):
        train.main([str(word) for word in argv])


def test_a_run_goes_on_with_its_own_portraits_only(portrait_folder, tmp_path):
    folder = shutil.copytree(portrait_folder, tmp_path / "portraits")
    argv = ["--data", folder, "--validation", portrait_folder, "--backbone", "none", "--size", 16]
    argv += ["--epochs", 1, "--steps-per-epoch", 1, "--batch-size", 2, "--no-xla", "--resume"]
    argv += ["--output", tmp_path / "run", "--cache", tmp_path / "cache"]
    argv = [str(word) for word in argv]
    assert train.main(argv) == 0
    shutil.copy(folder / "grace_hopper.jpg", folder / "new.jpg")
    before = (tmp_path / "run" / "portraits.csv").read_bytes()
    with pytest.raises(KoalaFaceError, match=r"Added: new\.jpg \(train\)"):
        train.main(argv)
    assert (tmp_path / "run" / "portraits.csv").read_bytes() == before
    assert train.main([*argv, "--changed-portraits"]) == 0
    assert train.main(argv) == 0
    # Runs of before have no list; and a file of theirs that is not written any more.
    (tmp_path / "run" / "portraits.csv").unlink()
    (tmp_path / "run" / "moving_averages.h5").replace(tmp_path / "run" / "untreated.h5")
    assert train.main(argv) == 0
    assert (tmp_path / "run" / "portraits.csv").exists()


def test_a_run_is_resumed_though_the_model_that_it_started_from_is_gone(portrait_folder):
    argv = ["--data", str(portrait_folder), "--validation", str(portrait_folder)]
    argv += ["--backbone", "none", "--start-from", "gone.h5"]
    train.check_inputs(parse(*argv, "--resume"))
    with pytest.raises(KoalaFaceError, match=r"gone\.h5"):
        train.check_inputs(parse(*argv))


@pytest.mark.parametrize(
    "flags",
    [
        ("--size", "100"),
        ("--size", "0"),
        ("--seed", "-1"),
        ("--device", "nonsense"),
        ("--device", "gpu:99"),
        ("--embedding-noise", "inf"),
        ("--holdout", "1"),
        ("--holdout", "nan"),
        ("--learning-rate", "0"),
    ],
    ids=" ".join,
)
def test_a_flag_is_refused_before_anything_is_written(flags, portrait_folder, tmp_path):
    argv = ["--data", portrait_folder, "--validation", portrait_folder, "--backbone", "none"]
    argv += ["--output", tmp_path / "run", "--cache", tmp_path / "cache", *flags]
    with pytest.raises(KoalaFaceError, match=r"Expected .*Received"):
        train.main([str(word) for word in argv])
    assert not list(tmp_path.iterdir())
    with pytest.raises(KoalaFaceError, match=r"Expected .*Received"):
        train.train_and_evaluate(parse(*map(str, argv)))
    assert not list(tmp_path.iterdir())


def test_what_stops_a_command_leaves_no_settings_behind(portrait_folder, tmp_path):
    """A model to start from that is none: the corrected command is not refused."""
    (tmp_path / "no_model.h5").write_text("none")
    argv = ["--data", portrait_folder, "--validation", portrait_folder, "--backbone", "none"]
    argv += ["--size", 16, "--output", tmp_path / "run", "--cache", tmp_path / "cache"]
    argv += ["--start-from", tmp_path / "no_model.h5"]
    with pytest.raises(KoalaFaceError, match=r"no_model\.h5"):
        train.main([str(word) for word in argv])
    assert not (tmp_path / "run" / "settings.json").exists()
    RunFolder(tmp_path / "run").check({}, resume=False)


def test_quick_needs_no_data_and_no_download(tmp_path):
    config = quick_config(parse("--quick", "--output", str(tmp_path)))
    train.check_inputs(config)
    assert config.backbone == "facenet"
    assert dataclasses.replace(config, output=None) != parse("--quick")


def test_mixed_precision_without_such_a_card_trains_in_float32(caplog):
    from koala_face.training.device import find_precision

    assert find_precision(mixed=False) == find_precision(mixed=True) == "float32"
    assert "compute capability 8.0" in caplog.text


def test_several_folders_and_their_shares(portrait_folder):
    argv = ["--extra-data", "/a/one,/b/two", "--shares", "0.5,0.25,0.25", "--ageing"]
    config = parse(*argv)
    assert config.extra_data == ("/a/one", "/b/two")
    assert parse("--extra-data", "/a/one").extra_data == ("/a/one",)
    command = "--ageing --shares 0.5,0.25,0.25 --extra-data a/one,b/two"
    assert as_command("train", config, INCIDENTAL, PATHS) == f"python -m koala_face.train {command}"
    assert train.run_settings(config)["extra_data"] == ["/a/one", "/b/two"]
    with pytest.raises(KoalaFaceError, match="Expected shares of 2 numbers"):
        train.check_inputs(parse("--shares", "1", "--extra-data", str(portrait_folder)))


def test_a_run_on_two_folders_of_aged_portraits_resumes(portrait_folder, tmp_path):
    """The folder's own two portraits and, as a second folder, one of them."""
    argv = ["--data", portrait_folder, "--validation", portrait_folder, "--backbone", "none"]
    argv += ["--extra-data", portrait_folder / "nasa", "--shares", "0.5,0.5", "--ageing"]
    argv += ["--size", "16", "--batch-size", "2", "--steps-per-epoch", "2", "--no-xla"]
    argv += ["--cache", tmp_path / "cache", "--output", tmp_path / "run", "--resume"]
    for _ in range(2):
        assert train.main([str(word) for word in [*argv, "--epochs", "1"]]) == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert settings["shares"] == [0.5, 0.5]
    described = load_model(tmp_path / "run" / "model.h5")[1].training
    assert described["data"] == f"{short_name(portrait_folder)}, {portrait_folder.name}/nasa"
    assert described["portraits"] == 3


def test_without_weights_a_whole_command_with_the_installed_descriptor_is_named(
    portrait_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    argv = ["--data", str(portrait_folder), "--validation", str(portrait_folder), "--epochs", "3"]
    with pytest.raises(WeightsError, match="installed already") as raised:
        train.main(argv)
    command = shlex.split(str(raised.value).splitlines()[-1])
    assert command[:3] == ["python", "-m", "koala_face.train"]
    config = parse_config(train.TrainConfig, command[3:])
    assert config == parse_config(train.TrainConfig, [*argv, "--backbone", "facenet"])


def test_the_networks_that_train_takes_are_the_tables():
    from koala_face.models import NETWORKS
    from koala_face.training import settings

    assert tuple(NETWORKS) == settings.NETWORKS


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, ("vggface", "fc8")),  # II.C
        ({"backbone": "vgg19"}, ("vgg19", "predictions")),
        # arXiv:1712.03400: the last layer before the softmax.
        ({"network": "deep_koalarization"}, ("inception_resnet_v2", "logits")),
        ({"network": "dk_normalized", "backbone": "vggface"}, ("vggface", "logits")),
        ({"network": "deep_koalarization", "backbone": "facenet"}, ("facenet", "embeddings")),
        (
            {
                "network": "deep_koalarization",
                "backbone": "inception_resnet_v2",
                "layer": "predictions",
            },
            ("inception_resnet_v2", "predictions"),
        ),
    ],
)
def test_each_network_has_its_sources_descriptor(flags, expected):
    config = train.TrainConfig(**flags)
    assert (config.descriptor.name, config.descriptor.layer) == expected
    assert train.run_settings(config)["backbone"] == expected[0]


def test_the_ancestor_trains_names_itself_and_has_no_moving_averages(portrait_folder, tmp_path):
    argv = ["--data", portrait_folder, "--validation", portrait_folder, "--backbone", "none"]
    argv += ["--network", "deep_koalarization", "--epochs", "1", "--size", "16", "--no-xla"]
    argv += ["--batch-size", "2", "--steps-per-epoch", "2"]
    argv += ["--cache", tmp_path / "cache", "--output", tmp_path / "run"]
    assert train.main([str(word) for word in argv]) == 0
    model, description = load_model(tmp_path / "run" / "model.h5")
    assert description.network == model.name == "deep_koalarization"
    assert "--network deep_koalarization" in description.training["command"]
    (row,) = RunFolder(tmp_path / "run").history()
    assert row["val_loss"] == row["val_loss_untreated"] > 0
    assert not (tmp_path / "run" / "moving_averages.h5").exists()
