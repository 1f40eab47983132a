"""What a descriptor is tuned to tell (Section IV): clusters of colours, or a folder per class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from koala_face.data.color_clusters import find_clusters, nearest_cluster, portrait_colors
from koala_face.data.portraits import Portraits
from koala_face.foundation.errors import KoalaFaceError


class TargetsError(KoalaFaceError):
    """Portraits whose folders give no classes to tell apart."""


class Targets(NamedTuple):
    """The classes of several lists of portraits.

    names: of the K classes, in the order of the softmax.
    labels: (N,) class numbers, for each list.
    colors, centers: of clusters the colours, (N, C) for each list, and the centers, (K, C).
    """

    names: list[str]
    labels: list[np.ndarray]
    colors: list[np.ndarray] | None = None
    centers: np.ndarray | None = None


def color_targets(parts: Sequence[Portraits], seen: int, classes: int, seed: int) -> Targets:
    """Clusters of the portraits' own colours, found in the first `seen` lists alone.

    Raises:
        ClusterError: for too few different colours.
    """
    colors = [portrait_colors(part.rgb) for part in parts]
    centers = find_clusters(np.concatenate(colors[:seen]), classes, seed)
    labels = [nearest_cluster(one, centers) for one in colors]
    return Targets([str(number) for number in range(classes)], labels, colors, centers)


def folder_targets(parts: Sequence[Portraits], seen: int, most: int) -> Targets:
    """The first sub-folder's name, in the order of the alphabet.

    Raises:
        TargetsError: for a portrait in no sub-folder, fewer than two of these or more than
            `most`, or one without a portrait in the first `seen` lists.
    """
    paths = [path for part in parts for path in part.paths]
    if outside := [path for path in paths if "/" not in path]:
        raise TargetsError(
            "Expected each portrait in a sub-folder, whose name is its class. Received: "
            f"{len(outside)} portraits in none, such as {outside[0]}."
        )
    names = sorted({_class(path) for path in paths})
    known = {_class(path) for part in parts[:seen] for path in part.paths}
    if not 2 <= len(names) <= most or len(known) < len(names):
        rare = [name for name in names if name not in known]
        raise TargetsError(
            f"Expected 2 to {most} sub-folders, each with portraits left to train on. Received: "
            f"{len(names)}{', without any: ' + ', '.join(rare[:10]) if rare else ''}."
        )
    number = {name: place for place, name in enumerate(names)}
    return Targets(
        names, [np.array([number[_class(path)] for path in part.paths]) for part in parts]
    )


def _class(path: str) -> str:
    return path.split("/", 1)[0]
