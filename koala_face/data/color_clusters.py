"""What colouring wants to know of a portrait: which cluster of colours is it of?

Targets without labels for a descriptor tuned for colour (Section IV; all of it our choice). They
are made of a portrait's true colours, which the descriptor, that sees gray alone, has to guess.
"""

import numpy as np

from koala_face.color import rgb_to_lab
from koala_face.data.color_statistics import MIDDLE, SMALLEST_SHARE, skin_mask
from koala_face.data.row_file import Rows
from koala_face.foundation.errors import KoalaFaceError

# Height and width at which colours are looked at: means of thousands of pixels need no more.
SIZE = 64
# Mean a*, b* of the skin, the upper half, the lower half, and the border of an eighth.
VALUES = 8
BORDER = SIZE // 8
# Portraits in memory at once, and starts of k-means, of which the best counts.
AT_ONCE = 256
STARTS = 10


class ClusterError(KoalaFaceError):
    """Colours that cannot be put into so many clusters."""


def portrait_colors(rgb: Rows | np.ndarray) -> np.ndarray:
    """The mean a*, b* of each portrait's skin, upper half, lower half and border.

    Where the rule finds no skin, the middle of the portrait stands for it.

    Args:
        rgb: (N, SIZE, SIZE, 3) uint8 sRGB, an array or the rows of a file.

    Returns:
        (N, VALUES) float32, in CIELAB's units.
    """
    parts = [_colors(rgb[start : start + AT_ONCE]) for start in range(0, len(rgb), AT_ONCE)]
    return np.concatenate([np.zeros((0, VALUES), "float32"), *parts])


def _colors(rgb: np.ndarray) -> np.ndarray:
    ab = rgb_to_lab(rgb).numpy()[..., 1:]
    middle = slice(*(round(edge * SIZE) for edge in MIDDLE))
    skin = skin_mask(rgb[:, middle, middle])
    skin[skin.mean(axis=(1, 2)) < SMALLEST_SHARE] = True
    edge = np.ones((SIZE, SIZE), bool)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    means = [
        (ab[:, middle, middle] * skin[..., None]).sum(axis=(1, 2)) / skin.sum((1, 2))[:, None],
        ab[:, : SIZE // 2].mean(axis=(1, 2)),
        ab[:, SIZE // 2 :].mean(axis=(1, 2)),
        ab[:, edge].mean(axis=1),
    ]
    return np.concatenate(means, axis=1).astype("float32")


def find_clusters(colors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The centers of `count` clusters by k-means, the one of most portraits first.

    Args:
        colors: (N, VALUES), as `portrait_colors` gives them.

    Returns:
        (count, VALUES) float32.

    Raises:
        ClusterError: for fewer different colours than clusters, or without scikit-learn.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise ClusterError(
            f"Expected scikit-learn, which finds clusters of colours. Received: {error}. "
            "Next: pip install 'koala_face[tune]'"
        ) from error
    different = len(np.unique(colors, axis=0))
    if different < count:
        raise ClusterError(
            f"Expected portraits of {count} different colours or more. Received: {different}. "
            "Ask for fewer --classes, or name more portraits."
        )
    found = KMeans(count, n_init=STARTS, random_state=seed).fit(colors)
    order = np.argsort(-np.bincount(found.labels_, minlength=count), kind="stable")
    return found.cluster_centers_[order].astype("float32")


def nearest_cluster(colors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The number of the center that is nearest to each row of colours, (N,) int64."""
    distances = [np.square(colors - center).sum(axis=1) for center in centers]
    return np.argmin(distances, axis=0)


def true_clusters(rgb: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """What an oracle says: each portrait's cluster as a one-hot vector, (N, K) float32."""
    return np.eye(len(centers), dtype="float32")[nearest_cluster(portrait_colors(rgb), centers)]
