"""One photograph from standard input, or to standard output, by files that last as long."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from koala_face.photographs.decoding import PhotographError

# What stands for standard input or output where a file is named.
STREAM = "-"
# The first bytes of the formats that are written too, and the suffix of each.
SIGNATURES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"II+\0": ".tif",
    b"MM\0+": ".tif",
    b"RIFF": ".webp",
}


@contextlib.contextmanager
def through_files(inputs: Sequence[str], output: str | None) -> Iterator[tuple[str, str]]:
    """Give files in the place of streams: the photograph's, and a folder or file for its result.

    After the block the result, if there is one, is written to standard output.

    Args:
        inputs: one file's name, or "-".
        output: a file or folder; "-" or, for standard input, None is standard output.

    Raises:
        PhotographError: for more than one photograph, for a terminal in the place of a file or
            pipe, and for a standard output that cannot be written.
    """
    (source, *more) = inputs
    if more or not (source == STREAM or os.path.isfile(source)):
        raise PhotographError(
            f"Expected one photograph with standard input or output. Received: {' '.join(inputs)}."
        )
    to_stream = output in (None, STREAM)
    if to_stream and sys.stdout.isatty():
        raise PhotographError(
            "Expected a file or a pipe as standard output. Received: a terminal. Add > photo.jpg"
        )
    with tempfile.TemporaryDirectory(prefix="koala_face-") as folder:
        if source == STREAM:
            source = _store_input(Path(folder))
        results = Path(folder, "results")
        yield source, str(results) if to_stream else output
        if to_stream and results.is_dir():
            for result in results.iterdir():
                _write_output(result)


def _store_input(folder: Path) -> str:
    path = folder / "standard input"
    with open(0, "rb", closefd=False) as stream, open(path, "wb") as file:
        shutil.copyfileobj(stream, file)
    with open(path, "rb") as file:
        head = file.read(4)
    suffix = next((own for sign, own in SIGNATURES.items() if head.startswith(sign)), "")
    return str(path.rename(path.with_suffix(suffix)))


def _write_output(result: Path) -> None:
    try:
        with open(result, "rb") as file, open(1, "wb", closefd=False) as stream:
            shutil.copyfileobj(file, stream)
    except OSError as error:
        raise PhotographError(f"Standard output cannot be written, {error.strerror}.") from error
