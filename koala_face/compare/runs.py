"""The models that `koala_face.compare` compares, and the trainings that make them."""

import datetime
import logging
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.backbones import WeightsError, find_backbone, locate_weights
from koala_face.foundation.commands import INTERRUPTED, flag_words
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training.run_folder import RunFolder, RunFolderError, list_differences
from koala_face.training.settings import NETWORKS, PAPER, TrainConfig, run_settings

if TYPE_CHECKING:
    from koala_face.compare.__main__ import CompareConfig

log = logging.getLogger("koala_face.compare")

# Names become files and table cells.
NAME = re.compile(r"[\w .+-]+")
# Rows of the tables and columns of portraits.csv that are no model's, by letters and digits alone.
RESERVED = ("gray", "constant", "blockmean", "ceiling", "true", "groundtruth", "model", "path")
# Flags that go to `koala_face.train` as they are; without them its own defaults hold.
TRAINING_FLAGS = (
    *("size", "epochs", "steps_per_epoch", "batch_size", "learning_rate", "schedule", "flip"),
    *("seed", "weights", "device"),
)
# Trainings that take longer are not begun from a terminal without --yes.
SHORT = datetime.timedelta(minutes=10)


class CompareError(KoalaFaceError):
    """Descriptors that cannot be compared."""


def find_pairs(config: "CompareConfig") -> dict[str, tuple[str, str]]:
    """What is trained: a name to its network and its descriptor.

    The name is the descriptor's, behind the network's where that is not the paper's.

    Raises:
        BackboneError, DescriptorFileError: for a name that is no descriptor's.
        CompareError: for a name that is no network's, and for two descriptor files of one name.
    """
    for network in config.networks:
        if network not in NETWORKS:
            raise CompareError(
                f"Expected networks out of {', '.join(NETWORKS)}. Received: {network!r}."
            )
    names = {backbone: find_backbone(backbone).plain_name for backbone in config.backbones}
    if len(set(names.values())) < len(names):
        raise CompareError(
            f"Expected descriptor files of different names. Received: {', '.join(names)}. "
            "Rename one."
        )
    return {
        names[backbone] if network == PAPER else f"{network}-{names[backbone]}": (network, backbone)
        for network in config.networks
        for backbone in config.backbones
    }


def find_runs(config: "CompareConfig") -> dict[str, tuple[str, int | None]]:
    """The trainings: a run's name to the name of what is compared, and to its seed.

    With `--seeds` there are several of each, NAME-seed-0 and so on.

    Raises:
        CompareError: for `--seeds` beside `--seed`, or one seed twice; and as `find_pairs`.
    """
    names, seeds = find_pairs(config), config.seeds
    if not seeds:
        return {name: (name, config.seed) for name in names}
    if config.seed is not None or len(set(seeds)) < len(seeds):
        raise CompareError(
            "Expected --seeds of different numbers, and no --seed beside it. Received: "
            f"--seeds {','.join(map(str, seeds))}, --seed {config.seed}."
        )
    return {f"{name}-seed-{seed}": (name, seed) for seed in seeds for name in names}


def find_usable(config: "CompareConfig") -> tuple[list[str], dict[str, str]]:
    """The runs whose descriptors' weights are here, and the reason for each name left out.

    Raises:
        BackboneError: for a name that is no descriptor's.
        CompareError: for a name that is no network's.
    """
    left_out = {}
    for name, (_, backbone) in find_pairs(config).items():
        try:
            locate_weights(find_backbone(backbone), config.weights)
        except WeightsError as error:
            log.warning("%s is left out. %s", name, error)
            left_out[name] = str(error)
    return [run for run, (name, _) in find_runs(config).items() if name not in left_out], left_out


def find_models(config: "CompareConfig", usable: list[str]) -> dict[str, list[Path]]:
    """The name of all that is compared, and its files: the runs', one a seed, or a `--model`'s.

    Raises:
        CompareError: for a value that is not NAME=FILE, a missing file, a name that is taken, or
            nothing to compare.
    """
    models, runs = {}, find_runs(config)
    for run in usable:
        models.setdefault(runs[run][0], []).append(run_folder(config, run).model_file)
    taken = {*RESERVED, *map(_letters, find_pairs(config))}
    for given in config.model:
        name, separator, file = given.partition("=")
        if not (NAME.fullmatch(name) and _letters(name) and separator and file):
            raise CompareError(
                "Expected --model NAME=FILE, the name of letters, digits, spaces and . + - _. "
                f"Received: --model {given}."
            )
        if _letters(name) in taken:
            raise CompareError(
                f"Expected a name of its own for {file}. Received: {name!r}, which, but for case "
                "and signs, is another model's, or a row or column of the report itself."
            )
        if not Path(file).is_file():
            raise CompareError(f"Expected a model file for {name}. Received: {file}.")
        taken.add(_letters(name))
        models[name] = [Path(file)]
    if not models:
        raise CompareError(
            "Expected something to compare: no descriptor's weights are here, and no --model is "
            "given. Fetch weights with python -m koala_face weights, or add the descriptor none."
        )
    return models


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def run_folder(config: "CompareConfig", run: str) -> RunFolder:
    return RunFolder(Path(config.runs or Path(config.output) / "runs") / run)


