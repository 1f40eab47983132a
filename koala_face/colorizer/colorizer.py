"""Colour photographs of any size with a trained model: gray in, its own luminance kept.

colorizer = Colorizer.load("run/model.h5")
rgb = colorizer("photo.jpg")
colorizer.save("photo.jpg", "photo-colored.jpg")
"""

import copy
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import DTypeLike

from koala_face import color
from koala_face.backbones import find_backbone, locate_weights
from koala_face.colorizer.full_size import color_pixels, luminance_of
from koala_face.colorizer.gray_range import is_narrow, stretch, stretch_luminance
from koala_face.colorizer.jobs import format_of_name
from koala_face.colorizer.palettes import compile_palette
from koala_face.colorizer.pictures import (
    Picture,
    beside_gray,
    is_colored,
    jpeg_of,
    opaque_pixels,
    photograph_of,
)
from koala_face.colorizer.prediction import ONCE, compile_prediction, make_prediction
from koala_face.colorizer.upsampling import EDGE_AWARE, Upsampler, check_style
from koala_face.data.embeddings import OVERSAMPLING, compile_descriptor, descriptor_input
from koala_face.model_files.files import ModelDescription, load_model
from koala_face.model_files.shipped import VARIANTS, ColorizerError, shipped_model
from koala_face.photographs.decoding import Photograph
from koala_face.photographs.encoding import write_photograph
from koala_face.photographs.reading import as_eight_bit, read_rgb, reduce, resize

keras = tf.keras

# Photographs that go through the network together; more are hardly faster on a CPU.
BATCH_SIZE = 8


class NetworkInput(NamedTuple):
    """A photograph as the networks see it, in training too.

    luminance: (size, size) float32, L* in 0-100 of the photograph resized in its own channels.
    descriptor: (descriptor_size, descriptor_size) uint8, its gray version resized; None where
        its vector is here already.
    narrow: whether the range of its luminance is narrow, by `gray_range.is_narrow`.
    """

    luminance: np.ndarray
    descriptor: np.ndarray | None
    narrow: bool = False


