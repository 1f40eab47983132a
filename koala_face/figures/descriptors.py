"""What a descriptor sees and how far apart its vectors lie, for the notebooks (Section II.C)."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from koala_face.figures.paper import PAGE_WIDTH, Picture, pictures_figure

# Our choice: an eye with its brow fits below the patch of FaceNet's 160-pixel input.
PATCH = 32
STEP = 16
PATCH_GRAY = 128


def occlusion_map(
    embed: Callable[[np.ndarray], np.ndarray],
    gray: np.ndarray,
    patch: int = PATCH,
    step: int = STEP,
) -> np.ndarray:
    """How far the vector moves when a gray patch hides a part of the portrait.

    Args:
        embed: (B, S, S) uint8 gray to (B, D) vectors, as `embeddings.compile_descriptor` gives.
        gray: (S, S) uint8, the descriptor's input.
        patch: side of the hidden square, in pixels.
        step: pixels from one place of the patch to the next.

    Returns:
        (S, S) float64: at each pixel the mean distance over the patches that hide it.
    """
    places = range(0, gray.shape[0] - patch + 1, step)
    hidden = []
    for top in places:
        for left in places:
            hidden.append(gray.copy())
            hidden[-1][top : top + patch, left : left + patch] = PATCH_GRAY
    vectors = np.asarray(embed(np.stack([gray, *hidden])))
    moved = np.linalg.norm(vectors[1:] - vectors[0], axis=-1)
    total, count = np.zeros((2, *gray.shape))
    for place, distance in enumerate(moved):
        top, left = (step * index for index in divmod(place, len(places)))
        total[top : top + patch, left : left + patch] += distance
        count[top : top + patch, left : left + patch] += 1
    return total / np.maximum(count, 1)


def occlusion_figure(
    grays: Sequence[np.ndarray], maps: Sequence[np.ndarray], names: Sequence[str]
) -> Figure:
    """The descriptor's inputs, and over them how far hiding each place moves the vector."""
    figure = Figure(figsize=(PAGE_WIDTH, 0.62 * PAGE_WIDTH), layout="constrained")
    grid = figure.subplots(2, len(grays), squeeze=False)
    largest = max(one.max() for one in maps)
    for gray, moved, name, (above, below) in zip(grays, maps, names, grid.T, strict=True):
        for axis in (above, below):
            axis.imshow(gray, cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
        above.set_title(name, fontsize=10)
        image = below.imshow(moved, cmap="magma", vmin=0, vmax=largest, alpha=0.65)
    grid[0, 0].set_ylabel("input", fontsize=9)
    grid[1, 0].set_ylabel("hidden here", fontsize=9)
    bar = figure.colorbar(image, ax=grid, shrink=0.6)
    bar.set_label("the vector moves by", fontsize=9)
    return figure


def vectors_figure(vectors: np.ndarray, names: Sequence[str]) -> Figure:
    """Vectors as rows of colours: (N, D) and N names."""
    vectors = np.asarray(vectors)
    limit = np.abs(vectors).max()
    figure = Figure(figsize=(PAGE_WIDTH, 1.0 + 0.3 * len(vectors)), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(vectors, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(xlabel="place in the vector", title="One row per portrait")
    figure.colorbar(image, ax=axis)
    return figure


def distances(vectors: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs: (N, D) to (N, N)."""
    return np.stack([distances_from(vectors, row) for row in range(len(vectors))])


def distances_figure(vectors: np.ndarray, names: Sequence[str]) -> Figure:
    """The distance of each pair of vectors, (N, D), as a table of colours with its numbers."""
    table = distances(vectors)
    side = min(PAGE_WIDTH, 2.2 + 0.6 * len(table))
    figure = Figure(figsize=(side, 0.85 * side), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(table, cmap="viridis_r", vmin=0)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_title("Distance of the vectors", fontsize=10)
    for row, column in np.ndindex(table.shape):
        ink = "white" if table[row, column] > table.max() / 2 else "black"
        text = f"{table[row, column]:.2f}"
        axis.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    figure.colorbar(image, ax=axis)
    return figure


def nearest(vectors: np.ndarray, row: int, count: int) -> np.ndarray:
    """Rows of the `count` vectors, of (N, D), that are nearest to that of `row`, without itself."""
    order = np.argsort(distances_from(vectors, row), kind="stable")
    return order[order != row][:count]


def distances_from(vectors: np.ndarray, row: int) -> np.ndarray:
    """Euclidean distances of one vector to all: (N, D) to (N,)."""
    vectors = np.asarray(vectors, "float64")
    return np.linalg.norm(vectors - vectors[row], axis=-1)


def nearest_figure(
    read: Callable[[int], np.ndarray],
    ways: dict[str, np.ndarray],
    rows: Sequence[int],
    count: int = 4,
) -> Figure:
    """Some portraits, each with those that are nearest to it by this and by that vector.

    Args:
        read: a row's portrait, (H, W, 3) uint8.
        ways: what to call a descriptor, and its vectors, (N, D).
    """
    lines = [(row, way) for row in rows for way in ways]
    pictures = [
        [Picture(read(one)) for one in (row, *nearest(ways[way], row, count))] for row, way in lines
    ]
    columns = ["portrait", *(f"nearest, {n + 1}" for n in range(len(pictures[0]) - 1))]
    return pictures_figure(pictures, columns, [way for _, way in lines])
