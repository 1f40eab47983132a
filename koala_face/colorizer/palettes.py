"""Several colourings of one photograph, by a network that was trained to follow a cluster.

Trained with `oracle:FILE`, a network was told of each portrait the true cluster of its colours.
A gray photograph has none; but the descriptor tuned in that FILE says how likely each one is, and
told the likeliest, the second likeliest and so on, the network colours the photograph in each.
"""

import os
from collections.abc import Callable

import numpy as np

from koala_face.backbones import Backbone, find_backbone, locate_weights
from koala_face.backbones.table import TUNED
from koala_face.foundation.errors import KoalaFaceError


class PaletteError(KoalaFaceError):
    """A model that knows no palettes, or not so many."""


def check_palettes(backbone: Backbone, count: int) -> None:
    """Refuse a descriptor whose vector does not name one of `count` clusters or more.

    Raises:
        PaletteError: says what model it takes.
    """
    if not backbone.sees_color:
        raise PaletteError(
            "Expected for --palettes a model that follows clusters of colours, trained with "
            f"--backbone oracle:FILE. Received: one of {backbone.name}. FILE comes from "
            "koala-face tune."
        )
    if count > backbone.embedding_dim:
        raise PaletteError(
            f"Expected --palettes of {backbone.embedding_dim} or less, the clusters of "
            f"{backbone.name}. Received: {count}."
        )


def likeliest(backbone: Backbone) -> Backbone:
    """The descriptor of gray portraits that tells an oracle's clusters as probabilities."""
    return find_backbone(f"{TUNED}:{backbone.head.name}", None, backbone.head.content)


def compile_palette(
    backbone: Backbone, weights: str | os.PathLike | None, palette: int
) -> Callable[[np.ndarray], np.ndarray]:
    """What names the `palette`-th likeliest cluster, 1 the likeliest.

    Returns:
        A function of (B, input_size, input_size) uint8 gray to one-hot vectors, (B, K) float32.

    Raises:
        PaletteError: as `check_palettes`.
        WeightsError: the tuned descriptor's network is not here.
    """
    from koala_face.data.embeddings import compile_descriptor

    check_palettes(backbone, palette)
    tuned = likeliest(backbone)
    describe = compile_descriptor(tuned, locate_weights(tuned, weights))

    def embed(grays: np.ndarray) -> np.ndarray:
        order = np.argsort(-np.asarray(describe(grays)), axis=-1, kind="stable")
        return np.eye(tuned.embedding_dim, dtype="float32")[order[:, palette - 1]]

    return embed
