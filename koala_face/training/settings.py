"""What `koala_face.train` is told: the recipe, the portraits, the descriptor and the network."""

import dataclasses
import functools

from koala_face.backbones import BACKBONES, CHOICES, Backbone, find_backbone
from koala_face.foundation.commands import setting
from koala_face.training.recipe import Recipe

# Settings that decide nothing about the trained weights, so a resumed run may change them.
INCIDENTAL = (
    *("output", "cache", "rehash", "resume", "changed_portraits", "quick"),
    *("device", "strategy", "tensorboard", "save_seconds"),
)
# Settings that are paths of the user's machine: a model file gives their last two names.
PATHS = ("data", "extra_data", "validation", "weights", "start_from")
# The names in `models.NETWORKS`, which loads TensorFlow.
PAPER = "koala_face"
NETWORKS = (
    *(PAPER, "deep_koalarization"),
    *("dk_normalized", "dk_short_encoder", "dk_early_upsampling"),
)


@dataclasses.dataclass(frozen=True)
class TrainConfig(Recipe):
    """Train the colorizer. Without flags: the paper's Section II.F on Helen."""

    data: str = setting("data/helen/train", "folder of training portraits (II.B)")
    validation: str = setting("data/helen/test", "folder of validation portraits (II.B)")
    backbone: str | None = setting(
        None,
        f"descriptor of the whole portrait: {CHOICES} (default: vggface; inception_resnet_v2 for "
        "deep_koalarization and the networks between)",
    )
    layer: str | None = setting(
        None, "layer of the descriptor, such as fc7 of vggface (default: see `descriptor`)"
    )
    weights: str | None = setting(None, "weights file of the descriptor")
    network: str = setting(
        PAPER,  # II.D
        "tables of the network: the paper's, its ancestor's, or one on the way between",
        choices=NETWORKS,
    )
    size: int = setting(256, "height and width in pixels, a multiple of 8")  # II.B
    extra_data: tuple[str, ...] = setting((), "folders of further portraits, for training alone")
    holdout: float = setting(
        0.0, "validate on this share of the shoots in --data, held out, not on --validation"
    )
    color_only: bool = setting(False, "leave gray and tinted portraits out of training")
    start_from: str | None = setting(
        None, "model file whose weights training starts from (default: random ones)"
    )
    output: str | None = setting(None, "folder of the run (default: runs/DESCRIPTOR)")
    resume: bool = setting(False, "go on with the run in the output folder, if there is one")
    changed_portraits: bool = setting(
        False, "with --resume: go on though portraits were added, removed or changed"
    )
    quick: bool = setting(False, "a small try-out on two portraits that installed packages carry")
    strict: bool = setting(False, "stop at unreadable photographs instead of leaving them out")
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    rehash: bool = setting(False, "read photographs whose size and time stamps did not change, too")
    mixed_precision: bool = setting(False, "bfloat16 arithmetic, where the card has it")
    device: str | None = setting(None, "TensorFlow device, such as cpu or gpu:1 (default: best)")
    strategy: str | None = setting(
        None,
        "share each step among the cards of this host, or the workers of TF_CONFIG",
        choices=("mirrored", "multiworker"),
    )
    # Not False, so that a run of before, whose settings lack it, can be resumed.
    replica_statistics: bool | None = setting(
        None, "with --strategy: batch norm normalizes by each replica's part, not the whole batch"
    )
    tensorboard: bool = setting(False, "write a TensorBoard log into the run folder")

    @functools.cached_property  # a descriptor file is read once
    def descriptor(self) -> Backbone:
        """The one that is named, or the network's own.

        The paper's is VGG-Face with its softmax (II.C). Deep Koalarization fuses what the softmax
        of Inception-ResNet-v2 is computed from; so do the networks between, of any classifier.
        """
        if self.network == PAPER:
            return find_backbone(self.backbone or "vggface", self.layer)
        name = self.backbone or "inception_resnet_v2"
        has_logits = any((row.name, row.layer) == (name, "logits") for row in BACKBONES)
        return find_backbone(name, self.layer or ("logits" if has_logits else None))

    def check(self) -> None:
        super().check()
        self.expect("holdout", 0 <= self.holdout < 1, "0 or more, below 1")
        folders = 1 + len(self.extra_data)
        fits = len(self.shares) in (0, folders)
        self.expect("shares", fits, f"{folders} numbers, for --data and each of --extra-data")
        self.expect("device", not (self.device and self.strategy), "none beside --strategy")
        fits = self.strategy or not self.replica_statistics
        self.expect("replica_statistics", fits, "no, or --strategy mirrored or multiworker")
        fits = not (self.mixed_precision and self.strategy) or self.replica_statistics
        self.expect("mixed_precision", fits, "no beside --strategy, or --replica-statistics")


def run_settings(config: TrainConfig) -> dict:
    """The settings that decide a run's result, as they stand in settings.json."""
    kept = {k: v for k, v in dataclasses.asdict(config).items() if k not in INCIDENTAL}
    backbone = config.descriptor
    kept["backbone"] = backbone.name
    if backbone.head is not None:  # another file of the same name is another descriptor
        kept["descriptor_sha256"] = backbone.head.sha256
    # As JSON gives them back: a tuple is a list there.
    return {key: list(x) if isinstance(x, tuple) else x for key, x in kept.items()}
