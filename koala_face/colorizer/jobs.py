"""Which photograph goes where: files, folders with their tree, and patterns to outputs."""

import glob
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from koala_face.photographs.decoding import PhotographError
from koala_face.photographs.encoding import OUTPUT_FORMATS, format_of_suffix
from koala_face.photographs.reading import find_photographs

# For inputs in a format that is not written, such as GIF: loses nothing.
FALLBACK_FORMAT = "png"


class Job(NamedTuple):
    """One photograph to colour: where it lies, where it goes, and the output's format."""

    source: Path
    target: Path
    format: str


def plan_jobs(inputs: Iterable[str], output, format: str | None = None) -> list[Job]:
    """Find the photographs and name their outputs; nothing is read or written.

    A folder's photographs keep their places below `output`. Others go into `output` itself;
    a single photograph may also be given a file as `output`. A name keeps its suffix where
    the format stays the same.

    Args:
        inputs: files, folders, and patterns such as "scans/**/*.tif".
        output: folder, or file for a single photograph.
        format: a key of `encoding.OUTPUT_FORMATS`; without it the output's or the input's
            suffix decides, and PNG stands for formats that are not written.

    Raises:
        PhotographError: nothing found, two photographs with the same output, or an output
            that is itself one of the inputs.
    """
    output = Path(output)
    found = [pair for text in inputs for pair in _find(text, output)]
    found = list(dict.fromkeys(found))
    if _names_a_file(output):
        if len(found) > 1:
            raise PhotographError(
                f"Expected a folder as output of {len(found)} photographs. Received: {output}."
            )
        form = format or format_of_suffix(output.suffix)
        jobs = [Job(source, output, form) for source, _ in found]
    else:
        jobs = [_job(source, output / place, format) for source, place in found]
    _refuse_collisions(jobs)
    return jobs


def check_writable(folder: Path) -> None:
    """Make the folder and write into it, to learn before the work whether that is possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PhotographError(
            f"Expected a folder that can be written. {folder}: {error.strerror}."
        ) from error


def _find(text: str, output: Path) -> list[tuple[Path, Path]]:
    """Pairs of a photograph and its place below the output folder."""
    path = Path(text)
    if path.is_dir():
        found = [(path / place, place) for place in find_photographs(path)]
        here = output.resolve()
        if here == path.resolve():
            return found  # an error, but of another kind: see _refuse_collisions
        # The results of an earlier run may lie inside the folder that is coloured.
        return [pair for pair in found if here not in pair[0].resolve().parents]
    if path.exists() or not glob.has_magic(text):
        return [(path, Path(path.name))]
    matches = sorted(glob.glob(text, recursive=True))
    if not matches:
        raise PhotographError(f"Expected photographs that match {text}. Found none.")
    return [(Path(match), Path(match).name) for match in matches if Path(match).is_file()]


def _names_a_file(output: Path) -> bool:
    return format_of_suffix(output.suffix) is not None and not output.is_dir()


def _job(source: Path, target: Path, format: str | None) -> Job:
    own = format_of_suffix(target.suffix)
    form = format or own or FALLBACK_FORMAT
    if form != own:
        target = target.with_name(target.stem + OUTPUT_FORMATS[form].suffix)
    return Job(source, target, form)


def _refuse_collisions(jobs: list[Job]) -> None:
    by_target = {}
    for job in jobs:
        other = by_target.setdefault(os.path.normcase(job.target.absolute()), job)
        if other is not job:
            raise PhotographError(
                f"{other.source} and {job.source} would both be written to {job.target}. "
                "Colour them into different folders."
            )
    sources = {job.source.resolve(): job for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise PhotographError(
                f"The output of {job.source} would replace the photograph {job.target}. "
                "Choose another folder with -o."
            )
