"""The compare command: what it trains, skips and leaves out, and what its tables hold."""

import csv
import itertools
import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from support.page import Page
from support.untrained_models import save_untrained

from koala_face.compare import __main__ as compare
from koala_face.compare import runs as compared_runs
from koala_face.foundation.commands import flag_name
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training import progress
from koala_face.training.run_folder import RunFolder

NETWORKS = ("koala_face", "deep_koalarization")
EPOCH = {
    "loss": 0.5,
    "val_loss": 0.4,
    "val_loss_untreated": 0.4,
    "learning_rate": 0,
    "seconds": 1,
}


@pytest.fixture
def trainings(monkeypatch):
    """Stands in for the training process: leaves a run folder, and notes the command."""
    commands = []

    def train(command):
        commands.append(command)
        flags = dict(itertools.pairwise(command))
        run = RunFolder(flags["--output"])
        settings = {key: flags[f"--{key}"] for key in ("data", "validation", "backbone")}
        numbers = {key: flag_name(key) for key in ("size", "steps_per_epoch", "batch_size", "seed")}
        settings |= {key: int(flags[flag]) for key, flag in numbers.items() if flag in flags}
        save_untrained(run.model_file, network=flags.get("--network", "koala_face"))
        epochs = int(flags["--epochs"])
        run.settings_file.write_text(json.dumps({"settings": {**settings, "epochs": epochs}}))
        run.write_history([{"epoch": epoch + 1, **EPOCH} for epoch in range(epochs)])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(compared_runs.subprocess, "run", train)
    return commands


