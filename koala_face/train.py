"""`python -m koala_face.train`: train the colorizer of the paper (Section II.F)."""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.backbones import locate_weights
from koala_face.backbones.weight_files import MissingWeightsError
from koala_face.foundation.allocator import keep_freed_memory
from koala_face.foundation.commands import as_command, parse_config, run
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import short_name
from koala_face.photographs.reading import find_photographs
from koala_face.training.portrait_list import check_list, list_portraits, write_list
from koala_face.training.recipe import Recipe
from koala_face.training.run_folder import RunFolder
from koala_face.training.settings import INCIDENTAL, PATHS, TrainConfig, run_settings

if TYPE_CHECKING:
    from tensorflow import keras

    from koala_face.data.portraits import Portraits
    from koala_face.model_files.files import ModelDescription
    from koala_face.training.distribution import Distribution
    from koala_face.training.loop import Training

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.train")

HELP = (
    "data/README.md tells where Helen and the weights come from. "
    "`python -m koala_face.train --quick` needs neither."
)


def check_inputs(config: TrainConfig) -> None:
    """Refuse settings out of range, and missing photographs, weights or models, at once, before
    TensorFlow is even loaded.

    Raises:
        KoalaFaceError: says how to get what is missing.
    """
    config.check()
    # A resumed run has its weights already: the file may be gone.
    if config.start_from and not config.resume and not Path(config.start_from).is_file():
        raise KoalaFaceError(
            f"Expected a model file to start from. Received: {config.start_from}, which is none."
        )
    folders = [config.data, *config.extra_data]
    try:
        for folder in folders if config.holdout else [*folders, config.validation]:
            find_photographs(folder)
        locate_weights(config.descriptor, config.weights)
    except MissingWeightsError as error:
        installed = dataclasses.replace(config, backbone="facenet", layer=None, weights=None)
        command = as_command("train", installed)
        raise MissingWeightsError(
            f"{error}\nOr train with a descriptor that is installed already:\n  {command}"
        ) from error
    except KoalaFaceError as error:
        raise type(error)(f"{error}\n{HELP}") from error


def train_and_evaluate(
    config: TrainConfig, after_epoch: Callable[[list[dict], "keras.Model"], None] | None = None
) -> list[dict]:
    """Embed what is not embedded yet, train, and leave a run folder.

    Args:
        after_epoch: for one who watches: called with the history so far and the network.

    Returns:
        The history: a dict per epoch with loss, val_loss and so on.

    Raises:
        KoalaFaceError: whatever the user can mend; finished work is kept.
    """
    config.check()
    folder = RunFolder(config.output or f"runs/{config.descriptor.plain_name}")
    import tensorflow as tf

    from koala_face.models import check_size
    from koala_face.training.device import find_device
    from koala_face.training.distribution import find_distribution

    check_size(config.size)
    # First of all: several workers meet before TensorFlow's first operation.
    together = find_distribution(
        config.strategy, config.batch_size, bool(config.replica_statistics)
    )
    shared = config.strategy and f"{together.replicas} replicas"
    device = shared or find_device(config.device)
    held = folder.held() if together.is_chief else contextlib.nullcontext()
    with together.explained(), held, tf.device(config.device):
        with together.chief_first():
            train, validation = load_for(config, folder, together.is_chief)
        portraits = list_portraits(train, validation)
        together.expect_same("settings and portraits", [run_settings(config), portraits])
        session = make_session(config, folder, train, validation, together)
        # From here on there is a run: what refuses a command stands above.
        if together.is_chief:
            write_list(folder.portraits_file, portraits)
            folder.write_settings(run_settings(config))
        log.info(
            "Training on %s, %s: %d portraits, %d for validation, %s, %d x %d, %d epochs x "
            "%d steps of %d%s. Results: %s",
            *(device, session.way, len(train), len(validation), config.descriptor.name),
            *(config.size, config.size),
            *(config.epochs, config.steps_per_epoch, config.batch_size),
            f", resumed after step {session.step}" if session.step else "",
            folder.path,
        )
        return session.fit(after_epoch)


def make_session(
    config: TrainConfig,
    folder: RunFolder,
    train: "Portraits",
    validation: "Portraits",
    together: "Distribution",
) -> "Training":
    """The training of the run in `folder`, at its last saved step or at the start."""
    import tensorflow as tf

    from koala_face.training.device import find_precision
    from koala_face.training.loop import Training

    tf.keras.utils.set_random_seed(config.seed)
    description, precision = describe_model(config, train), find_precision(config.mixed_precision)
    options = (recipe(config), description, precision, config.tensorboard, together)
    session = Training(train, validation, folder, *options)
    with together.chief_first():
        if not session.restore() and config.start_from:
            session.start_from(config.start_from)
    together.expect_same("saved state", session.step)
    return session


def load_for(
    config: TrainConfig, folder: RunFolder, is_chief: bool
) -> tuple["Portraits", "Portraits"]:
    """`load_both`; the chief also sees that the run in `folder`, if any, is of these portraits."""
    if is_chief:
        folder.check(run_settings(config), config.resume, may_differ=INCIDENTAL)
    train, validation = load_both(config)
    if is_chief and config.resume and not config.changed_portraits:
        check_list(folder.portraits_file, list_portraits(train, validation))
    return train, validation


def load_both(config: TrainConfig) -> tuple["Portraits", "Portraits"]:
    """The training and the validation portraits, decoded and embedded."""
    from koala_face.data import selection
    from koala_face.data.portraits import load_portraits

    options = (config.size, config.descriptor, config.cache, config.weights, config.strict)
    load = functools.partial(load_portraits, rehash=config.rehash)
    train = load(config.data, *options)
    if config.holdout:
        train, validation = selection.hold_out(train, config.holdout)
    else:
        validation = load(config.validation, *options)
    folders = [train, *(load(folder, *options) for folder in config.extra_data)]
    if config.color_only:
        folders = [selection.without_gray(portraits) for portraits in folders]
    return functools.reduce(selection.join, folders), validation


def recipe(config: TrainConfig) -> Recipe:
    """The part of the config that the training loop reads."""
    return Recipe(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Recipe)})


def describe_model(config: TrainConfig, train: "Portraits") -> "ModelDescription":
    """What the model file says of itself."""
    from koala_face.data.color_statistics import mean_ab
    from koala_face.model_files.files import ModelDescription

    backbone = config.descriptor
    named = config.backbone and backbone.name  # a descriptor file without its folder
    shown = dataclasses.replace(config, backbone=named)
    return ModelDescription(
        backbone=backbone.name,
        layer=backbone.layer,
        preprocessing=backbone.preprocessing,
        embedding_dim=backbone.embedding_dim,
        size=config.size,
        network=config.network,
        training={
            "command": as_command("train", shown, left_out=INCIDENTAL, paths=PATHS),
            "data": ", ".join(map(short_name, (config.data, *config.extra_data))),
            "portraits": len(train),
            "mean_ab": mean_ab(train),
            "seed": config.seed,
            "date": date.today().isoformat(),
        },
        descriptor_file=backbone.head.content if backbone.head else None,
    )


def main(argv=None) -> int:
    from koala_face.evaluation import try_out

    config = parse_config(TrainConfig, argv, "train")
    if config.quick:
        config = try_out.quick_config(config)
    check_inputs(config)
    keep_freed_memory()
    train_and_evaluate(config)
    if config.quick:
        log.info("Look at %s", try_out.colorize_samples(config))
    return 0


if __name__ == "__main__":
    run(main)
