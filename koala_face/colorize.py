"""`python -m koala_face.colorize`: colour photographs of any kind and size, nothing lost."""

import dataclasses
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from koala_face.colorizer.checks import (
    check_model,
    check_writable,
    find_finished,
    why_impossible,
)
from koala_face.colorizer.jobs import MARK, Job, name_variant, names_a_file, place_of, plan_jobs
from koala_face.colorizer.standard_streams import STREAM, through_files
from koala_face.colorizer.upsampling import EDGE_AWARE, UPSAMPLINGS, check_style
from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.errors import visible
from koala_face.model_files.shipped import VARIANTS, ColorizerError, shipped_model
from koala_face.photographs.encoding import OUTPUT_FORMATS

if TYPE_CHECKING:
    from koala_face.colorizer.files import Outcome

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.colorize")

# Seconds in which a desktop's opener has handed the file on, or said that it cannot.
PATIENCE = 5


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


class Work(NamedTuple):
    """What is to be done: photographs by model; `finished` counts those that are there already.

    targets: of all photographs, finished ones as well.
    failures: a line for each photograph or folder that cannot be read, as is known beforehand.
    """

    batches: list[tuple[Path, list[Job]]]
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
    if config.workers is not None and config.workers < 1:
        raise ColorizerError(f"Expected --workers of 1 or more. Received: {config.workers}.")
    if config.workers is not None and config.cluster is not None:
        raise ColorizerError("Expected --workers, of this machine, or --cluster, not both.")
    if config.cluster is not None and STREAM in (*config.input, config.output):
        raise ColorizerError("Expected files or addresses: a cluster reads no standard input.")
    to_stream = config.output == STREAM or (config.output is None and STREAM in config.input)
    if to_stream and (config.variants or config.open):
        raise ColorizerError(
            "Expected one result for standard output. --variants makes several, and --open has no "
            "file to show: give a folder with -o."
        )


def colorize_files_of(config: ColorizeConfig) -> list[str]:
    """Colour and report; `config` names files and folders alone."""
    start = time.perf_counter()
    # What is wrong shows at once, before TensorFlow loads.
    work = plan_work(config)
    failed = [line for model, jobs in work.batches for line in colorize_jobs(jobs, model, config)]
    colored = sum(len(jobs) for _, jobs in work.batches) - len(failed)
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
    for model, jobs in choose_models(config, plan.jobs):
        targets += [job.target for job in jobs]
        there = set() if config.overwrite else find_finished(jobs, output)
        waiting = [job for job in jobs if job.target not in there]
        finished += len(jobs) - len(waiting)
        reasons = {job: reason for job in waiting if (reason := why_impossible(job))}
        failures += [reason for reason in reasons.values() if reason not in failures]
        batches.append((model, [job for job in waiting if job not in reasons]))
    batches = [(model, jobs) for model, jobs in batches if jobs]
    if batches and output is not None:
        check_writable(output.parent if names_a_file(output) else output)
    for model, _ in batches:
        check_model(model, config.weights)
    others = plan.passed_over + len(plan.results - set(targets))
    return Work(batches, targets, finished, others, failures)


def choose_models(config: ColorizeConfig, jobs: list[Job]) -> list[tuple[Path, list[Job]]]:
    """The model files, each with what it shall colour."""
    if config.variants:
        return [(shipped_model(v), [name_variant(job, v) for job in jobs]) for v in VARIANTS]
    return [(Path(config.model or shipped_model(config.variant)), jobs)]


def colorize_jobs(jobs: list[Job], model: Path, config: ColorizeConfig) -> list[str]:
    """Load the model and colour; progress goes to the terminal."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    failures = []
    with logging_redirect_tqdm([logging.getLogger("koala_face")]):
        outcomes = start_coloring(jobs, model, config)
        for outcome in tqdm(outcomes, total=len(jobs), desc="Colouring", unit="photo"):
            for note in outcome.notes:
                log.info("%s", visible(f"{outcome.job.source}: {note}"))
            if outcome.error is not None:
                failures.append(outcome.error)
    return failures


def start_coloring(jobs: list[Job], model: Path, config: ColorizeConfig) -> Iterator["Outcome"]:
    """Colour in this process, or by Dask's workers: where asked for, and from and to addresses."""
    style = {name: getattr(config, name) for name in ("upsampling", "saturation", "stretch")}
    files = {name: getattr(config, name) for name in ("quality", "side_by_side")}
    here = all(isinstance(place, Path) for job in jobs for place in (job.source, job.target))
    if here and config.cluster is None and config.workers is None:
        from koala_face.colorizer.colorizer import Colorizer
        from koala_face.colorizer.files import colorize_files, use_single_threads

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


def show_results(targets: list[Path]) -> None:
    """Open the result, or the folder of several, by the desktop's own program.

    A line says if that cannot be.
    """
    results = [t for t in targets if isinstance(t, Path) and os.path.isfile(t)]
    if not results:
        return
    path = results[0] if len(results) == 1 else results[0].parent
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        if os.name == "nt":
            os.startfile(path)
            return
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process = subprocess.Popen([opener, os.path.abspath(path)], **nowhere)
        if process.wait(PATIENCE):
            raise OSError(f"{opener} ended with status {process.returncode}")
    except subprocess.TimeoutExpired:
        pass  # it is the viewer itself, and open
    except OSError as error:
        log.warning("%s", visible(f"{path} cannot be shown: {error}."))


def main(argv=None) -> int:
    config = parse_config(ColorizeConfig, argv, "colorize")
    return 1 if colorize(config) else 0


if __name__ == "__main__":
    run(main)
