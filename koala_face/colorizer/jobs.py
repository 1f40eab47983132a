"""Which photograph goes where: files, folders with their tree, and patterns to outputs."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from koala_face.colorizer.cluster.addresses import (
    is_address,
    open_address,
    search_address,
)
from koala_face.model_files.shipped import VARIANTS
from koala_face.photographs.decoding import PhotographError
from koala_face.photographs.encoding import OUTPUT_FORMATS, format_of_suffix
from koala_face.photographs.reading import search_folder

# For inputs in a format that is not written, such as GIF: loses nothing.
FALLBACK_FORMAT = "png"
# What the name of a result beside its photograph ends in, and how such results are known again.
MARK = "-colored"
OWN_RESULT = re.compile(rf"{MARK}(-({'|'.join(VARIANTS)}))?$")


class Job(NamedTuple):
    """One photograph to colour: where it lies, where it goes, and the output's format.

    Both are paths of this machine, or fsspec's (`UPath`) where it lies at an address.
    """

    source: Path
    target: Path
    format: str


class Plan(NamedTuple):
    """What the inputs come to.

    jobs: photographs and where they go.
    results: of earlier runs among the inputs, which are not coloured again.
    passed_over: how many other files the folders hold.
    unreadable: a line for each folder that cannot be listed.
    """

    jobs: list[Job]
    results: set[Path]
    passed_over: int
    unreadable: list[str]


class Found(NamedTuple):
    """Photographs, each with its place below the output folder; the rest as in `Plan`."""

    photographs: list[tuple[Path, Path]]
    passed_over: int = 0
    unreadable: Sequence[str] = ()


def plan_jobs(
    inputs: Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    format: str | None = None,
) -> Plan:
    """Find the photographs and name their outputs; nothing is read or written.

    A folder's photographs keep their places below `output`. Others go into `output` itself;
    a single photograph may also be given a file as `output`. A name keeps its suffix where
    the format stays the same. Without `output` each goes beside its photograph, as
    NAME-colored, and what bears such a name already is not coloured again.

    Args:
        inputs: files, folders, and patterns such as "scans/**/*.tif"; addresses too.
        output: folder, or file for a single photograph.
        format: a key of `encoding.OUTPUT_FORMATS`; without it the output's or the input's
            suffix decides, and PNG stands for formats that are not written.

    Raises:
        PhotographError: nothing found, two photographs with the same output, an output that
            is itself one of the inputs, or a file as output whose suffix is not the format's.
    """
    output = None if output is None else place_of(output)
    found = [_find(os.fspath(text), output) for text in inputs]
    pairs = list(dict.fromkeys(pair for part in found for pair in part.photographs))
    # Named outright and with a place to go, such a name may be a photograph's own.
    named = set() if output is None else set(map(place_of, inputs))
    results = {path for path, _ in pairs if OWN_RESULT.search(path.stem)} - named
    pairs = [(path, place) for path, place in pairs if path not in results]
    if output is None:
        jobs = [
            name_result(source, source.with_stem(source.stem + MARK), format) for source, _ in pairs
        ]
    elif names_a_file(output):
        if len(pairs) > 1:
            raise PhotographError(
                f"Expected a folder as output of {len(pairs)} photographs. Received: {output}."
            )
        form = format_of_name(output, format)
        jobs = [Job(source, output, form) for source, _ in pairs]
    else:
        jobs = [name_result(source, output / place, format) for source, place in pairs]
    _refuse_collisions(jobs)
    passed_over = sum(part.passed_over for part in found)
    return Plan(jobs, results, passed_over, [line for part in found for line in part.unreadable])


def format_of_name(path: str | os.PathLike, format: str | None = None) -> str:
    """The format in which to write `path`.

    Raises:
        PhotographError: the suffix is not that of `format`, or of no format that is written.
    """
    path = path if hasattr(path, "suffix") else Path(path)
    own = format_of_suffix(path.suffix)
    if own is None or format not in (None, own):
        fitting = [OUTPUT_FORMATS[format]] if format else OUTPUT_FORMATS.values()
        suffixes = ", ".join(form.suffix for form in fitting)
        raise PhotographError(f"Expected a name that ends in {suffixes}. Received: {path}.")
    return own


def place_of(text: str | os.PathLike) -> Path:
    """A path of this machine; an address, such as s3://bucket/scans, as fsspec's path to it."""
    return open_address(text) if is_address(text) else Path(text)


def names_a_file(output: Path) -> bool:
    """Whether an output is a file for one photograph, not a folder."""
    is_folder = isinstance(output, Path) and os.path.isdir(output)
    return format_of_suffix(output.suffix) is not None and not is_folder


def name_result(source: Path, target: Path, format: str | None = None) -> Job:
    """The job of one photograph: `target` with the suffix of `format`, where its own is another.

    Without `format` the target's suffix decides, and PNG stands for formats that are not written.
    """
    own = format_of_suffix(target.suffix)
    form = format or own or FALLBACK_FORMAT
    if form != own:
        target = target.with_suffix(OUTPUT_FORMATS[form].suffix)
    return Job(source, target, form)


def name_variant(job: Job, variant: str) -> Job:
    """The job with the name of the model that shall colour it in the result's."""
    return job._replace(target=job.target.with_stem(f"{job.target.stem}-{variant}"))


def _find(text: str, output: Path | None) -> Found:
    """What one input comes to."""
    if not text:
        raise PhotographError("Expected a photograph, a folder or a pattern. Received: no name.")
    path = place_of(text)
    if not isinstance(path, Path):
        return Found(*search_address(path))
    text = os.fspath(path)  # of file:// the path
    if os.path.isdir(path):
        return _find_in_folder(path, output)
    if os.path.lexists(path) or not glob.has_magic(text):
        return Found([(path, Path(path.name))])
    matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
    if not matches:
        raise PhotographError(f"Expected photographs that match {text}. Found none.")
    return Found([(match, Path(match.name)) for match in matches if os.path.isfile(match)])


def _find_in_folder(folder: Path, output: Path | None) -> Found:
    found = search_folder(folder)
    places = found.photographs
    # The results of an earlier run may lie inside the folder that is coloured.
    here = None if output is None else Path(os.path.realpath(output))
    if here is not None and here != Path(os.path.realpath(folder)):
        places = [place for place in places if not _is_below(folder / place, here)]
    lines = [
        f"{folder / place}: cannot be listed, {why}." for place, why in found.unreadable.items()
    ]
    return Found([(folder / place, place) for place in places], found.passed_over, lines)


def _is_below(path: Path, folder: Path) -> bool:
    return folder in Path(os.path.realpath(path)).parents


def _refuse_collisions(jobs: list[Job]) -> None:
    by_target = {}
    for job in jobs:
        other = by_target.setdefault(os.path.normcase(str(job.target.absolute())), job)
        if other is not job:
            raise PhotographError(
                f"{other.source} and {job.source} would both be written to {job.target}. "
                "Colour them into different folders."
            )
    sources = {os.path.realpath(str(job.source)) for job in jobs}
    for job in jobs:
        if os.path.realpath(str(job.target)) in sources:
            raise PhotographError(
                f"The output of {job.source} would replace the photograph {job.target}. "
                "Choose another folder with -o."
            )
