"""`python -m koala_face.train`: train the colorizer of the paper (Section II.F)."""

import dataclasses
import functools
import logging
import shlex
from datetime import date
from pathlib import Path

from koala_face import quick
from koala_face.allocator import keep_freed_memory
from koala_face.backbones import find_backbone, locate_weights
from koala_face.commands import flag_name, parse_config, run, setting
from koala_face.errors import KoalaFaceError
from koala_face.photographs import find_photographs
from koala_face.recipe import Recipe
from koala_face.run_folder import RunFolder

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.train")

HELP = (
    "data/README.md tells where Helen and the weights come from. "
    "`python -m koala_face.train --quick` needs neither."
)
# Settings that decide nothing about the trained weights, so a resumed run may change them.
INCIDENTAL = ("output", "cache", "resume", "quick", "device", "tensorboard", "save_seconds")


@dataclasses.dataclass(frozen=True)
class TrainConfig(Recipe):
    """Train the colorizer. Without flags: the paper's Section II.F on Helen."""

    data: str = setting("data/helen/train", "folder of training portraits (II.B)")
    validation: str = setting("data/helen/test", "folder of validation portraits (II.B)")
    backbone: str = setting(
        "vggface",  # II.C
        "descriptor of the whole portrait",
        choices=("vggface", "inception_resnet_v2", "vgg19", "facenet", "none"),
    )
    layer: str | None = setting(None, "layer of the descriptor, such as fc7 of vggface")
    weights: str | None = setting(None, "weights file of the descriptor")
    size: int = setting(256, "height and width in pixels, a multiple of 8")  # II.B
    extra_data: tuple[str, ...] = setting((), "folders of further portraits, for training alone")
    holdout: float = setting(
        0.0, "validate on this share of the shoots in --data, held out, not on --validation"
    )
    color_only: bool = setting(False, "leave gray and tinted portraits out of training")
    start_from: str | None = setting(
        None, "model file whose weights training starts from (default: random ones)"
    )
    output: str | None = setting(None, "folder of the run (default: runs/BACKBONE)")
    resume: bool = setting(False, "go on with the run in the output folder, if there is one")
    quick: bool = setting(False, "a small try-out on two portraits that installed packages carry")
    strict: bool = setting(False, "stop at unreadable photographs instead of leaving them out")
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    mixed_precision: bool = setting(False, "bfloat16 arithmetic, where the card has it")
    device: str | None = setting(None, "TensorFlow device, such as cpu or gpu:1 (default: best)")
    tensorboard: bool = setting(False, "write a TensorBoard log into the run folder")


def check_inputs(config: TrainConfig) -> None:
    """Refuse missing photographs, weights or models at once, before TensorFlow is even loaded.

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
    if config.shares and len(config.shares) != len(folders):
        raise KoalaFaceError(
            f"Expected {len(folders)} --shares, one for --data and one for each folder of "
            f"--extra-data. Received: {','.join(map(str, config.shares))}."
        )
    try:
        for folder in folders if config.holdout else [*folders, config.validation]:
            find_photographs(folder)
        locate_weights(find_backbone(config.backbone, config.layer), config.weights)
    except KoalaFaceError as error:
        raise type(error)(f"{error}\n{HELP}") from error


def run_settings(config: TrainConfig) -> dict:
    """The settings that decide a run's result, as they stand in settings.json."""
    settings = dataclasses.asdict(config)
    kept = {key: value for key, value in settings.items() if key not in INCIDENTAL}
    # As JSON gives them back: a tuple is a list there.
    return {key: list(x) if isinstance(x, tuple) else x for key, x in kept.items()}


