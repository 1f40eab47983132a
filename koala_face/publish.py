"""`python -m koala_face.publish`: make a model file that ships, with its scores in it.

The models in `koala_face/model_files/pretrained` were written by this command, out of training
runs.
"""

import dataclasses
import logging
import tempfile
from pathlib import Path

from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.reading import find_photographs

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.publish")

# Height and width at which the paper's metrics are taken (II.B).
MEASURED_SIZE = 256
SCORES = ("mse", "mae", "colorfulness", "colorfulness_difference")


class PublishError(KoalaFaceError):
    """A setting that makes no model."""


@dataclasses.dataclass(frozen=True)
class PublishConfig:
    """Score a trained model on a folder and on the two sample portraits, and write it again
    with the scores, beside gray's, in its attributes."""

    model: str = setting(dataclasses.MISSING, "model file of a training run")
    output: str = setting(dataclasses.MISSING, "the model file to write", short="-o")
    data: str = setting("data/helen/test", "folder of true portraits, in color")  # II.B
    saturation: float = setting(1.0, "factor on the strength of colours, made part of the network")
    mirrored: bool = setting(False, "colour portraits mirrored as well and take the mean")
    scales: tuple[float, ...] = setting(
        (1.0,), "factors on the model's size at which it is asked, for the mean of the answers"
    )
    cache: str = setting("data/cache", "folder of decoded portraits and embeddings")
    weights: str | None = setting(None, "weights file of the descriptor")


def publish(config: PublishConfig) -> dict:
    """Write `config.output`; gives the file's training attributes, its scores among them.

    Raises:
        PublishError: for a saturation that is not above 0.
        PredictionError: for scales out of range.
        KoalaFaceError: from the parts: no portraits, no such model, no weights.
    """
    if not 0 < config.saturation < float("inf"):
        raise PublishError(f"Expected a saturation above 0. Received: {config.saturation}.")
    find_photographs(config.data)
    from koala_face.colorizer.prediction import check_scales
    from koala_face.foundation.files import short_name
    from koala_face.model_files.files import load_model, save_model
    from koala_face.photographs.sample_portraits import write_sample_portraits

    check_scales(config.scales)
    model, description = load_model(config.model)
    description = dataclasses.replace(description, mirrored=config.mirrored, scales=config.scales)
    if config.saturation != 1.0:
        strengthen(model, config.saturation)
    training = {
        **description.training,
        "saturation": config.saturation,
        "validation": short_name(config.data),
        "validation_scores": score(config, config.data, model, description),
    }
    with tempfile.TemporaryDirectory(prefix="koala_face-") as folder:
        write_sample_portraits(folder)
        own_cache = dataclasses.replace(config, cache=str(Path(folder) / ".cache"))
        training["sample_scores"] = score(own_cache, folder, model, description)
    save_model(model, config.output, dataclasses.replace(description, training=training))
    log.info("%s: %s", config.output, training["validation_scores"])
    return training


def strengthen(model, factor: float) -> None:
    """Multiply the network's ab by a factor, within its weights.

    The factor goes into the last convolution, before the tanh: exact for weak colours, less
    for strong ones, and never beyond the range of a* and b*.
    """
    last = model.get_layer("decoder_conv5")
    last.set_weights([factor * weight for weight in last.get_weights()])


def score(config: PublishConfig, folder, model, description) -> dict:
    """The mean MSE, MAE, M and ΔM of a model on a folder at 256x256, and its shares of gray's."""
    from koala_face.backbones import find_backbone
    from koala_face.data.portraits import load_portraits
    from koala_face.evaluation import baselines, scoring

    backbone = find_backbone(description.backbone, description.layer)
    portraits = load_portraits(folder, MEASURED_SIZE, backbone, config.cache, config.weights)
    colored, gray = (
        scoring.score(portraits, coloring).values
        for coloring in (
            scoring.make_network(model, description),
            baselines.color_gray,
        )
    )
    scores = {key: round(float(colored[key].mean()), 4) for key in SCORES}
    for key in ("mse", "mae"):
        scores[f"{key}_of_gray"] = round(float(colored[key].mean() / gray[key].mean()), 4)
    return {"portraits": len(portraits), **scores}


def main(argv=None) -> int:
    publish(parse_config(PublishConfig, argv, "publish"))
    return 0


if __name__ == "__main__":
    run(main)
