"""`python -m koala_face.compare`: the descriptors side by side (Tables V and VI, Figure 5)."""

import dataclasses
import datetime
import logging
import re
import shlex
import subprocess
import sys
from pathlib import Path

from koala_face.backbones import BACKBONE_NAMES, WeightsError, find_backbone, locate_weights
from koala_face.figures import report
from koala_face.foundation.commands import INTERRUPTED, flag_words, parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.reading import find_photographs
from koala_face.train import NETWORKS, PAPER, TrainConfig, run_settings
from koala_face.training.run_folder import RunFolder, RunFolderError, list_differences

log = logging.getLogger("koala_face.compare")

# Names become files and table cells.
NAME = re.compile(r"[\w .+-]+")
# Rows of the tables and columns of portraits.csv that are no model's, by letters and digits alone.
RESERVED = ("gray", "constant", "blockmean", "ceiling", "true", "groundtruth", "model", "path")


# Trainings that take longer are not begun from a terminal without --yes.
SHORT = datetime.timedelta(minutes=10)


class CompareError(KoalaFaceError):
    """Descriptors that cannot be compared."""


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Train a model for each network and descriptor, where there is none yet, and compare all."""

    data: str = setting("data/helen/train", "folder of training portraits")  # II.B
    validation: str = setting("data/helen/test", "folder on which all are measured")  # II.B
    backbones: tuple[str, ...] = setting(
        BACKBONE_NAMES, "descriptors to train and compare, tuned:FILE and oracle:FILE among them"
    )
    networks: tuple[str, ...] = setting(
        (PAPER,), f"networks to train, each with every descriptor: {', '.join(NETWORKS)}"
    )
    model: tuple[str, ...] = setting((), "further models as NAME=FILE; may be repeated")
    output: str = setting("comparison", "folder of the report", short="-o")
    runs: str | None = setting(None, "folder of the runs (default: runs in the report's folder)")
    measure_size: int = setting(256, "height and width at which is measured")  # II.B
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    resamples: int = setting(2000, "resamples of the bootstrap")  # our choice
    yes: bool = setting(False, "train without being asked, however long it takes")
    size: int | None = setting(None, "for training; see koala_face.train")
    epochs: int | None = setting(None, "for training")
    steps_per_epoch: int | None = setting(None, "for training")
    batch_size: int | None = setting(None, "for training")
    learning_rate: float | None = setting(None, "for training")
    schedule: str | None = setting(None, "for training")
    flip: bool | None = setting(None, "for training")
    seed: int | None = setting(None, "for training")
    weights: str | None = setting(None, "folder of the descriptors' weights files")
    device: str | None = setting(None, "for training")


# Flags that go to `koala_face.train` as they are; without them its own defaults hold.
TRAINING_FLAGS = tuple(
    field.name
    for field in dataclasses.fields(CompareConfig)
    if field.default is None and field.name != "runs"
)


def find_pairs(config: CompareConfig) -> dict[str, tuple[str, str]]:
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


def find_usable(config: CompareConfig) -> tuple[list[str], dict[str, str]]:
    """The names whose descriptors' weights are here, and the reason for each that is left out.

    Raises:
        BackboneError: for a name that is no descriptor's.
        CompareError: for a name that is no network's.
    """
    usable, left_out = [], {}
    for name, (_, backbone) in find_pairs(config).items():
        try:
            locate_weights(find_backbone(backbone), config.weights)
            usable.append(name)
        except WeightsError as error:
            log.warning("%s is left out. %s", name, error)
            left_out[name] = str(error)
    return usable, left_out


def find_models(config: CompareConfig, usable: list[str]) -> dict[str, Path]:
    """Every compared model's name and file: the runs' and those of `--model`.

    Raises:
        CompareError: for a value that is not NAME=FILE, a missing file, a name that is taken, or
            nothing to compare.
    """
    models = {name: run_folder(config, name).model_file for name in usable}
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
        models[name] = Path(file)
    if not models:
        raise CompareError(
            "Expected something to compare: no descriptor's weights are here, and no --model is "
            "given. Fetch weights with python -m koala_face weights, or add the descriptor none."
        )
    return models


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def run_folder(config: CompareConfig, name: str) -> RunFolder:
    return RunFolder(Path(config.runs or Path(config.output) / "runs") / name)


def training_settings(config: CompareConfig, name: str) -> dict:
    """What is asked of the run of a network and descriptor, by the names of train's settings."""
    given = {flag: getattr(config, flag) for flag in TRAINING_FLAGS}
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


