"""`python -m koala_face.tune`: a descriptor tuned for colour (Section IV, the last paragraph)."""

import dataclasses
import functools
import json
import logging
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.backbones import (
    BACKBONE_NAMES,
    Backbone,
    find_backbone,
    locate_weights,
    weights_sha256,
)
from koala_face.figures.report import make_folder
from koala_face.foundation.commands import as_command, flag_name, parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import replacing, short_name
from koala_face.photographs.reading import find_photographs

if TYPE_CHECKING:
    import tensorflow as tf

    from koala_face.data.portraits import Portraits
    from koala_face.training.targets import Targets

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.tune")

COLORS, FOLDERS = "colors", "folders"
LARGEST_CLASSES = 500
# The layer below the output layer, which is stripped off.
STRIPPED = {
    "vggface": "fc7",
    "inception_resnet_v2": "avg_pool",
    "vgg19": "fc2",
    "facenet": "avgpool",
    "none": "zeros",
}
# Of the portraits that train, the share of shoots that say when to stop; our choice.
APART = 0.15
PATHS = ("data", "extra_data", "weights")


class TuneError(KoalaFaceError):
    """Settings or portraits that no descriptor can be tuned by."""


@dataclasses.dataclass(frozen=True)
class TuneConfig:
    """Tune a descriptor: strip its output layer, and train a softmax on K targets in its place.

    The targets are clusters of the portraits' own colours, which the descriptor has to guess of
    gray, or the sub-folders that the portraits lie in. Use it as --backbone tuned:FILE.
    """

    data: str = setting("data/helen/train", "folder of portraits, in color")
    extra_data: tuple[str, ...] = setting((), "folders of further portraits")
    backbone: str = setting("vggface", "descriptor to tune", choices=BACKBONE_NAMES)  # IV
    layer: str | None = setting(None, "its layer below the head (default: the last but one)")
    weights: str | None = setting(None, "weights file of the descriptor")
    targets: str = setting(
        COLORS,
        "what the softmax tells: clusters of colours, or the first sub-folder's name",
        choices=(COLORS, FOLDERS),
    )
    classes: int = setting(32, "clusters of colours")  # this and what follows: our choice
    color_only: bool = setting(True, "leave gray and tinted portraits out")
    holdout: float = setting(0.2, "share of the shoots that is held out, for the accuracy")
    hidden: int = setting(0, "units of a hidden layer below the softmax, 0 for none")
    weight_decays: tuple[float, ...] = setting(
        (3.0, 1.0, 0.3, 0.1, 0.03), "factors on the kernels' squares, each is tried"
    )
    epochs: int = setting(100, "epochs at most; it ends when the portraits kept apart gain no more")
    batch_size: int = setting(256, "portraits per step")
    learning_rate: float = setting(0.0001, "Adam's; at ten times as much steps are too coarse")
    seed: int = setting(0, "of the clusters, the first weights and the order")
    output: str | None = setting(
        None, "the descriptor file (default: tuned/DESCRIPTOR-TARGETS-CLASSES.h5)", short="-o"
    )
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    strict: bool = setting(False, "stop at unreadable photographs instead of leaving them out")


def check_inputs(config: TuneConfig) -> Backbone:
    """Refuse what cannot be tuned before TensorFlow is loaded; gives the descriptor to tune.

    Raises:
        TuneError: names the flag.
        PhotographError, BackboneError, WeightsError: from the portraits and the descriptor.
    """
    for name, fits, words in (
        ("classes", 2 <= config.classes <= LARGEST_CLASSES, f"2 to {LARGEST_CLASSES}"),
        ("holdout", 0 < config.holdout < 1, "a share within 0-1"),
        ("hidden", 0 <= config.hidden <= 4096, "0 to 4096"),
        ("weight_decays", config.weight_decays and min(config.weight_decays) >= 0, "0 or more"),
        ("epochs", config.epochs >= 1, "1 or more"),
        ("batch_size", config.batch_size >= 1, "1 or more"),
        ("learning_rate", config.learning_rate > 0, "a number above 0"),
        ("seed", config.seed >= 0, "0 or more"),
        ("output", config.output is None or config.output.endswith(".h5"), "a file NAME.h5"),
    ):
        if not fits:
            raise TuneError(
                f"Expected {flag_name(name)} as {words}. Received: {getattr(config, name)}."
            )
    for folder in (config.data, *config.extra_data):
        find_photographs(folder)
    backbone = find_backbone(config.backbone, config.layer or STRIPPED[config.backbone])
    locate_weights(backbone, config.weights)
    return backbone


