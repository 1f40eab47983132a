"""`python -m koala_face.colorize`: colour photographs of any kind and size, nothing lost."""

import dataclasses
import logging
import time
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from koala_face.commands import parse_config, run, setting
from koala_face.encoding import OUTPUT_FORMATS
from koala_face.output_paths import Job, check_writable, plan_jobs
from koala_face.shipped_models import VARIANTS, ColorizerError, shipped_model
from koala_face.upsampling import EDGE_AWARE, UPSAMPLINGS

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.colorize")


@dataclasses.dataclass(frozen=True)
class ColorizeConfig:
    """Colour photographs with a trained model, at their own size and depth.

    Finished photographs are skipped when the command is given again. The exit status is 1
    if any photograph failed; the others are done.
    """

    input: tuple[str, ...] = setting(
        dataclasses.MISSING, "photographs, folders, or patterns in quotes", positional=True
    )
    output: str = setting(
        dataclasses.MISSING, "folder for the results, or a file for one photograph", short="-o"
    )
    model: str | None = setting(None, "model file (default: the one that ships)")
    variant: str = setting(VARIANTS[0], "which of the models that ship", choices=VARIANTS)
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


def colorize(config: ColorizeConfig) -> list[str]:
    """Colour what `config` names; gives one line for each photograph that failed."""
    if not 1 <= config.quality <= 100:
        raise ColorizerError(f"Expected a quality of 1 to 100. Received: {config.quality}.")
    if not 0 <= config.saturation < float("inf"):
        raise ColorizerError(f"Expected a saturation of 0 or more. Received: {config.saturation}.")
    # All of it before TensorFlow loads: what is wrong shows at once.
    jobs = plan_jobs(config.input, config.output, config.format)
    model = config.model or shipped_model(config.variant)
    waiting = [job for job in jobs if config.overwrite or not job.target.exists()]
    start = time.perf_counter()
    failures = colorize_jobs(waiting, model, config) if waiting else []
    log.info(
        "%d coloured, %d already there, %d failed, in %.1f s",
        *(len(waiting) - len(failures), len(jobs) - len(waiting), len(failures)),
        time.perf_counter() - start,
    )
    for line in failures:
        log.error("failed: %s", line)
    return failures


def colorize_jobs(jobs: list[Job], model: str | Path, config: ColorizeConfig) -> list[str]:
    """Load the model and colour; progress goes to the terminal."""
    check_writable(jobs[0].target.parent)
    from koala_face.colorizer import Colorizer
    from koala_face.file_pipeline import colorize_files

    colorizer = Colorizer.load(
        model,
        weights=config.weights,
        upsampling=config.upsampling,
        stretch=config.stretch,
        saturation=config.saturation,
    )
    outcomes = colorize_files(jobs, colorizer, config.quality, config.side_by_side)
    failures = []
    with logging_redirect_tqdm([logging.getLogger("koala_face")]):
        for outcome in tqdm(outcomes, total=len(jobs), desc="Colouring", unit="photo"):
            for note in outcome.notes:
                log.info("%s", on_one_line(f"{outcome.job.source}: {note}"))
            if outcome.error is not None:
                failures.append(on_one_line(outcome.error))
    return failures


def on_one_line(text: str) -> str:
    """Escape what would break a line or a terminal: newlines and the like in file names."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def main(argv=None) -> int:
    config = parse_config(ColorizeConfig, argv, prog="python -m koala_face.colorize")
    return 1 if colorize(config) else 0


if __name__ == "__main__":
    run(main)