@pytest.fixture
def argv(portrait_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no downloaded weights there
    words = ["--data", portrait_folder, "--validation", portrait_folder, "--measure-size", 64]
    words += ["--epochs", 2, "--cache", tmp_path / "cache", "-o", tmp_path / "out"]
    return [str(word) for word in [*words, "--resamples", 50]]


def test_descriptors_models_and_baselines_stand_side_by_side(argv, trainings, tmp_path):
    mine = save_untrained(tmp_path / "mine.h5")
    argv += ["--backbones", "vgg19,none", "--model", f"mine={mine}"]
    assert compare.main(argv) == 0
    (command,) = trainings
    assert command[1:3] == ["-m", "koala_face.train"]
    assert "--backbone none --epochs 2" in shlex.join(command)
    assert "--resume" in command
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    fifth, sixth = text.split("## Table V: ")[1].split("## As a share")[0].split("## Table VI")
    for table in (fifth, sixth):
        assert all(f"| {name} |" in table for name in ("none (zeros)", "mine", "gray: a = b = 0"))
        assert "| VGG19 | left out: no weights |" in table
    assert "| none (zeros) − mine | MSE |" in text
    assert "vgg19_weights" in text.split("## Left out")[1]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png') == 2  # Figure 5, and Figure 2 of the one run
    header = (tmp_path / "out" / "portraits.csv").read_text(encoding="utf-8").splitlines()[0]
    assert {"none_mse", "mine_mse", "block_mean_ssim"} <= set(header.split(","))


def test_networks_are_crossed_with_descriptors(argv, trainings, tmp_path):
    argv += ["--backbones", "none", "--networks", ",".join(NETWORKS)]
    assert compare.main(argv) == 0
    commands = [shlex.join(command) for command in trainings]
    assert ["--network" in command for command in commands] == [False, True]
    assert "--network deep_koalarization" in commands[1]
    names = ("none", "deep_koalarization-none")
    for name, command in zip(names, commands, strict=True):
        assert f"--output {tmp_path / 'out' / 'runs' / name} " in command
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert {f"{network}: none (zeros)" for network in NETWORKS} <= set(page.cells)
    counted = text.split("## The networks")[1].split("## Figures")[0]
    # 3,865,650 with VGG-Face's 2622 values, 6,573,794 with 1000; 256 weights for each of them.
    assert f"{3_865_650 - 256 * (2622 - 512):,}" in counted
    assert f"{6_573_794 - 256 * (1000 - 512):,}" in counted


def test_seeds_train_each_several_times_and_the_tables_have_the_mean(argv, trainings, tmp_path):
    argv += ["--backbones", "none", "--model", f"mine={save_untrained(tmp_path / 'mine.h5')}"]
    assert compare.main([*argv, "--seeds", "3,5"]) == 0
    runs = tmp_path / "out" / "runs"
    for seed, command in zip((3, 5), map(shlex.join, trainings), strict=True):
        assert f"--seed {seed} " in command
        assert f"--output {runs / f'none-seed-{seed}'} " in command
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "each model's 2 trainings" in text
    assert "intervals over portraits and trainings" in text
    assert "not what another training might" not in text
    own = text.split("## Each training")[1].split("##")[0]
    (row,) = (line for line in own.splitlines() if "none" in line)
    shares = [float(cell) for cell in row.split("|")[2:4]]
    mean, *_ = re.findall(r"\| none \(zeros\) \| ([\d.]+)", text.split("## As a share")[1])
    assert np.mean(shares) == pytest.approx(float(mean), abs=0.002)
    with open(tmp_path / "out" / "portraits.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {"none-seed-3_mse", "none-seed-5_mse", "mine_mse"} <= set(rows[0])
    for seed, share in zip((3, 5), shares, strict=True):
        of_gray = [
            np.mean([float(row[f"{k}_mse"]) for row in rows]) for k in (f"none-seed-{seed}", "gray")
        ]
        assert of_gray[0] / of_gray[1] == pytest.approx(share, abs=0.001)
    assert compare.main([*argv, "--seeds", "3,5"]) == 0
    assert len(trainings) == 2  # both were finished


@pytest.mark.parametrize("flags", ["--seeds 1,1", "--seeds 1,2 --seed 0"])
def test_seeds_that_are_not_several_are_refused(argv, trainings, flags):
    with pytest.raises(KoalaFaceError, match="Expected --seeds of different numbers"):
        compare.main([*argv, *flags.split()])
    assert not trainings


@pytest.fixture
def slow_machine(monkeypatch):
    """A terminal, and a processor of a million multiply-adds a second."""
    monkeypatch.setattr(compared_runs.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "multiply_adds_a_second", lambda: 1e6)


def test_what_will_be_trained_is_said_before(argv, trainings, slow_machine, caplog):
    caplog.set_level("INFO")
    argv += ["--backbones", "none", "--size", "64", "--steps-per-epoch", "3", "--batch-size", "5"]
    with pytest.raises(KoalaFaceError, match=r"Expected --yes for trainings of about 8:00:01"):
        compare.main(argv)
    assert trainings == []
    # Tables I-III at 64 x 64 with 512 values: 320,012,288 multiply-adds, by hand a sixteenth of
    # those at 256 x 256; thrice for each of 2 x 3 x 5 portraits.
    assert round(3 * 320_012_288 * 30 / 1e6) == 8 * 3600 + 1
    assert compare.main([*argv, "--yes"]) == 0
    assert len(trainings) == 1
    assert "To be trained: none; about 8:00:01 on the processor." in caplog.text
    caplog.clear()
    assert compare.main(argv) == 0  # finished
    assert "To be trained" not in caplog.text


def test_without_a_terminal_nobody_is_asked(argv, trainings, slow_machine, monkeypatch):
    monkeypatch.setattr(compared_runs.sys.stdin, "isatty", lambda: False, raising=False)
    assert compare.main([*argv, "--backbones", "none"]) == 0
    assert len(trainings) == 1


def test_a_finished_run_is_not_trained_again(argv, trainings):
    for _ in range(2):
        compare.main([*argv, "--backbones", "none"])
    assert len(trainings) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--epochs", "3"], "epochs: was 2, now 3"),
        (["--data", "elsewhere"], "data: was .*, now 'elsewhere'"),
        (["--seed", "1"], "seed: was 0, now 1"),
    ],
)
def test_a_finished_run_of_other_settings_is_not_taken(argv, trainings, change, named):
    config = compare.parse_config(compare.CompareConfig, [*argv, "--backbones", "none"])
    compared_runs.train(config, "none")
    changed = compare.parse_config(compare.CompareConfig, [*argv, "--backbones", "none", *change])
    with pytest.raises(KoalaFaceError, match=rf"(?s){named}\n.*--runs"):
        compared_runs.train(changed, "none")
    assert len(trainings) == 1


@pytest.mark.parametrize(
    "changed", [{"seed": 3}, {"loss": "rgb"}, {"learning_rate": 0.01}, {"start_from": "other.h5"}]
)
def test_settings_that_no_flag_names_count_too(argv, trainings, tmp_path, changed):
    """A run made by hand, with flags that this comparison does not give: it is not train's own."""
    config = compare.parse_config(compare.CompareConfig, [*argv, "--backbones", "none"])
    compared_runs.train(config, "none")
    file = tmp_path / "out" / "runs" / "none" / "settings.json"
    content = json.loads(file.read_text())
    content["settings"] |= changed
    file.write_text(json.dumps(content))
    (name,) = changed
    with pytest.raises(KoalaFaceError, match=f"{name}: was {changed[name]!r}, now"):
        compare.main([*argv, "--backbones", "none"])
    assert len(trainings) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 3}', '{"settings": {}}', "\0"])
def test_settings_that_cannot_be_read_go_to_train_which_judges_them(argv, trainings, content):
    config = compare.parse_config(compare.CompareConfig, [*argv, "--backbones", "none"])
    compared_runs.train(config, "none")
    compared_runs.run_folder(config, "none").settings_file.write_text(content)
    compared_runs.train(config, "none")
    assert len(trainings) == 2


