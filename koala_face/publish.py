"""`python -m koala_face.publish`: make a model file that ships, with its scores in it.

The models in `koala_face/model_files/pretrained` were written by this command, the one out of
a training run, the other out of the first. They are one network, whose weights ship once.
"""

import dataclasses
import functools
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.reading import find_photographs

if TYPE_CHECKING:
    import tensorflow as tf

    from koala_face.model_files.description import ModelDescription

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.publish")

# Height and width at which the paper's metrics are taken (II.B).
MEASURED_SIZE = 256
# What two models have in common whose weights can be mixed.
ALIKE = (
    *("network", "size", "descriptor", "preprocessing", "embedding_dim"),
    *("luminance_scale", "ab_scale"),
)
# Portraits over which batch norm's statistics are measured, evenly out of all.
STATISTICS_PORTRAITS = 1600
STATISTICS_BATCH = 16
SCORES = ("mse", "mae", "colorfulness", "colorfulness_difference", "gamut_mse", "gamut_mae")


class PublishError(KoalaFaceError):
    """A setting, or a place, that makes no model."""


@dataclasses.dataclass(frozen=True)
class PublishConfig:
    """Score a trained model on a folder and on the two sample portraits, and write it again
    with the scores, beside gray's, in its attributes.

    The models that ship, with P for koala_face/model_files/pretrained:
      python -m koala_face.publish --model RUN/model.h5 --statistics helen/train --mirrored \\
          -o P/faithful.h5
      python -m koala_face.publish --model P/faithful.h5 --mirrored --saturation 1.3 --borrow \\
          -o P/vivid.h5
    """

    model: str = setting(dataclasses.MISSING, "model file of a training run")
    output: str = setting(dataclasses.MISSING, "the model file to write", short="-o")
    data: str = setting("data/helen/test", "folder of true portraits, in color")  # II.B
    saturation: float = setting(1.0, "factor on the strength of colours, made part of the network")
    mirrored: bool = setting(False, "colour portraits mirrored as well and take the mean")
    scales: tuple[float, ...] = setting(
        (1.0,), "factors on the model's size at which it is asked, for the mean of the answers"
    )
    blend: str | None = setting(
        None, "another model file of this network, such as the one that training started from"
    )
    blend_share: float = setting(0.5, "its share in the mean of both files' weights")
    statistics: tuple[str, ...] = setting(
        (), "folders of portraits over which batch norm's statistics are measured anew, in turn"
    )
    borrow: bool = setting(
        False, "write no weights: the file takes those of --model, which lies beside it"
    )
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    weights: str | None = setting(None, "weights file of the descriptor")


def publish(config: PublishConfig) -> dict:
    """Write `config.output`; gives the file's training attributes, its scores among them.

    Raises:
        PublishError: from `check_inputs`.
        PredictionError: for scales out of range.
        KoalaFaceError: from the parts: no portraits, no such model, no weights.
    """
    check_inputs(config)
    from koala_face.colorizer.prediction import check_scales
    from koala_face.foundation.files import short_name
    from koala_face.model_files.files import load_model, save_model, save_variant
    from koala_face.model_files.weights import strengthen
    from koala_face.photographs.sample_portraits import write_sample_portraits

    check_scales(config.scales)
    model, description = load_model(config.model)
    changes = {}
    if config.blend:
        changes["blend"] = blend(model, description, config.blend, config.blend_share)
    if config.statistics:
        changes["statistics"] = measure_statistics(config, model, description)
    description = dataclasses.replace(description, mirrored=config.mirrored, scales=config.scales)
    if config.saturation != 1.0:
        strengthen(model, config.saturation)
    score = make_score(config, model, description)
    training = {
        **description.training,
        **changes,
        "saturation": config.saturation,
        "validation": short_name(config.data),
        "validation_scores": score(config.data, config.cache),
    }
    with tempfile.TemporaryDirectory(prefix="koala_face-") as folder:
        write_sample_portraits(folder)
        training["sample_scores"] = score(folder, str(Path(folder) / ".cache"))
    description = dataclasses.replace(description, training=training)
    if config.borrow:
        save_variant(config.output, description, Path(config.model).name, config.saturation)
    else:
        save_model(model, config.output, description)
    log.info("%s: %s", config.output, training["validation_scores"])
    return training