def tune(config: TuneConfig) -> dict:
    """Tune a descriptor; writes its file, and what was measured beside it as .json.

    Returns:
        What the .json holds: the descriptor, its origin and its accuracy.

    Raises:
        KoalaFaceError: whatever the user can mend.
    """
    backbone = check_inputs(config)
    import tensorflow as tf

    from koala_face.backbones.tuned import build_head
    from koala_face.evaluation.target_accuracy import measure_targets
    from koala_face.training.head import HeadRecipe, train_head

    parts = split(load(config, backbone), config.holdout)
    targets = find_targets(config, parts)
    features = [part.embeddings[:] for part in parts]
    log.info(
        "Tuning %s (%s) to %d classes: %d portraits, %d to stop by, %d held out",
        *(backbone.name, backbone.layer, len(targets.names), *map(len, parts)),
    )
    tf.keras.utils.set_random_seed(config.seed)
    build = functools.partial(build_head, backbone.embedding_dim, config.hidden, len(targets.names))
    pairs = list(zip(features, targets.labels, strict=True))
    recipe = HeadRecipe(config.epochs, config.batch_size, config.learning_rate)
    trained = train_head(build, config.weight_decays, *pairs[:2], recipe)
    head = build()
    head.set_weights(trained.weights)
    probabilities = head(features[2], training=False).numpy()
    found = {
        "classes": targets.names if config.targets == FOLDERS else len(targets.names),
        "portraits": dict(zip(("train", "to_stop_by", "held_out"), map(len, parts), strict=True)),
        "weight_decay": trained.weight_decay,
        "epochs": trained.epochs,
        "accuracy": measure_targets(probabilities, *targets[1:]),
    }
    return write(config, backbone, head, targets, found)


def load(config: TuneConfig, backbone: Backbone) -> "Portraits":
    """The portraits of all folders, with the features below the head."""
    from koala_face.data import selection
    from koala_face.data.color_clusters import SIZE
    from koala_face.data.portraits import load_portraits

    options = (SIZE, backbone, config.cache, config.weights, config.strict)
    folders = [load_portraits(name, *options) for name in (config.data, *config.extra_data)]
    portraits = functools.reduce(selection.join, folders)
    return selection.without_gray(portraits) if config.color_only else portraits


def split(portraits: "Portraits", share: float) -> list["Portraits"]:
    """The portraits that train, those to stop by, and those held out; each shoot is in one part.

    Raises:
        TuneError: for too few shoots.
    """
    from koala_face.data.selection import SelectionError, hold_out

    try:
        seen, held_out = hold_out(portraits, share)
        # A shoot's place in 0-1 decides: the next ones above the share are kept apart.
        return [*hold_out(seen, share + (1 - share) * APART), held_out]
    except SelectionError as error:
        raise TuneError(
            f"Expected portraits of more shoots, to hold out {share} of them. Received: "
            f"{len(portraits)} portraits. Name more, or take another --holdout."
        ) from error


def find_targets(config: TuneConfig, parts: list["Portraits"]) -> "Targets":
    """The classes of the three parts; clusters are found without the portraits held out."""
    from koala_face.training.targets import color_targets, folder_targets

    if config.targets == FOLDERS:
        return folder_targets(parts, 2, LARGEST_CLASSES)
    return color_targets(parts, 2, config.classes, config.seed)


def write(
    config: TuneConfig,
    backbone: Backbone,
    head: "tf.keras.Model",
    targets: "Targets",
    found: dict,
) -> dict:
    """Write the descriptor file and the .json, and say what was found."""
    from koala_face.backbones.tuned import read_head, write_head
    from koala_face.evaluation.target_accuracy import describe_accuracy
    from koala_face.model_files.files import save_network

    count = len(targets.names)
    path = Path(config.output or f"tuned/{backbone.plain_name}-{config.targets}-{count}.h5")
    make_folder(path.parent)
    training = {
        "command": as_command("tune", config, left_out=("cache", "output"), paths=PATHS),
        "data": [short_name(folder) for folder in (config.data, *config.extra_data)],
        "seed": config.seed,
        "date": date.today().isoformat(),
        **found,
    }
    weights_path = locate_weights(backbone, config.weights)
    facts = {
        "backbone": backbone.name,
        "layer": backbone.layer,
        "weights_sha256": weights_sha256(weights_path) if weights_path else "",
        "targets": config.targets,
        "classes": count,
        "training": json.dumps(training),
    }
    save_network(head, path, lambda file: write_head(file, facts, targets.centers))
    report = {"file": path.name, "sha256": read_head(path).sha256, **facts, "training": training}
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    log.info("%s\n%s: --backbone tuned:%s", describe_accuracy(found["accuracy"]), path, path)
    return report


def main(argv=None) -> int:
    tune(parse_config(TuneConfig, argv, "tune"))
    return 0


if __name__ == "__main__":
    run(main)