def as_command(config: TrainConfig) -> str:
    """The command line that gives this config; folders by their last two names only."""
    words = ["python -m koala_face.train"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default or field.name in INCIDENTAL:
            continue
        if field.name in ("data", "extra_data", "validation", "weights", "start_from"):
            value = value if isinstance(value, tuple) else (value,)
            value = ",".join(map(short_name, value))
        elif isinstance(value, tuple):
            value = ",".join(map(str, value))
        name = flag_name(field.name)
        if isinstance(value, bool):
            words.append(name if value else name.replace("--", "--no-"))
        else:
            words.append(f"{name} {shlex.quote(str(value))}")
    return " ".join(words)


def short_name(path: str) -> str:
    """The last two names of a path: what may stand in a file that travels."""
    return "/".join(Path(path).resolve().parts[-2:])


def train_and_evaluate(config: TrainConfig, after_epoch=None) -> list[dict]:
    """Embed what is not embedded yet, train, and leave a run folder.

    Args:
        after_epoch: for one who watches: called with the history so far and the network.

    Returns:
        The history: a dict per epoch with loss, val_loss and so on.

    Raises:
        KoalaFaceError: whatever the user can mend; finished work is kept.
    """
    folder = RunFolder(config.output or f"runs/{config.backbone}")
    folder.start(run_settings(config), config.resume, may_differ=INCIDENTAL)
    import tensorflow as tf

    from koala_face import training

    backbone = find_backbone(config.backbone, config.layer)
    with tf.device(config.device):
        train, validation = load_both(config, backbone)
        tf.keras.utils.set_random_seed(config.seed)
        session = training.Training(
            train,
            validation,
            folder,
            recipe(config),
            describe(config, backbone, train),
            precision="mixed_bfloat16" if has_bfloat16(config) else "float32",
            tensorboard=config.tensorboard,
        )
        step = session.restore()
        if config.start_from and not step:
            session.start_from(config.start_from)
        announce(config, train, validation, folder, step)
        return session.fit(after_epoch)


def load_both(config: TrainConfig, backbone):
    """The training and the validation portraits, decoded and embedded."""
    from koala_face import selection
    from koala_face.data import load_portraits

    def load(folder):
        return load_portraits(
            folder, config.size, backbone, config.cache, config.weights, config.strict
        )

    train = load(config.data)
    if config.holdout:
        train, validation = selection.hold_out(train, config.holdout)
    else:
        validation = load(config.validation)
    folders = [train, *map(load, config.extra_data)]
    if config.color_only:
        folders = [selection.without_gray(portraits) for portraits in folders]
    return functools.reduce(selection.join, folders), validation


def recipe(config: TrainConfig) -> Recipe:
    """The part of the config that the training loop reads."""
    return Recipe(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Recipe)})


def has_bfloat16(config: TrainConfig) -> bool:
    """Whether mixed precision is asked for and the card has it: NVIDIA's since Ampere do."""
    import tensorflow as tf

    if not config.mixed_precision:
        return False
    cards = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(card) for card in cards]
    if details and all(card.get("compute_capability", (0, 0)) >= (8, 0) for card in details):
        return True
    log.warning(
        "--mixed-precision needs a card of compute capability 8.0 or higher. Found: %s. "
        "Training in float32.",
        [card.get("device_name", "unknown card") for card in details] or "no card",
    )
    return False


def describe(config: TrainConfig, backbone, train):
    """What the model file says of itself."""
    from koala_face.data import mean_ab
    from koala_face.model_files import ModelDescription

    return ModelDescription(
        backbone=backbone.name,
        layer=backbone.layer,
        preprocessing=backbone.preprocessing,
        embedding_dim=backbone.embedding_dim,
        size=config.size,
        training={
            "command": as_command(config),
            "data": short_name(config.data),
            "portraits": len(train),
            "mean_ab": mean_ab(train),
            "seed": config.seed,
            "date": date.today().isoformat(),
        },
    )


def announce(config: TrainConfig, train, validation, folder: RunFolder, step: int) -> None:
    """One line that says what is about to happen, and where."""
    import tensorflow as tf

    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    log.info(
        "Training on %s: %d portraits, %d for validation, %s, %d x %d, %d epochs x %d steps of %d"
        "%s. Results: %s",
        config.device or (gpus[0] if gpus else "cpu"),
        *(len(train), len(validation), config.backbone, config.size, config.size),
        *(config.epochs, config.steps_per_epoch, config.batch_size),
        f", resumed after step {step}" if step else "",
        folder.path,
    )


def main(argv=None) -> int:
    config = parse_config(TrainConfig, argv, prog="python -m koala_face.train")
    if config.quick:
        config = quick.quick_config(config)
    check_inputs(config)
    keep_freed_memory()
    train_and_evaluate(config)
    if config.quick:
        log.info("Look at %s", quick.colorize_portraits(config))
    return 0


if __name__ == "__main__":
    run(main)
