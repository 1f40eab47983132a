"""What a colorizer gives for portraits: one prediction, or the mean of several.

Mirrored, or at another size, the network errs in other places, and the mean errs less (test-time
augmentation). The paper asks its network once; the models that ship say in their description
what theirs is asked.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from koala_face import color
from koala_face.colorizer.quick_layers import Layer, quick_layers
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.description import ONCE
from koala_face.models import NETWORKS, REDUCTION

keras = tf.keras

# A file from a stranger must not ask for more: the work grows with the square of a scale.
SMALLEST, LARGEST, MOST = 0.5, 2.0, 5
# Of `models.fuse`: where the two inputs meet, and what knows the size of the portrait.
FUSION_LAYER = "fusion"
FIXED_LAYERS = ("luminance", "embedding", "fusion_repeat", "fusion_reshape")


class PredictionError(KoalaFaceError):
    """A mean that cannot be taken: scales out of range, or a network of one size alone."""


def make_prediction(
    model: keras.Model, mirrored: bool = False, scales: Sequence[float] = ONCE
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Make the function that asks a network for ab.

    Args:
        model: of N x N portraits, as `models.build_colorizer` makes it.
        mirrored: ask for the mirrored portraits as well.
        scales: factors on N; the portraits are brought to each size, and ab back to N.

    Returns:
        A function of luminance, (B, N, N, 1) float32, L*/100, and embedding,
        (B, embedding_dim) float32, to the mean of ab, (B, N, N, 2) float32: a*/128, b*/128.

    Raises:
        PredictionError: for scales out of range; at another scale than 1, for a network that
            is none of `models.NETWORKS`.
    """
    check_scales(scales)
    size, repeats = model.inputs[0].shape[1], repeats_of(model)
    sizes = [size_at(size, scale) for scale in scales]
    network = _of_one_size(model) if set(sizes) == {size} else of_any_size(model)

    def predict(luminance, embedding) -> tf.Tensor:
        luminance, embedding = tf.convert_to_tensor(luminance), tf.convert_to_tensor(embedding)
        if mirrored:  # behind the others in one batch: the network is traced once
            luminance = tf.concat([luminance, luminance[:, :, ::-1]], axis=0)
            embedding = tf.concat([embedding, embedding], axis=0)
        views = []
        for scaled in sizes:
            ab = network([resize(luminance, scaled), embedding], training=False)
            if mirrored:
                ab, turned = tf.split(ab, 2)
                ab = (ab + turned[:, :, ::-1]) / 2
            views.append(resize_repeated(ab, size, repeats))
        return tf.add_n(views) / len(views)

    return predict


def compile_prediction(
    model: keras.Model, predict_ab: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """Make a graph of L* in 0-100 and vectors to a*, b*, left at the size before the last doubling.

    The last row of Table III repeats each pixel four times, see `repeats_of`; without that the
    upsampling to the photograph's size starts from what the network really predicted.
    """
    repeats = repeats_of(model)
    size, dim = model.inputs[0].shape[1], model.inputs[1].shape[1]

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec((None, size, size), tf.float32),
            tf.TensorSpec((None, dim), tf.float32),
        ],
    )
    def predict(luminance, vectors):
        ab = predict_ab(color.scale_luminance(luminance[..., None]), vectors)
        return color.unscale_ab(ab[:, ::repeats, ::repeats])

    return predict


def check_scales(scales: Sequence[float]) -> None:
    """Refuse scales that no model should be asked at.

    Raises:
        PredictionError: names the range.
    """
    fits = 0 < len(scales) <= MOST
    if not fits or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        raise PredictionError(
            f"Expected 1 to {MOST} scales of {SMALLEST} to {LARGEST}, such as 0.75,1,1.25. "
            f"Received: {','.join(map(str, scales))}."
        )


def size_at(size: int, scale: float) -> int:
    """The size nearest to `scale` times `size` that the networks can halve three times."""
    return max(1, math.floor(size * scale / REDUCTION + 0.5)) * REDUCTION


def _of_one_size(model: keras.Model) -> Callable[..., tf.Tensor]:
    """The network, called as `model` is, with fewer multiplications where that is quicker."""
    quick = quick_layers(model)
    if not quick:
        return model
    return lambda inputs, training=False: _apply_layers(model, quick, *inputs)


def of_any_size(model: keras.Model) -> Callable[..., tf.Tensor]:
    """The network for portraits of any size, called as `model` is: no weight depends on it.

    One graph for all sizes, of the model's own layers: to build and to trace a network for each
    takes longer than a photograph's work.

    Raises:
        PredictionError: for a network that is none of `models.NETWORKS`.
    """
    if model.name not in NETWORKS:
        raise PredictionError(
            "Expected a network that koala_face built, which alone runs at several sizes. "
            f"Received another: {model.name}."
        )
    inputs = [tf.TensorSpec((None, None, None, 1)), tf.TensorSpec((None, model.inputs[1].shape[1]))]
    apply = tf.function(functools.partial(_apply_layers, model, {}), inputs, autograph=False)

    def network(inputs, training=False) -> tf.Tensor:
        ab = apply(*inputs)
        ab.set_shape((*inputs[0].shape[:3], 2))
        return ab

    return network


def _apply_layers(
    model: keras.Model,
    quick: Mapping[str, Layer],
    luminance: tf.Tensor,
    embedding: tf.Tensor,
) -> tf.Tensor:
    """Apply a network's layers one after another, or what is in their place in `quick`; those of
    the fusion that name a size, anew.
    """
    x = luminance
    for layer in model.layers:
        if layer.name in FIXED_LAYERS:
            continue
        if layer.name in quick:
            x = quick[layer.name](x, embedding)
        elif layer.name == FUSION_LAYER:
            _, height, width, _ = tf.unstack(tf.shape(x))
            x = layer([x, tf.tile(embedding[:, None, None], (1, height, width, 1))])
        elif isinstance(layer, keras.layers.BatchNormalization):
            x = layer(x, training=False)
        else:
            x = layer(x)
    return x


def resize(images: tf.Tensor, size: int) -> tf.Tensor:
    """Bring (B, H, W, C) to (B, size, size, C) by the filter of `photographs.resize`."""
    if images.shape[1] == size:
        return images
    return tf.image.resize(images, (size, size), "bicubic", antialias=True)


def resize_repeated(ab: tf.Tensor, size: int, repeats: int) -> tf.Tensor:
    """Resize ab whose last row repeats each pixel: what is repeated, and then as often again."""
    if ab.shape[1] == size:
        return ab
    ab = resize(ab[:, ::repeats, ::repeats], size // repeats)
    return tf.repeat(tf.repeat(ab, repeats, axis=1), repeats, axis=2)


def repeats_of(model: keras.Model) -> int:
    """How often the last row, `ab`, repeats each pixel along each axis: 2 in Table III."""
    last = next((layer for layer in model.layers if layer.name == "ab"), None)
    return last.size[0] if isinstance(last, keras.layers.UpSampling2D) else 1