class Colorizer:
    """A loaded model. Calling it colours one photograph; `colorize_many` colours several.

    Args:
        model: luminance and embedding to ab, as `models.build_colorizer` makes it.
        embed: the descriptor: (B, descriptor_size, descriptor_size) uint8 gray to (B, D) float32.
        descriptor_size: of the descriptor, in pixels.
        upsampling: "edge-aware", or "plain" for bicubic interpolation of ab.
        saturation: factor on a* and b*; 0 gives the gray photograph back.
        description: says of which predictions the mean is taken; without it there is one.
        stretch: show the networks a photograph of narrow range stretched; see `gray_range`.
    """

    def __init__(
        self,
        model: keras.Model,
        embed: Callable[[np.ndarray], tf.Tensor] | None,
        descriptor_size: int,
        upsampling: str = EDGE_AWARE,
        saturation: float = 1.0,
        description: ModelDescription | None = None,
        stretch: bool = True,
    ):
        check_style(upsampling, saturation)
        self.size = model.inputs[0].shape[1]
        self.descriptor_size = descriptor_size
        self.upsampling = upsampling
        self.saturation = saturation
        self.stretch = stretch
        self._embed = embed
        mean = (description.mirrored, description.scales) if description else (False, ONCE)
        self.predict_ab = make_prediction(model, *mean)
        self._predict = compile_prediction(model, self.predict_ab)

    @classmethod
    def load(
        cls,
        model_path: str | os.PathLike | None = None,
        weights_path: str | os.PathLike | None = None,
        variant: str = VARIANTS[0],
        upsampling: str = EDGE_AWARE,
        saturation: float = 1.0,
        stretch: bool = True,
        palette: int = 0,
    ) -> "Colorizer":
        """Load a model file and the descriptor that it names.

        Args:
            model_path: the .h5 file; without it the one that ships, of the given `variant`.
            weights_path: of the descriptor; without it they are looked for in the usual places.
            palette: of a model that was trained with `oracle:FILE`: colour in the so-many-th
                likeliest of its clusters of colours, 1 the likeliest; see `palettes`.

        Raises:
            ColorizerError: no model ships with this copy, or the model's descriptor is
                another one than this version's.
            ModelFileError, BackboneError, WeightsError, PaletteError, PredictionError: from the
                parts.
        """
        path = Path(model_path) if model_path is not None else shipped_model(variant)
        settings = {"upsampling": upsampling, "saturation": saturation, "stretch": stretch}
        return cls.of_network(*load_model(path), weights_path, path, palette, **settings)

    @classmethod
    def of_network(
        cls,
        network: keras.Model,
        description: ModelDescription,
        weights_path: str | os.PathLike | None = None,
        path: str | os.PathLike = "The model",
        palette: int = 0,
        **settings: Any,
    ) -> "Colorizer":
        """As `load`, of a network that is loaded already, with its `ModelDescription`.

        `path` is what the network is called in an error, `settings` are the class's own.
        """
        backbone = find_backbone(*description.descriptor)
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
        if palette:
            embed = compile_palette(backbone, weights_path, palette)
        else:
            embed = compile_descriptor(backbone, locate_weights(backbone, weights_path))
        return cls(network, embed, backbone.input_size, description=description, **settings)

    def restyled(self, upsampling: str = EDGE_AWARE, saturation: float = 1.0) -> "Colorizer":
        """The same colorizer, its networks shared, that finishes photographs in another way.

        Raises:
            ColorizerError: for a value out of range.
        """
        check_style(upsampling, saturation)
        other = copy.copy(self)
        other.upsampling, other.saturation = upsampling, saturation
        return other

    def __call__(self, picture: Picture) -> np.ndarray:
        """Colour one photograph.

        Args:
            picture: a file's path, a Pillow image of any mode, or an array (H, W), (H, W, 3)
                or with alpha as a last channel; uint8, uint16, or float in 0-1; sRGB. What is
                transparent lies over white, and what its EXIF says is turned stands upright.
                A coloured one is coloured anew from its luminance.

        Returns:
            (H, W, 3) uint8 sRGB of the same height and width.

        Raises:
            PhotographError: for a file that cannot be read.
            TypeError, ValueError: for an array that is no picture.
        """
        return self.colorize_many([picture])[0]

    def colorize_many(self, pictures: Iterable[Picture]) -> list[np.ndarray]:
        """Colour photographs of any sizes, several at a time through the network."""
        pictures, colored = list(pictures), []
        for start in range(0, len(pictures), BATCH_SIZE):
            read = [(one, photograph_of(one)) for one in pictures[start : start + BATCH_SIZE]]
            batch = [opaque_pixels(photograph) for _, photograph in read]
            jpegs = [jpeg_of(*pair) for pair in read]
            inputs = [self.prepare(*pair) for pair in zip(batch, jpegs, strict=True)]
            predictions = self.predict(inputs, self.embed(inputs))
            for pixels, seen, ab in zip(batch, inputs, predictions, strict=True):
                colored.append(self.finish(pixels, seen, ab, np.uint8))
        return colored

    def save(
        self,
        picture: Picture,
        path: str | os.PathLike,
        format: str | None = None,
        quality: int = 95,
        side_by_side: bool = False,
    ) -> tuple[str, ...]:
        """Colour one photograph into a file as `koala_face.colorize` does: whole, at its own
        depth, with its alpha, EXIF and resolution.

        Args:
            picture: as `__call__` takes it.
            path: the file; its suffix says the format, which may be given as well.
            quality: of JPEG and WebP, 1 to 100.
            side_by_side: write the gray photograph and, on its right, the coloured one.

        Returns:
            Notes on what was converted or left out.

        Raises:
            PhotographError: for a file that cannot be read or written, or another suffix.
            TypeError, ValueError: for an array that is no picture.
        """
        format = format_of_name(path, format)
        photograph = photograph_of(picture)
        seen = self.prepare(photograph.pixels, jpeg_of(picture, photograph))
        ab = self.predict([seen], self.embed([seen]))[0]
        colored = self.finish_photograph(photograph, seen, ab, side_by_side)
        return (*colored.notes, *write_photograph(path, colored, format, quality))

    def prepare(self, pixels: np.ndarray, jpeg: str | os.PathLike | None = None) -> NetworkInput:
        """Squeeze (H, W) or (H, W, 3) uint8 or uint16 pixels to the networks' sizes.

        As training does, see `data.load_portraits`: a picture of more pixels than needed is
        averaged in whole blocks first, and a JPEG file, `jpeg`, by its decoder.
        """
        pixels = as_eight_bit(pixels)

        def read(size: int) -> np.ndarray:
            shortest = OVERSAMPLING * size
            if jpeg is not None and min(pixels.shape[:2]) >= 2 * shortest:
                return read_rgb(jpeg, shortest)
            return reduce(pixels, shortest)

        luminance = luminance_of(resize(read(self.size), self.size, self.size))
        size = self.descriptor_size
        return NetworkInput(luminance, descriptor_input(read(size), size), is_narrow(luminance))

    def embed(self, inputs: list[NetworkInput]) -> np.ndarray:
        """The descriptor's vectors, (N, D) float32, of N photographs."""
        shown = [
            stretch(seen.descriptor) if self.stretches(seen) else seen.descriptor for seen in inputs
        ]
        return np.asarray(self._embed(np.stack(shown)))

    def predict(self, inputs: list[NetworkInput], vectors: np.ndarray) -> np.ndarray:
        """The network's a*, b*, (N, h, w, 2) float32, of N photographs and their vectors."""
        shown = [
            stretch_luminance(seen.luminance) if self.stretches(seen) else seen.luminance
            for seen in inputs
        ]
        return self._predict(np.stack(shown), vectors).numpy()

    def stretches(self, seen: NetworkInput) -> bool:
        """Whether the networks see this photograph stretched, because its range is narrow."""
        return self.stretch and seen.narrow

    def finish(
        self,
        pixels: np.ndarray,
        seen: NetworkInput,
        ab: np.ndarray,
        dtype: DTypeLike = None,
    ) -> np.ndarray:
        """Colour the whole photograph, (H, W, 3), at the depth of `pixels` or of `dtype`."""
        luminance = block_mean(seen.luminance, len(ab))
        return color_pixels(pixels, luminance, ab, self.upsampling, self.saturation, dtype)

    def finish_photograph(
        self, photograph: Photograph, seen: NetworkInput, ab: np.ndarray, side_by_side: bool = False
    ) -> Photograph:
        """Colour a photograph at its own depth, all else kept, and note if it was in colour."""
        pixels = self.finish(photograph.pixels, seen, ab)
        colored = photograph._replace(pixels=pixels, notes=self.notes_on(photograph, seen))
        return beside_gray(photograph, colored) if side_by_side else colored

    def notes_on(self, photograph: Photograph, seen: NetworkInput) -> tuple[str, ...]:
        """The photograph's own notes, and whether it was in colour or seen stretched."""
        notes = photograph.notes
        if is_colored(photograph.pixels):
            notes += ("it is in colour; it was coloured anew from its luminance",)
        if self.stretches(seen):
            notes += ("its range is narrow; the network saw it stretched",)
        return notes

    def upsample(self, seen: NetworkInput, ab: np.ndarray, luminance: np.ndarray) -> np.ndarray:
        """Bring ab to the size of a photograph's L*, (H, W) float32: (H, W, 2), unclipped."""
        height, width = luminance.shape
        reduced = block_mean(seen.luminance, len(ab))
        upsampler = Upsampler(self.saturation * ab, reduced, height, width, self.upsampling)
        ab = upsampler.tile(luminance, slice(0, height), slice(0, width))
        return np.moveaxis(ab, 0, -1)


def block_mean(luminance: np.ndarray, size: int) -> np.ndarray:
    """(S, S) float32 to (size, size), averaged in blocks."""
    block = len(luminance) // size
    return luminance.reshape(size, block, size, block).mean((1, 3))