def check_inputs(config: PublishConfig) -> None:
    """Refuse what would fail after all scoring, before TensorFlow is loaded.

    Raises:
        PublishError: for a saturation or share out of range, flags that exclude each other, or
            an output that cannot stand there.
        PhotographError: for a folder without portraits.
    """
    if not 0 < config.saturation < float("inf"):
        raise PublishError(f"Expected a saturation above 0. Received: {config.saturation}.")
    if not 0 < config.blend_share < 1:
        raise PublishError(f"Expected a --blend-share within 0-1. Received: {config.blend_share}.")
    for name in ("blend", "statistics"):
        if getattr(config, name) and config.borrow:
            raise PublishError(
                f"Expected --borrow, which writes no weights, or --{name}, not both."
            )
    model, output = Path(config.model).resolve(), Path(config.output).resolve()
    if not output.parent.is_dir():
        raise PublishError(f"Expected a folder for the output. Received: {config.output}.")
    if config.borrow and (model.parent != output.parent or model == output):
        raise PublishError(
            f"Expected --borrow with an output beside {config.model}. Received: {config.output}."
        )
    for folder in (config.data, *config.statistics):
        find_photographs(folder)


def blend(
    model: "tf.keras.Model", description: "ModelDescription", path: str, share: float
) -> dict:
    """Mix another file's weights into `model`, and say what was done for the file's attributes.

    The mean of a fine-tuned network's weights and those that it started from may keep what each
    does best (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Raises:
        PublishError: for a file of another network, size or descriptor.
        ModelFileError: from the file.
    """
    from koala_face.foundation.files import short_name
    from koala_face.model_files.files import load_model
    from koala_face.model_files.portable import shortened

    other, its = load_model(path)
    differing = [name for name in ALIKE if getattr(description, name) != getattr(its, name)]
    if differing:
        name = differing[0]
        raise PublishError(
            f"Expected --blend with a model whose {name} is "
            f"{shortened(getattr(description, name))}. "
            f"Received: {path}, whose is {shortened(getattr(its, name))}."
        )
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    model.set_weights([(1.0 - share) * own + share * theirs for own, theirs in pairs])
    return {"file": short_name(path), "share": share, "command": its.training.get("command", "")}


def measure_statistics(
    config: PublishConfig, model: "tf.keras.Model", description: "ModelDescription"
) -> dict:
    """Measure batch norm's statistics over portraits of `config.statistics`, as
    `batch_norm.measure_in_turn` does; gives what was done for the file's attributes.

    Raises:
        PublishError: for a network that has none.
    """
    import numpy as np

    from koala_face.backbones import find_backbone
    from koala_face.data import pipeline, selection
    from koala_face.data.portraits import load_portraits
    from koala_face.foundation.files import short_name
    from koala_face.models import find_network
    from koala_face.training.batch_norm import measure_in_turn

    if not find_network(description.network).batch_norm:
        raise PublishError(
            "Expected --statistics with a network that has batch normalization. "
            f"Received: {config.model}, whose network {description.network} has none."
        )
    backbone = find_backbone(*description.descriptor)
    options = (description.size, backbone, config.cache, config.weights)
    folders = [load_portraits(folder, *options) for folder in config.statistics]
    portraits = functools.reduce(selection.join, folders)
    count = min(len(portraits), STATISTICS_PORTRAITS)
    log.info("Measuring batch norm's statistics over %d portraits, layer after layer", count)
    order = np.linspace(0, len(portraits) - 1, count).astype(int)
    measure_in_turn(model, pipeline.batches(portraits, order, STATISTICS_BATCH))
    return {"folders": [short_name(folder) for folder in config.statistics], "portraits": count}


def make_score(
    config: PublishConfig, model: "tf.keras.Model", description: "ModelDescription"
) -> Callable[[str, str], dict]:
    """A function of a folder and a cache to the model's mean MSE, MAE, M and ΔM there at 256x256,
    its MSE and MAE in gamut, and the errors' shares of gray's."""
    from koala_face.backbones import find_backbone
    from koala_face.data.portraits import load_portraits
    from koala_face.evaluation import baselines, batch_coloring, scoring

    backbone = find_backbone(*description.descriptor)
    network = batch_coloring.make_network(model, description)

    def score(folder: str, cache: str) -> dict:
        portraits = load_portraits(folder, MEASURED_SIZE, backbone, cache, config.weights)
        colored, gray = (
            scoring.score(portraits, coloring).values
            for coloring in (network, baselines.color_gray)
        )
        scores = {key: round(float(colored[key].mean()), 4) for key in SCORES}
        for key in ("mse", "mae", "gamut_mse", "gamut_mae"):
            scores[f"{key}_of_gray"] = round(float(colored[key].mean() / gray[key].mean()), 4)
        return {"portraits": len(portraits), **scores}

    return score


def main(argv=None) -> int:
    publish(parse_config(PublishConfig, argv, "publish"))
    return 0


if __name__ == "__main__":
    run(main)
