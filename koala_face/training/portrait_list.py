"""Which portraits a run learns from: `portraits.csv`, a row of role, SHA-256 and path for each.

The order of the steps' portraits depends on their rows in this list: with others, a resumed run
would be another run.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import replacing

if TYPE_CHECKING:  # loading TensorFlow takes seconds, and `train` imports this first
    from koala_face.data.portraits import Portraits

# Portraits named in an error of each kind of difference.
NAMED = 10


class PortraitListError(KoalaFaceError):
    """The portraits are others than those that the run began with, or that cannot be told."""


class Listed(NamedTuple):
    """A row of `portraits.csv`."""

    role: str
    sha256: str
    path: str


def list_portraits(train: "Portraits", validation: "Portraits") -> list[Listed]:
    """The portraits of a run, in the order of their rows, with the hash of each photograph."""
    both = (("train", train), ("validation", validation))
    files = {file for _, portraits in both for file, _ in portraits.rgb.pairs}
    hashes = {(file, row): key.sha256.hex() for file in files for key, row in file.filled.items()}
    return [
        Listed(role, hashes[pair], path)
        for role, portraits in both
        for path, pair in zip(portraits.paths, portraits.rgb.pairs, strict=True)
    ]


def write_list(file: Path, portraits: Sequence[Listed]) -> None:
    """Replace `portraits.csv`; names of any bytes are kept."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([Listed._fields, *portraits])
    with replacing(file) as temporary:
        temporary.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))


def check_list(file: Path, portraits: Sequence[Listed]) -> None:
    """Compare portraits with those of the run's `portraits.csv`; runs of before have none.

    Raises:
        PortraitListError: names the portraits that were added, removed or changed.
    """
    before = _read_list(file) if file.exists() else portraits
    differences = _differences(before, portraits)
    if differences:
        raise PortraitListError(
            f"Expected the portraits with which {file.parent} was started. {' '.join(differences)} "
            "Put them back, or add --changed-portraits to go on with those that are there now."
        )


def _read_list(file: Path) -> list[Listed]:
    try:
        text = file.read_bytes().decode("utf-8", "surrogateescape")
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(header) != Listed._fields:
            raise ValueError(f"the columns {header}")
        return [Listed(*row) for row in rows]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise PortraitListError(
            f"Expected the run's portraits in {file}. Found: {error}. Everything else of the run "
            "can be used: add --changed-portraits to go on with the portraits that are there now."
        ) from error


def _differences(before: Sequence[Listed], now: Sequence[Listed]) -> list[str]:
    """A sentence for each kind of difference."""
    if list(before) == list(now):
        return []
    old, new = ({(one.role, one.path): one.sha256 for one in rows} for rows in (before, now))
    kinds = {
        "Added": [key for key in new if key not in old],
        "Removed": [key for key in old if key not in new],
        "Changed": [key for key in new if old.get(key, new[key]) != new[key]],
    }
    sentences = [
        f"{kind}: {', '.join(f'{path} ({role})' for role, path in keys[:NAMED])}"
        + (f" and {len(keys) - NAMED} more." if len(keys) > NAMED else ".")
        for kind, keys in kinds.items()
        if keys
    ]
    return sentences or ["They come in another order."]
