"""`python -m koala_face.compare`: the descriptors side by side (Tables V and VI, Figure 5)."""

import dataclasses
import logging

from koala_face.backbones import BACKBONE_NAMES
from koala_face.compare.runs import (
    CompareError,
    announce,
    find_models,
    find_pairs,
    find_usable,
    is_finished,
    run_folder,
    train,
    training_settings,
)
from koala_face.figures import report
from koala_face.foundation.commands import parse_config, run, setting
from koala_face.photographs.reading import find_photographs
from koala_face.training.settings import NETWORKS, PAPER

log = logging.getLogger("koala_face.compare")


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
    seeds: tuple[int, ...] = setting(
        (), "train each once with each of these seeds; the intervals hold that chance too"
    )
    weights: str | None = setting(None, "folder of the descriptors' weights files")
    device: str | None = setting(None, "for training")


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
    from koala_face.compare.report import check_models, load_trials, write_comparison

    trained = find_pairs(config)
    given = {name: file for name, (file, *_) in models.items() if name not in trained}
    check_models(given, config.measure_size, config.weights)
    announce(config, waiting)
    for name in usable:
        train(config, name)
    trials = load_trials(
        models, config.validation, config.measure_size, config.cache, config.weights
    )
    results, parts = write_comparison(
        folder,
        trials,
        data=config.validation,
        train_data=config.data,
        cache=config.cache,
        left_out=left_out,
        resamples=config.resamples,
        seeds=config.seeds,
    )
    log.info("Report: %s", report.write_report(folder, parts)[1])
    return results


def main(argv=None) -> int:
    compare(parse_config(CompareConfig, argv, "compare"))
    return 0


if __name__ == "__main__":
    run(main)
