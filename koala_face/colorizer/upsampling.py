"""Bring the predicted ab to the photograph's own size, along the edges of its luminance.

The network gives ab at its own size; the photograph's L* is known at full size. As in the
guided filter (He, Sun, Tang 2013; He, Sun 2015), ab is a linear function of L* around each
pixel, `ab = gain * L + offset`, with gain fitted to the small maps by ridge regression and
averaged over the neighbourhood. Unlike there the offset is not averaged but keeps the
prediction whole, `offset = ab - gain * L`: where the photograph shows no more detail than
the small map, the result is the plain bicubic one, and what L* shows beyond that decides
where between two predicted pixels one colour ends and the other begins.
"""

import functools

import numpy as np
from PIL import Image

from koala_face.model_files.shipped import ColorizerError

EDGE_AWARE, PLAIN = "edge-aware", "plain"
UPSAMPLINGS = (EDGE_AWARE, PLAIN)

# Standard deviation, in pixels of the predicted map, of the neighbourhood in which gain is
# fitted and averaged. Chosen with RIDGE on portraits with known colours; see the README.
NEIGHBOURHOOD = 0.7
# Variance of L* (0-100) within a neighbourhood below which it counts as noise, not an edge. A
# quarter of it gains more on clean photographs, but lets the film grain of Grace Hopper's into
# its colours: worse than bicubic at 128x128.
RIDGE = 16.0**2


def check_style(upsampling: str, saturation: float) -> None:
    """Refuse an unknown upsampling, and a saturation that is negative or infinite.

    Raises:
        ColorizerError: names what was expected.
    """
    if upsampling not in UPSAMPLINGS:
        raise ColorizerError(f"Expected upsampling out of {UPSAMPLINGS}. Received: {upsampling!r}.")
    if not 0 <= saturation < float("inf"):
        raise ColorizerError(f"Expected a saturation of 0 or more. Received: {saturation}.")


def fit_coefficients(
    ab: np.ndarray, luminance: np.ndarray, upsampling: str = EDGE_AWARE
) -> np.ndarray:
    """Fit the linear functions of L* that give ab.

    Args:
        ab: (h, w, 2) float32, predicted a*, b*.
        luminance: (h, w) float32, the photograph's L* in 0-100, reduced to the same size.
        upsampling: "edge-aware", or "plain" for bicubic interpolation of ab alone.

    Returns:
        (h, w, 4) float32: gain of a, gain of b, offset of a, offset of b. Plain: the gains
        are left out, (h, w, 2).
    """
    if upsampling == PLAIN:
        return ab
    if upsampling != EDGE_AWARE:
        raise ValueError(f"Expected one of {UPSAMPLINGS}. Received: upsampling={upsampling!r}.")
    guide = luminance[..., None]
    mean_guide, mean_ab = average(guide), average(ab)
    variance = average(guide * guide) - mean_guide * mean_guide
    covariance = average(guide * ab) - mean_guide * mean_ab
    gain = average(covariance / (variance + RIDGE))
    return np.concatenate([gain, ab - gain * guide], axis=-1).astype(np.float32)


def average(maps: np.ndarray) -> np.ndarray:
    """Average (h, w, C) maps over each pixel's neighbourhood, cut off at the borders."""
    rows, columns = (_gaussian_matrix(side, NEIGHBOURHOOD) for side in maps.shape[:2])
    return np.einsum("yv,xu,vuc->yxc", rows, columns, maps, optimize=True)


def resampling_weights(source: int, target: int, start: int, stop: int) -> np.ndarray:
    """The weights by which Pillow's bicubic resize makes pixels start to stop of `target`.

    Where it shrinks, they average as `photographs.resize` does.

    Returns:
        (stop - start, source) float32, each row summing to 1.
    """
    identity = Image.fromarray(np.eye(source, dtype=np.float32))
    box = (0, start * source / target, source, stop * source / target)
    size = (source, stop - start)
    return np.asarray(identity.resize(size, Image.Resampling.BICUBIC, box))


class Upsampler:
    """Predicted ab at a photograph's size, tile by tile.

    Args:
        ab: (h, w, 2) float32, predicted a*, b*.
        luminance: (h, w) float32, the photograph's L* in 0-100, reduced to the same size.
        height, width: of the photograph.
        upsampling: "edge-aware" or "plain".
    """

    def __init__(
        self,
        ab: np.ndarray,
        luminance: np.ndarray,
        height: int,
        width: int,
        upsampling: str = EDGE_AWARE,
    ):
        maps = fit_coefficients(ab, luminance, upsampling)
        self._maps = np.ascontiguousarray(np.moveaxis(maps, -1, 0))
        self._height, self._width = height, width
        # One pair, which threads replace as a whole.
        self._widened: tuple[slice | None, np.ndarray] = None, self._maps

    def tile(self, luminance: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """(H, W) L* of a tile of the photograph to its ab, (2, H, W).

        Tiles of the same columns should follow each other: their width is resampled once.
        """
        of, widened = self._widened
        if of != columns:
            widened = self._widen(columns)
            self._widened = columns, widened
        source = self._maps.shape[1]
        weights = resampling_weights(source, self._height, rows.start, rows.stop)
        used = np.flatnonzero(weights.any(axis=0))
        used = slice(used[0], used[-1] + 1)
        maps = weights[:, used] @ widened[:, used]
        if len(maps) == 2:
            return maps
        gain, offset = maps[:2], maps[2:]
        gain *= luminance
        gain += offset
        return gain

    def _widen(self, columns: slice) -> np.ndarray:
        """The maps at their own height and the photograph's columns, (C, h, W)."""
        source = self._maps.shape[2]
        weights = resampling_weights(source, self._width, columns.start, columns.stop)
        return self._maps @ weights.T


@functools.lru_cache(maxsize=8)
def _gaussian_matrix(side: int, deviation: float) -> np.ndarray:
    """(side, side) weights of a Gaussian neighbourhood, each row summing to 1."""
    distance = np.subtract.outer(np.arange(side), np.arange(side))
    weights = np.exp(-0.5 * (distance / deviation) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
