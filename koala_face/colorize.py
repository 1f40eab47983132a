"""`python -m koala_face.colorize`: colour photographs of any kind and size, nothing lost."""

import dataclasses
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from koala_face.colorizer.checks import (
    check_model,
    check_writable,
    find_finished,
    why_impossible,
    why_unreadable,
)
from koala_face.colorizer.jobs import MARK, Job, name_variant, names_a_file, place_of, plan_jobs
from koala_face.colorizer.standard_streams import STREAM, through_files
from koala_face.colorizer.upsampling import EDGE_AWARE, UPSAMPLINGS, check_style
from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.desktop import show_results
from koala_face.foundation.errors import visible
from koala_face.model_files.shipped import VARIANTS, ColorizerError, shipped_model
from koala_face.photographs.encoding import OUTPUT_FORMATS

if TYPE_CHECKING:
    from koala_face.colorizer.files import Outcome

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.colorize")


@dataclasses.dataclass(frozen=True)
class ColorizeConfig:
    """Colour photographs with a trained model, at their own size and depth.

    photo.jpg becomes photo-colored.jpg beside it, or goes where -o says. Finished photographs
    are skipped when the command is given again. The exit status is 1 if any photograph failed;
    the others are done.
    """

    input: tuple[str, ...] = setting(
        dataclasses.MISSING,
        "photographs, folders, or patterns in quotes; - is standard input; "
        "addresses such as s3://bucket/scans",
        positional=True,
    )
    output: str | None = setting(
        None,
        "folder for the results, or a file for one photograph; - is standard output "
        "(default: beside each photograph, as NAME-colored)",
        short="-o",
    )
    model: str | None = setting(None, "model file (default: the one that ships)")
    variant: str = setting(VARIANTS[0], "which of the models that ship", choices=VARIANTS)
    variants: bool = setting(False, f"colour with each of them: {', '.join(VARIANTS)}")
    palettes: int = setting(
        0, "so many colourings of each, by a --model that was trained with --backbone oracle:FILE"
    )
    weights: str | None = setting(None, "weights file of the model's descriptor")
    overwrite: bool = setting(False, "colour again what is already there")
    side_by_side: bool = setting(False, "write the gray photograph beside the coloured one")
    saturation: float = setting(1.0, "factor on the strength of colours")
    format: str | None = setting(
        None, "of the results (default: as each photograph's name)", choices=tuple(OUTPUT_FORMATS)
    )
    quality: int = setting(95, "of JPEG and WebP, 1 to 100")
    upsampling: str = setting(
        EDGE_AWARE, "how colours reach the photograph's own size", choices=UPSAMPLINGS
    )
    stretch: bool = setting(
        True, "show the network a faded photograph's narrow range stretched; it keeps its own"
    )
    open: bool = setting(False, "show the result, or the folder of several")
    workers: int | None = setting(None, "processes of this machine that share the work")
    cluster: str | None = setting(
        None, "address, or scheduler file, of a Dask cluster that does the work"
    )


class Batch(NamedTuple):
    """Photographs that one model shall colour; a `palette` of 0 is its own colours."""

    model: Path
    palette: int
    jobs: list[Job]


class Work(NamedTuple):
    """What is to be done, by model; `finished` counts photographs that are there already.

    targets: of all photographs, finished ones as well.
    failures: a line for each photograph or folder that cannot be read, as is known beforehand.
    """

    batches: list[Batch]
    targets: list[Path]
    finished: int
    passed_over: int
    failures: list[str]


def colorize(config: ColorizeConfig) -> list[str]:
    """Colour what `config` names; gives one line for each photograph that failed.

    Raises:
        KoalaFaceError: for what no photograph can be coloured with, such as a missing model.
    """
    check_settings(config)
    if STREAM not in (*config.input, config.output):
        return colorize_files_of(config)
    with through_files(config.input, config.output) as (source, target):
        return colorize_files_of(dataclasses.replace(config, input=(source,), output=target))


def check_settings(config: ColorizeConfig) -> None:
    """Refuse values out of range, and flags that exclude each other.

    Raises:
        ColorizerError: names what was expected.
    """
    if not 1 <= config.quality <= 100:
        raise ColorizerError(f"Expected a quality of 1 to 100. Received: {config.quality}.")
    check_style(config.upsampling, config.saturation)
    if config.variants and config.model:
        raise ColorizerError(
            f"Expected --variants, for the models that ship, or --model {config.model}, not both."
        )
    if config.palettes < 0 or (config.palettes and not config.model):
        raise ColorizerError(
            "Expected --palettes of 1 or more, with a --model that was trained with --backbone "
            f"oracle:FILE. Received: --palettes {config.palettes}, --model {config.model}."
        )
    if config.workers is not None and config.workers < 1:
        raise ColorizerError(f"Expected --workers of 1 or more. Received: {config.workers}.")
    if config.workers is not None and config.cluster is not None:
        raise ColorizerError("Expected --workers, of this machine, or --cluster, not both.")
    if config.cluster is not None and STREAM in (*config.input, config.output):
        raise ColorizerError("Expected files or addresses: a cluster reads no standard input.")
    to_stream = config.output == STREAM or (config.output is None and STREAM in config.input)
    if to_stream and (config.variants or config.palettes or config.open):
        raise ColorizerError(
            "Expected one result for standard output. --variants and --palettes make several, and "
            "--open has no file to show: give a folder with -o."
        )


