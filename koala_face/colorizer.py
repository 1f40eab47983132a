"""Colour photographs of any size with a trained model: gray in, its own luminance kept.

colorizer = Colorizer.load("run/model.h5")
rgb = colorizer(Image.open("photo.jpg"))
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from koala_face import color
from koala_face.backbones import find_backbone, locate_weights
from koala_face.color_profiles import convert_to_srgb
from koala_face.embeddings import compile_descriptor
from koala_face.full_size import color_pixels, gray_to_luminance, gray_version
from koala_face.gray_range import is_narrow, stretch
from koala_face.model_files import load_model
from koala_face.photographs import as_eight_bit, over_white, resize
from koala_face.prediction import ONCE, make_prediction
from koala_face.samples import samples_of_image, scale_to_sixteen_bit, split_alpha
from koala_face.shipped_models import VARIANTS, ColorizerError, shipped_model
from koala_face.upsampling import EDGE_AWARE, UPSAMPLINGS, Upsampler

keras = tf.keras

# Photographs that go through the network together; more are hardly faster on a CPU.
BATCH_SIZE = 8


class NetworkInput(NamedTuple):
    """A photograph as the networks see it: (size, size) and (input_size, input_size) uint8 gray."""

    portrait: np.ndarray
    descriptor: np.ndarray


class Colorizer:
    """A loaded model. Calling it colours one photograph; `colorize_many` colours several.

    Args:
        model: luminance and embedding to ab, as `models.build_colorizer` makes it.
        describe: the descriptor: (B, input_size, input_size) uint8 gray to (B, D) float32.
        input_size: of the descriptor, in pixels.
        upsampling: "edge-aware", or "plain" for bicubic interpolation of ab.
        saturation: factor on a* and b*; 0 gives the gray photograph back.
        mirrored: colour each photograph mirrored as well and take the mean.
        scales: factors on the network's size at which it is asked, for the mean of the answers.
        stretch: show the networks a photograph of narrow range stretched; see `gray_range`.
    """

    def __init__(
        self,
        model: keras.Model,
        describe,
        input_size: int,
        upsampling: str = EDGE_AWARE,
        saturation: float = 1.0,
        mirrored: bool = False,
        scales=ONCE,
        stretch: bool = True,
    ):
        if upsampling not in UPSAMPLINGS:
            raise ColorizerError(
                f"Expected upsampling out of {UPSAMPLINGS}. Received: {upsampling!r}."
            )
        if not 0 <= saturation < float("inf"):
            raise ColorizerError(f"Expected a saturation of 0 or more. Received: {saturation}.")
        self.size = model.inputs[0].shape[1]
        self.input_size = input_size
        self.upsampling = upsampling
        self.saturation = saturation
        self.stretch = stretch
        self._describe = describe
        self.predict_ab = make_prediction(model, mirrored, scales)
        self._predict = _compile_network(model, self.size, self.predict_ab)

    @classmethod
    def load(
        cls,
        model=None,
        weights=None,
        variant: str = VARIANTS[0],
        upsampling: str = EDGE_AWARE,
        saturation: float = 1.0,
        stretch: bool = True,
    ) -> "Colorizer":
        """Load a model file and the descriptor that it names.

        Args:
            model: the .h5 file; without it the one that ships, of the given `variant`.
            weights: of the descriptor; without it they are looked for in the usual places.

        Raises:
            ColorizerError: no model ships with this copy, or the model's descriptor is
                another one than this version's.
            ModelFileError, BackboneError, WeightsError, PredictionError: from the parts.
        """
        path = Path(model) if model is not None else shipped_model(variant)
        settings = {"upsampling": upsampling, "saturation": saturation, "stretch": stretch}
        return cls.of_network(*load_model(path), weights, path, **settings)

    @classmethod
    def of_network(
        cls, network, description, weights=None, path="The model", **settings
    ) -> "Colorizer":
        """As `load`, of a network that is loaded already, with its `ModelDescription`.

        `path` is what the network is called in an error, `settings` are the class's own.
        """
        backbone = find_backbone(description.backbone, description.layer)
        asked = (description.preprocessing, description.embedding_dim)
        scales = (description.luminance_scale, description.ab_scale)
        if (*asked, *scales) != (
            *(backbone.preprocessing, backbone.embedding_dim),
            *(color.LUMINANCE_SCALE, color.AB_SCALE),
        ):
            raise ColorizerError(
                f"{path} was trained with {backbone.name} as {asked} and the scales {scales}; this "
                f"version has {(backbone.preprocessing, backbone.embedding_dim)} and "
                f"{(color.LUMINANCE_SCALE, color.AB_SCALE)}. Use the koala_face version "
                f"{description.koala_face_version} or train anew."
            )
        describe = compile_descriptor(backbone, locate_weights(backbone, weights))
        settings |= {"mirrored": description.mirrored, "scales": description.scales}
        return cls(network, describe, backbone.input_size, **settings)

    def __call__(self, image) -> np.ndarray:
        """Colour one photograph.

        Args:
            image: a Pillow image of any mode, or an array (H, W), (H, W, 3) or with alpha
                as a last channel; uint8, uint16, or float in 0-1; sRGB. What is transparent
                lies over white. A coloured one is coloured anew from its luminance.

        Returns:
            (H, W, 3) uint8 sRGB of the same height and width.
        """
        return self.colorize_many([image])[0]

    def colorize_many(self, images) -> list[np.ndarray]:
        """Colour photographs of any sizes, several at a time through the network."""
        images = [pixels_of(image) for image in images]
        colored = []
        for start in range(0, len(images), BATCH_SIZE):
            batch = images[start : start + BATCH_SIZE]
            inputs = [self.prepare(pixels) for pixels in batch]
            predictions = self.predict(inputs, self.describe(inputs))
            for pixels, seen, ab in zip(batch, inputs, predictions, strict=True):
                colored.append(self.finish(pixels, seen, ab, np.uint8))
        return colored

    def prepare(self, pixels) -> NetworkInput:
        """Squeeze (H, W) or (H, W, 3) uint8 or uint16 pixels to the networks' sizes."""
        gray = gray_version(pixels)
        sizes = (self.size, self.input_size)
        return NetworkInput(*(resize(gray, size, size) for size in sizes))

    def describe(self, inputs: list[NetworkInput]) -> np.ndarray:
        """The descriptor's vectors, (N, D) float32, of N photographs."""
        return np.asarray(self._describe(np.stack([self._show(seen)[1] for seen in inputs])))

    def predict(self, inputs: list[NetworkInput], vectors) -> np.ndarray:
        """The network's a*, b*, (N, h, w, 2) float32, of N photographs and their vectors."""
        return self._predict(np.stack([self._show(seen)[0] for seen in inputs]), vectors).numpy()

    def stretches(self, seen: NetworkInput) -> bool:
        """Whether the networks see this photograph stretched, because its range is narrow."""
        return self.stretch and is_narrow(seen.portrait)

    def _show(self, seen: NetworkInput) -> NetworkInput:
        if not self.stretches(seen):
            return seen
        return NetworkInput(*(x if x is None else stretch(x) for x in seen))

    def finish(self, pixels, seen: NetworkInput, ab, dtype=None) -> np.ndarray:
        """Colour the whole photograph, (H, W, 3), at the depth of `pixels` or of `dtype`."""
        luminance = small_luminance(seen.portrait, len(ab))
        return color_pixels(pixels, luminance, ab, self.upsampling, self.saturation, dtype)

    def upsample(self, seen: NetworkInput, ab, luminance) -> np.ndarray:
        """Bring ab to the size of a photograph's L*, (H, W) float32: (H, W, 2), unclipped."""
        height, width = luminance.shape
        reduced = small_luminance(seen.portrait, len(ab))
        upsampler = Upsampler(self.saturation * ab, reduced, height, width, self.upsampling)
        return upsampler.tile(luminance, slice(0, height), slice(0, width))