def test_training_flags_are_passed_on(argv):
    flags = "--size 64 --steps-per-epoch 2 --batch-size 4 --seed 7 --flip".split()
    config = compare.parse_config(compare.CompareConfig, argv + flags)
    command = shlex.join(compared_runs.training_command(config, "none"))
    for words in ("--size 64", "--steps-per-epoch 2", "--batch-size 4", "--seed 7", "--flip"):
        assert words in command
    assert "--learning-rate" not in command


def test_train_knows_every_flag_that_is_passed_on(argv):
    from koala_face.train import TrainConfig, parse_config

    values = {"schedule": "cosine", "learning_rate": "0.1", "device": "cpu", "weights": "w"}
    given = {flag: values.get(flag, "8") for flag in compared_runs.TRAINING_FLAGS if flag != "flip"}
    flags = [word for flag, value in given.items() for word in (flag_name(flag), value)]
    config = compare.parse_config(compare.CompareConfig, [*argv, *flags, "--no-flip"])
    parsed = parse_config(TrainConfig, compared_runs.training_command(config, "none")[3:])
    assert {flag: str(getattr(parsed, flag)) for flag in given} == given
    assert parsed.flip is False


def test_a_failed_training_says_how_to_go_on(argv, monkeypatch):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(compared_runs.subprocess, "run", lambda command: failed)
    with pytest.raises(KoalaFaceError, match="Repeat this command"):
        compare.main([*argv, "--backbones", "none"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--backbones", "vgg19"], "something to compare"),
        (["--backbones", "vgg", "--model", "a=b"], "vgg19"),
        (["--backbones", "none", "--model", "mine.h5"], "NAME=FILE"),
        (["--backbones", "none", "--model", "../a=b.h5"], "NAME=FILE"),
        (["--backbones", "none", "--model", "mine=missing.h5"], "missing"),
        (["--backbones", "none", "--measure-size", "100"], "multiple of 8"),
        (["--backbones", "none", "--resamples", "0"], "--resamples"),
        (["--networks", "vgg"], "networks out of koala_face, deep_koalarization"),
        (
            ["--networks", "dk_normalized", "--model", "dk normalized none=m.h5"],
            "name of its own",
        ),
        *(
            (["--backbones", "none", "--model", f"{name}=m.h5"], "name of its own")
            for name in ("gray", "Gray", "constant", "block_mean", "block mean", "model", "true")
        ),
        (["--backbones", "vgg19,none", "--model", "VGG19=m.h5"], "name of its own"),
        (
            ["--backbones", "inception_resnet_v2,none", "--model", "Inception-ResNet-v2=m"],
            "of its own",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_training(argv, trainings, flags, message):
    with pytest.raises(KoalaFaceError, match=message):
        compare.main(argv + flags)
    assert trainings == []


def test_names_that_differ_in_case_alone_are_one_file_on_some_machines(argv, trainings, tmp_path):
    mine = save_untrained(tmp_path / "mine.h5")
    flags = ["--backbones", "none", "--model", f"mine={mine},Mine={mine}"]
    with pytest.raises(KoalaFaceError, match="'Mine', which"):
        compare.main([*argv, *flags])
    assert trainings == []


def test_a_file_that_is_no_model_is_refused_before_training(argv, trainings, tmp_path):
    (tmp_path / "notes.h5").write_text("no model at all")
    with pytest.raises(KoalaFaceError, match=r"mine=.*notes\.h5 cannot be compared"):
        compare.main([*argv, "--backbones", "none", "--model", f"mine={tmp_path / 'notes.h5'}"])
    assert trainings == []


def test_a_strangers_model_is_shown_and_not_obeyed(argv, tmp_path):
    strange = "`<script>alert(1)</script>`|](x)\x1b\n\n![p](/etc/passwd)<b>"
    training = {"mean_ab": [5, 9], "data": strange, "command": strange}
    mine = save_untrained(tmp_path / "![p](x)`<i>|`.h5", training)
    (tmp_path / "history.csv").write_text("a,b\n1,2\n")
    assert compare.main([*argv, "--backbones", "vgg19", "--model", f"_my_ + 1.5={mine}"]) == 0
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.references == []
    assert len(page.all("img")) == 1  # Figure 5
    assert not {"script", "b", "i", "a"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count(r"`|](x)\x1b\n\n![p](/etc/passwd)<b>") == 2
    assert "![p](x)`<i>|`.h5" in page.text
    assert "_my_ + 1.5" in page.cells


def test_the_command_says_what_it_leaves_out(argv):
    """In a process of its own, because messages of `__main__` have another logger's name."""
    command = [sys.executable, "-m", "koala_face.compare", *argv, "--backbones", "vgg19"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "vgg19 is left out. Expected the weights" in done.stderr
    assert "error: Expected something to compare" in done.stderr


@pytest.mark.slow
def test_the_real_training_is_run(argv, tmp_path):
    flags = "--backbones none --size 64 --steps-per-epoch 2 --batch-size 2".split()
    assert compare.main(argv + flags) == 0
    assert RunFolder(tmp_path / "out" / "runs" / "none").history()[-1]["epoch"] == 2
