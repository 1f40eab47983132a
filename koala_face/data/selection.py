"""Which portraits train and which are held out (Section II.B; all of it our choice).

The paper trains on all of its 2000 portraits, gray ones too. To compare ways of training
without looking at the test list, a part of the training portraits is held out; photographs
of one shoot stay together.
"""

import dataclasses
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from koala_face.data.color_statistics import color_spread
from koala_face.data.portraits import Portraits
from koala_face.data.row_file import Rows
from koala_face.foundation.errors import KoalaFaceError

log = logging.getLogger(__name__)

# Spread of a*, b* over a portrait, in CIELAB's units, below which it is gray or sepia: a scan
# in one tint varies by 1 to 3, the palest colour photographs of Helen by 4 and more.
GRAY_SPREAD = 3.5


class SelectionError(KoalaFaceError):
    """A choice of portraits that leaves none."""


def take(portraits: Portraits, rows: Sequence[int]) -> Portraits:
    """The portraits of the given rows, in that order."""
    return dataclasses.replace(
        portraits,
        paths=[portraits.paths[row] for row in rows],
        rgb=portraits.rgb.take(rows, axis=0),
        embeddings=portraits.embeddings.take(rows, axis=0),
        joined=(),
    )


def join(first: Portraits, second: Portraits) -> Portraits:
    """The portraits of two folders, one after the other."""
    return Portraits(
        [*first.paths, *second.paths],
        _concatenate(first.rgb, second.rgb),
        _concatenate(first.embeddings, second.embeddings),
        {**first.unreadable, **second.unreadable},
        (*first.parts, *second.parts),
    )


def hold_out(portraits: Portraits, share: float) -> tuple[Portraits, Portraits]:
    """Split portraits into those that train and about `share` of them that are held out.

    Which photograph goes where depends on its shoot's name alone, so that it stays where it is
    when others come or go.

    Raises:
        SelectionError: if either part would be empty.
    """
    held = np.array([_fraction(shoot(path)) < share for path in portraits.paths])
    if held.all() or not held.any():
        raise SelectionError(
            f"Expected portraits of several shoots to hold a share of {share} out of. Received: "
            f"{len(held)} portraits, {held.sum()} of them held out. Take another share, or "
            "name a folder with --validation."
        )
    return take(portraits, np.flatnonzero(~held)), take(portraits, np.flatnonzero(held))


def shoot(path: str) -> str:
    """The shoot that a photograph is of: Helen's `ID_k.jpg` belongs to `ID`."""
    return PurePosixPath(path).stem.rpartition("_")[0] or PurePosixPath(path).stem


def without_gray(portraits: Portraits) -> Portraits:
    """The portraits that are neither gray nor in one tint; says how many are left out.

    Raises:
        SelectionError: if none is in colour.
    """
    rows = np.flatnonzero(color_spread(portraits) >= GRAY_SPREAD)
    if not len(rows):
        raise SelectionError("Expected portraits in colour. Received: gray or tinted ones only.")
    log.info("%d gray or tinted portraits are left out", len(portraits) - len(rows))
    return take(portraits, rows)


def _concatenate(first: Rows | np.ndarray, second: Rows | np.ndarray) -> Rows | np.ndarray:
    if isinstance(first, Rows) and isinstance(second, Rows):
        return Rows([*first.pairs, *second.pairs])
    return np.concatenate([first, second])


def _fraction(name: str) -> float:
    """A number in 0-1 that depends on a name alone, evenly spread over names."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") / 2**64