def colorize_files_of(config: ColorizeConfig) -> list[str]:
    """Colour and report; `config` names files and folders alone."""
    start = time.perf_counter()
    # What is wrong shows at once, before TensorFlow loads.
    work = plan_work(config)
    failed = [line for batch in work.batches for line in colorize_batch(batch, config)]
    colored = sum(len(batch.jobs) for batch in work.batches) - len(failed)
    failures = [*work.failures, *failed]
    log.info(
        "%d coloured, %d already there, %d failed, %d passed over, in %.1f s",
        *(colored, work.finished, len(failures), work.passed_over),
        time.perf_counter() - start,
    )
    for line in failures:
        log.error("failed: %s", visible(line))
    if config.open:
        show_results(work.targets)
    return failures


def plan_work(config: ColorizeConfig) -> Work:
    """Find what shall be coloured, and check all that can be checked without TensorFlow.

    Raises:
        KoalaFaceError: for nothing to colour, a model, its weights or a folder for the results.
    """
    plan = plan_jobs(config.input, config.output, config.format)
    if plan.results and not plan.jobs:
        log.info("What is named NAME%s is taken for a result: name it with -o to colour it.", MARK)
    output = None if config.output is None else place_of(config.output)
    batches, targets, finished, failures = [], [], 0, plan.unreadable
    for batch in choose_models(config, plan.jobs):
        targets += [job.target for job in batch.jobs]
        there = set() if config.overwrite else find_finished(batch.jobs, output)
        waiting = [job for job in batch.jobs if job.target not in there]
        finished += len(batch.jobs) - len(waiting)
        reasons = {job: reason for job in waiting if (reason := why_impossible(job))}
        failures += [reason for reason in reasons.values() if reason not in failures]
        batches.append(batch._replace(jobs=[job for job in waiting if job not in reasons]))
    batches = [batch for batch in batches if batch.jobs]
    if batches and output is not None:
        check_writable(output.parent if names_a_file(output) else output)
    for batch in batches:
        check_model(batch.model, config.weights, palettes=config.palettes)
    alone = {job.source: job for batch in batches for job in batch.jobs}
    if len(alone) == 1 and (reason := why_unreadable(*alone.values())):
        batches, failures = [], [*failures, reason]
    others = plan.passed_over + len(plan.results - set(targets))
    return Work(batches, targets, finished, others, failures)


def choose_models(config: ColorizeConfig, jobs: list[Job]) -> list[Batch]:
    """The model files, each with what it shall colour."""
    if config.variants:
        return [
            Batch(shipped_model(v), 0, [name_variant(job, v) for job in jobs]) for v in VARIANTS
        ]
    model = Path(config.model or shipped_model(config.variant))
    if not config.palettes:
        return [Batch(model, 0, jobs)]
    palettes = range(1, config.palettes + 1)
    return [Batch(model, k, [name_variant(job, f"{k}") for job in jobs]) for k in palettes]


def colorize_batch(batch: Batch, config: ColorizeConfig) -> list[str]:
    """Load the model and colour; progress goes to the terminal."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    failures = []
    with logging_redirect_tqdm([logging.getLogger("koala_face")]):
        outcomes = start_coloring(batch, config)
        for outcome in tqdm(outcomes, total=len(batch.jobs), desc="Colouring", unit="photo"):
            for note in outcome.notes:
                log.info("%s", visible(f"{outcome.job.source}: {note}"))
            if outcome.error is not None:
                failures.append(outcome.error)
    return failures


def start_coloring(batch: Batch, config: ColorizeConfig) -> Iterator["Outcome"]:
    """Colour in this process, or by Dask's workers: where asked for, and from and to addresses."""
    model, palette, jobs = batch
    style = {name: getattr(config, name) for name in ("upsampling", "saturation", "stretch")}
    style["palette"] = palette
    files = {name: getattr(config, name) for name in ("quality", "side_by_side")}
    here = all(isinstance(place, Path) for job in jobs for place in (job.source, job.target))
    if here and config.cluster is None and config.workers is None:
        from koala_face.colorizer.colorizer import Colorizer
        from koala_face.colorizer.files import colorize_files
        from koala_face.colorizer.threads import use_single_threads

        use_single_threads()
        return colorize_files(jobs, Colorizer.load(model, config.weights, **style), **files)
    try:
        from koala_face.colorizer.cluster.client import color_archive
        from koala_face.colorizer.cluster.worker import plan_way
    except ImportError as error:
        raise ColorizerError(
            f"Expected the package {error.name}. Install it: pip install '.[cluster]'"
        ) from error
    way = plan_way(model, config.weights, **style, **files)
    return color_archive(jobs, way, config.cluster, config.workers or 0)


def main(argv=None) -> int:
    config = parse_config(ColorizeConfig, argv, "colorize")
    return 1 if colorize(config) else 0


if __name__ == "__main__":
    run(main)
