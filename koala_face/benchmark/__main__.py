"""`python -m koala_face.benchmark`: what the package costs, beside the ancestors' way."""

import dataclasses
import logging
import tempfile
import time
from pathlib import Path

from koala_face.foundation.commands import parse_config, run, setting
from koala_face.foundation.errors import KoalaFaceError
from koala_face.photographs.reading import find_photographs

# Not __name__, which is "__main__" for a command: `commands.run` shows this package's messages.
log = logging.getLogger("koala_face.benchmark")

ROWS = (
    *("training", "networks", "input", "color", "embedding", "memory", "files", "upsampling"),
    *("cluster", "distribution", "start", "growth", "runtimes"),
)
HEADER = ("measured", "koala_face", "compared with", "ratio", "asked")


class BenchmarkError(KoalaFaceError):
    """A row that does not exist, or nothing to measure on."""


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """Time this package beside the ancestors' way, in one run, and print a Markdown table.

    Every number is the median of several repeats in turns with its partner, the first call
    left out. Close other programs first; all rows take about half an hour on two cores.
    """

    rows: tuple[str, ...] = setting(ROWS, "what to measure")
    data: str | None = setting(None, "folder of photographs (default: two that packages carry)")
    output: str | None = setting(
        None, "file that the table is written to as well; upsampling.png beside it"
    )
    size: int = setting(256, "height and width of the portraits, a multiple of 8")  # II.B
    batch_sizes: tuple[int, ...] = setting((10, 50), "portraits in a step")  # 50: II.F
    portraits: int = setting(200, "photographs in a pass over a folder")
    repeats: int = setting(5, "timed calls of each way")


def benchmark(config: BenchmarkConfig) -> str:
    """Measure the rows; gives the table, Markdown, with machine and versions below it.

    Raises:
        BenchmarkError: an unknown row, or counts that are not positive.
        PhotographError: no photographs in the folder of `config.data`.
    """
    check(config)
    # Before TensorFlow loads: a wrong folder shows at once.
    photographs = find_photographs(config.data) if config.data else []
    from koala_face.benchmark.timing import Setup, environment

    with tempfile.TemporaryDirectory(prefix="koala_face-") as name:
        folder = Path(name)
        setup = Setup(
            tuple(Path(config.data) / photograph for photograph in photographs)
            or write_samples(folder / "samples"),
            folder,
            config.size,
            config.batch_sizes,
            config.portraits,
            config.repeats,
            Path(config.output).parent if config.output else None,
        )
        lines = [line for row in config.rows for line in measure(row, setup)]
    source = f"{len(photographs)} photographs" if photographs else "the two sample portraits"
    return (
        f"{as_table(lines)}\n\n{environment()}. On {source}, repeated to {config.portraits}; "
        f"medians of {config.repeats}.\n"
    )


def check(config: BenchmarkConfig) -> None:
    """Refuse what cannot be measured, with the choices."""
    unknown = [row for row in config.rows if row not in ROWS]
    if unknown:
        raise BenchmarkError(f"Expected rows out of {', '.join(ROWS)}. Received: {unknown[0]!r}.")
    counts = (*config.batch_sizes, config.portraits, config.repeats)
    wrong = [count for count in counts if count < 1]
    if wrong:
        raise BenchmarkError(
            f"Expected --batch-sizes, --portraits and --repeats of 1 or more. Received: {wrong[0]}."
        )


def measure(row: str, setup) -> list:
    """The lines of one row; one line that says why, where something is missing for it."""
    from koala_face.benchmark import (
        cluster_row,
        distribution_row,
        embedding_row,
        files_row,
        growth_row,
        input_row,
        memory_row,
        runtimes_row,
        start_row,
        training_row,
        upsampling_row,
    )
    from koala_face.benchmark.timing import Measurement

    functions = {
        "training": training_row.measure_training,
        "networks": training_row.measure_networks,
        "input": input_row.measure_input,
        "color": input_row.measure_color,
        "embedding": embedding_row.measure_embedding,
        "memory": memory_row.measure_memory,
        "files": files_row.measure_files,
        "upsampling": upsampling_row.measure_upsampling,
        "cluster": cluster_row.measure_cluster,
        "distribution": distribution_row.measure_distribution,
        "start": start_row.measure_start,
        "growth": growth_row.measure_growth,
        "runtimes": runtimes_row.measure_runtimes,
    }
    start = time.perf_counter()
    try:
        lines = functions[row](setup)
    except KoalaFaceError as error:
        lines = [Measurement(row, f"not measured: {error}")]
    for line in lines:
        log.info("%s: %s (%s, %s)", *line[:4])
    log.info("%s took %.0f s.", row, time.perf_counter() - start)
    return lines


def as_table(lines) -> str:
    """Markdown: a line per measurement."""
    rows = [HEADER, ("---",) * len(HEADER), *lines]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows
    )


def write_samples(folder: Path) -> tuple[Path, ...]:
    """The two portraits that packages carry, as JPEG, like Helen's."""
    from PIL import Image

    from koala_face.photographs.sample_portraits import write_sample_portraits

    files = []
    for portrait in write_sample_portraits(folder):
        files.append(portrait.with_suffix(".jpg"))
        Image.open(portrait).save(files[-1], quality=95)
    return tuple(files)


def main(argv=None) -> int:
    config = parse_config(BenchmarkConfig, argv, "benchmark")
    if config.output:
        # Half an hour of measuring must not end in a folder that is not there.
        Path(config.output).parent.mkdir(parents=True, exist_ok=True)
    table = benchmark(config)
    print(table)
    if config.output:
        Path(config.output).write_text(table, encoding="utf-8")
    return 0


if __name__ == "__main__":
    run(main)