def training_command(config: CompareConfig, name: str) -> list[str]:
    """The command that trains or goes on with the run of a network and descriptor."""
    command = [sys.executable, "-m", "koala_face.train"]
    for key, value in training_settings(config, name).items():
        command += flag_words(key, value)
    folder = run_folder(config, name).path
    return [*command, "--cache", config.cache, "--output", str(folder), "--resume"]


def train(config: CompareConfig, name: str) -> None:
    """Train a model in a process of its own, unless its run is finished.

    Raises:
        CompareError: if training fails; what it finished is kept.
    """
    folder = run_folder(config, name)
    if is_finished(folder, training_settings(config, name)):
        log.info("%s: the run in %s is finished", name, folder.path)
        return
    command = training_command(config, name)
    log.info("%s: %s", name, shlex.join(command))
    status = subprocess.run(command).returncode
    if status in (INTERRUPTED, -2):
        raise KeyboardInterrupt
    if status:
        raise CompareError(
            f"Training with {name} ended with status {status}; its message stands above. "
            "Repeat this command to go on from there, or leave the descriptor out of --backbones."
        )


def announce(config: CompareConfig, names: list[str]) -> None:
    """Say what will be trained, and about how long that takes on this machine's processor.

    Raises:
        CompareError: from a terminal without `--yes`, if it is longer than `SHORT`.
    """
    if not names:
        return
    from koala_face.training.progress import estimate_seconds

    seconds = estimate_seconds(sum(multiply_adds_left(config, name) for name in names))
    duration = datetime.timedelta(seconds=round(seconds))
    log.info("To be trained: %s; about %s on the processor.", ", ".join(names), duration)
    if duration > SHORT and sys.stdin.isatty() and not config.yes:
        raise CompareError(
            f"Expected --yes for trainings of about {duration}. Repeat the command with it; it "
            "can be interrupted and repeated at any time. Or ask for less: --size 64, --epochs, "
            "--backbones."
        )


def multiply_adds_left(config: CompareConfig, name: str) -> int:
    """What a training has before it: the network's multiply-adds for each portrait to be seen."""
    from koala_face.models import build_colorizer, multiply_adds

    asked = TrainConfig(**training_settings(config, name))
    network = build_colorizer(asked.descriptor.embedding_dim, asked.size, network=asked.network)
    epochs = asked.epochs - len(run_folder(config, name).history())
    return epochs * asked.steps_per_epoch * asked.batch_size * multiply_adds(network)


def compare(config: CompareConfig) -> dict:
    """Train, score and write the report.

    Returns:
        For each model and baseline its `scoring.estimate`.

    Raises:
        KoalaFaceError: whatever the user can mend.
    """
    if config.resamples < 1:
        raise CompareError(f"Expected --resamples of 1 or more. Received: {config.resamples}.")
    find_photographs(config.validation)
    usable, left_out = find_usable(config)
    models = find_models(config, usable)
    if usable:
        find_photographs(config.data)
    waiting = [
        name
        for name in usable
        if not is_finished(run_folder(config, name), training_settings(config, name))
    ]
    folder = report.make_folder(config.output)
    from koala_face.evaluation import comparison_report

    given = {name: file for name, file in models.items() if name not in usable}
    comparison_report.check_models(given, config.measure_size, config.weights)
    announce(config, waiting)
    for name in usable:
        train(config, name)
    trials = comparison_report.load_trials(
        models, config.validation, config.measure_size, config.cache, config.weights
    )
    results, parts = comparison_report.write_comparison(
        folder,
        trials,
        data=config.validation,
        train_data=config.data,
        cache=config.cache,
        left_out=left_out,
        resamples=config.resamples,
    )
    log.info("Report: %s", report.write_report(folder, parts)[1])
    return results


def main(argv=None) -> int:
    compare(parse_config(CompareConfig, argv, "compare"))
    return 0


if __name__ == "__main__":
    run(main)
