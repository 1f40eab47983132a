"""What is scored: a function of portraits that gives ab, and the pictures that come of it.

The network is one such coloring; gray, a constant and the block mean are others (`baselines`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from koala_face import color
from koala_face.colorizer.colorizer import Colorizer, NetworkInput
from koala_face.colorizer.full_size import luminance_of
from koala_face.colorizer.gray_range import is_narrow
from koala_face.data.portraits import Portraits
from koala_face.model_files.files import ModelDescription
from koala_face.photographs.reading import resize


class Batch(NamedTuple):
    """Portraits as a coloring sees them, and their truth.

    rgb: (B, S, S, 3) uint8; luminance: (B, S, S, 1) float32, L* in 0-100; ab: (B, S, S, 2)
    float32, the true a* and b*; embedding: (B, D) float32.
    """

    rgb: np.ndarray
    luminance: np.ndarray
    ab: np.ndarray
    embedding: np.ndarray


# What is scored: a function of a batch that gives ab, (B, S, S, 2) in units of a* and b*.
Coloring = Callable[[Batch], np.ndarray]


def make_network(model: tf.keras.Model, description: ModelDescription | None = None) -> Coloring:
    """The coloring of a network with the inputs and the output of `models.build_colorizer`.

    The network sees each portrait at its own size. Where that is not the size at which is
    measured, ab is brought there as `koala_face.colorize` brings it to a photograph's size, and a
    narrow range is stretched as there.
    The description says of which predictions the mean is taken; without it there is one.
    """
    colorizer = Colorizer(model, None, 0, description=description)
    size = colorizer.size

    def color_network(batch: Batch) -> np.ndarray:
        if batch.rgb.shape[1:3] == (size, size):
            luminance = color.scale_luminance(batch.luminance)
            return color.unscale_ab(np.asarray(colorizer.predict_ab(luminance, batch.embedding)))
        resized = [luminance_of(resize(rgb, size, size)) for rgb in batch.rgb]
        seen = [NetworkInput(luminance, None, is_narrow(luminance)) for luminance in resized]
        predicted = colorizer.predict(seen, batch.embedding)
        inputs = zip(seen, predicted, batch.luminance[..., 0], strict=True)
        return np.stack([colorizer.upsample(*portrait) for portrait in inputs])

    return color_network


def read_batch(portraits: Portraits, rows: slice | Sequence[int]) -> Batch:
    """Take rows of the portraits and convert them to Lab."""
    rgb = np.asarray(portraits.rgb[rows])
    lab = np.asarray(color.rgb_to_lab(rgb))
    embedding = np.asarray(portraits.embeddings[rows], np.float32)
    return Batch(rgb, lab[..., :1], lab[..., 1:], embedding)


def apply_coloring(coloring: Coloring, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Colour a batch: the uint8 RGB pictures (B, S, S, 3) and their ab before clipping."""
    ab = coloring(batch)
    return make_pictures(batch, ab, color.lab_to_linear), ab


def make_pictures(
    batch: Batch, ab: np.ndarray, to_linear: Callable[[np.ndarray], tf.Tensor | np.ndarray]
) -> np.ndarray:
    """True L* and ab as pictures, (B, S, S, 3) uint8.

    Args:
        to_linear: CIELAB to linear sRGB; what is outside 0-1 is clipped by channel.
    """
    rgb = color.encode_srgb(to_linear(np.concatenate([batch.luminance, ab], axis=-1)))
    # Where a = b = 0 the three channels are equal; through the matrices' rounded digits some
    # would differ by one level, and a gray picture would have a little color.
    neutral = np.all(ab == 0, axis=-1, keepdims=True)
    rgb = np.where(neutral, color.luminance_to_gray(batch.luminance), rgb)
    return color.to_uint8(rgb).numpy()