def small_luminance(portrait, size: int) -> np.ndarray:
    """(S, S) uint8 gray as a network sees it to (size, size) float32 L*, averaged in blocks."""
    block = len(portrait) // size
    return gray_to_luminance(portrait).reshape(size, block, size, block).mean((1, 3))


def pixels_of(image) -> np.ndarray:
    """A Pillow image or an array to (H, W) or (H, W, 3) uint8 or uint16, opaque.

    Raises:
        TypeError, ValueError: for an array that is no picture.
    """
    if isinstance(image, Image.Image):
        samples, alpha = samples_of_image(image)
        samples, _ = convert_to_srgb(samples, image.info.get("icc_profile"))
    else:
        samples, alpha = _samples_of_array(np.asarray(image))
    if alpha is not None:
        samples = over_white(as_eight_bit(samples), as_eight_bit(alpha))
    return samples


def _samples_of_array(array):
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.shape[2:] not in ((), (2,), (3,), (4,)) or array.ndim < 2 or array.size == 0:
        raise ValueError(
            "Expected a picture of shape (H, W), (H, W, 3) or with alpha, (H, W, 2), (H, W, 4). "
            f"Received: {array.shape}."
        )
    if array.dtype.kind == "f":
        array, _ = scale_to_sixteen_bit(array, 16)
    elif array.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"Expected uint8, uint16 or float in 0-1. Received: {array.dtype}.")
    return split_alpha(array) if array.shape[2:] in ((2,), (4,)) else (array, None)


def _compile_network(model, size: int, predict_ab):
    """A graph of uint8 grays and vectors to ab, left at the size before the last doubling.

    The last row of Table III repeats each pixel four times; without the repetition the
    upsampling to the photograph's size starts from what the network really predicted.
    """
    repeats = 2 if isinstance(model.layers[-1], keras.layers.UpSampling2D) else 1
    luminances = tf.constant(gray_to_luminance(np.arange(256, dtype=np.uint8)))
    dim = model.inputs[1].shape[1]

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, size, size), tf.uint8),
            tf.TensorSpec((None, dim), tf.float32),
        ]
    )
    def predict(portraits, vectors):
        luminance = tf.gather(luminances, tf.cast(portraits, tf.int32))[..., None]
        ab = predict_ab(color.scale_luminance(luminance), vectors)
        return color.unscale_ab(ab[:, ::repeats, ::repeats])

    return predict