def training_settings(config: "CompareConfig", run: str) -> dict:
    """What is asked of a run, by the names of train's settings."""
    name, seed = find_runs(config)[run]
    given = {flag: getattr(config, flag) for flag in TRAINING_FLAGS} | {"seed": seed}
    given = {flag: value for flag, value in given.items() if value is not None}
    network, backbone = find_pairs(config)[name]
    asked = {"data": config.data, "validation": config.validation, "backbone": backbone}
    return {**asked, **given} if network == PAPER else {**asked, "network": network, **given}


def is_finished(folder: RunFolder, asked: dict) -> bool:
    """Whether the run has all its epochs; a half one, or none, is for `train` to go on with.

    Args:
        asked: the settings of the run by `training_settings`; for the others train's defaults hold.

    Raises:
        CompareError: if the finished run was made with other settings than this comparison's.
    """
    try:
        before = folder.settings()
    except RunFolderError:
        return False
    epochs = before.get("epochs")
    if not isinstance(epochs, int) or len(folder.history()) < epochs:
        return False
    if not folder.model_file.exists():
        return False
    # A setting that a run of an earlier version does not know was then as is its default now.
    defaults, expected = run_settings(TrainConfig()), run_settings(TrainConfig(**asked))
    found = defaults | before
    differing = [key for key, value in expected.items() if found.get(key) != value]
    if differing:
        raise CompareError(
            f"Expected the run in {folder.path} to be of this comparison. These settings differ:\n"
            f"{list_differences(differing, found, expected)}\n"
            "Repeat the first settings, name another folder with --runs, or compare the "
            f"model as it is: --model NAME={folder.model_file}."
        )
    return True


def training_command(config: "CompareConfig", run: str) -> list[str]:
    """The command that trains or goes on with the run of a network and descriptor."""
    command = [sys.executable, "-m", "koala_face.train"]
    for key, value in training_settings(config, run).items():
        command += flag_words(key, value)
    folder = run_folder(config, run).path
    return [*command, "--cache", config.cache, "--output", str(folder), "--resume"]


def train(config: "CompareConfig", run: str) -> None:
    """Train a model in a process of its own, unless its run is finished.

    Raises:
        CompareError: if training fails; what it finished is kept.
    """
    folder = run_folder(config, run)
    if is_finished(folder, training_settings(config, run)):
        log.info("%s: the run in %s is finished", run, folder.path)
        return
    command = training_command(config, run)
    log.info("%s: %s", run, shlex.join(command))
    status = subprocess.run(command).returncode
    if status in (INTERRUPTED, -2):
        raise KeyboardInterrupt
    if status:
        raise CompareError(
            f"Training with {run} ended with status {status}; its message stands above. "
            "Repeat this command to go on from there, or leave the descriptor out of --backbones."
        )


def announce(config: "CompareConfig", runs: list[str]) -> None:
    """Say what will be trained, and about how long that takes on this machine's processor.

    Raises:
        CompareError: from a terminal without `--yes`, if it is longer than `SHORT`.
    """
    if not runs:
        return
    from koala_face.training.progress import estimate_seconds

    seconds = estimate_seconds(sum(multiply_adds_left(config, run) for run in runs))
    duration = datetime.timedelta(seconds=round(seconds))
    log.info("To be trained: %s; about %s on the processor.", ", ".join(runs), duration)
    if duration > SHORT and sys.stdin.isatty() and not config.yes:
        raise CompareError(
            f"Expected --yes for trainings of about {duration}. Repeat the command with it; it "
            "can be interrupted and repeated at any time. Or ask for less: --size 64, --epochs, "
            "--backbones."
        )


def multiply_adds_left(config: "CompareConfig", run: str) -> int:
    """What a training has before it: the network's multiply-adds for each portrait to be seen."""
    from koala_face.models import build_colorizer, multiply_adds

    asked = TrainConfig(**training_settings(config, run))
    network = build_colorizer(asked.descriptor.embedding_dim, asked.size, network=asked.network)
    epochs = asked.epochs - len(run_folder(config, run).history())
    return epochs * asked.steps_per_epoch * asked.batch_size * multiply_adds(network)
