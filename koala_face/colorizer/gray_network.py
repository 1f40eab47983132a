"""A colorizer and its descriptor as one network of standard layers: gray in, ab out.

A program that has only a gray image needs L* for the encoder and a resized, scaled copy for
the descriptor. Both are written as layers here, with constant weights: the curve from sRGB
gray to L* as straight pieces between knots, the resize as two matrices.
"""

import numpy as np
import tensorflow as tf

from koala_face.color import LUMINANCE_SCALE, rgb_to_lab
from koala_face.colorizer.upsampling import resampling_weights
from koala_face.model_files.portable import portable_config

keras = tf.keras
layers = keras.layers

# Straight pieces of the curve from gray to L*. 64 keep it within 4e-5 of L*/100.
PIECES = 64


def build_gray_network(
    colorizer: keras.Model, descriptor: keras.Model, size: int, input_size: int
) -> keras.Model:
    """Join a colorizer, its descriptor and what both need of a gray image.

    Args:
        colorizer: luminance and embedding to ab, as `models.build_colorizer` makes it.
        descriptor: RGB in 0-255 of `input_size` to the vector, one flat model.
        size: height and width of the gray image and of ab.
        input_size: height and width of the descriptor's input.

    Returns:
        A model with weights of its own: `gray`, (size, size, 1) float32 in 0-1, the neutral
        sRGB gray, to ab / 128, (size, size, 2).
    """
    gray = keras.Input((size, size, 1), name="gray")
    luminance = _luminance(gray)
    portrait = _descriptor_input(gray, size, input_size)
    embedding = _graft(descriptor, [portrait], prefix="descriptor_")
    ab = _graft(colorizer, [luminance, embedding], prefix="")
    model = keras.Model(gray, ab, name="koala_face_gray")
    for layer in model.layers:
        layer.trainable = layer.name in {own.name for own in colorizer.layers}
    return model


def luminance_knots(pieces: int = PIECES) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the curve from sRGB gray to L*/100: (pieces + 1,) grays in 0-1, and its values.

    They lie as dense as the square root of the curvature, which makes the largest error of
    straight pieces the same everywhere (de Boor, A Practical Guide to Splines, chapter XII).
    """
    grid = np.linspace(0.0, 1.0, 257)
    bends = np.abs(np.diff(_gray_to_luminance(grid), 2))
    density = np.sqrt(np.concatenate([bends[:1], bends, bends[-1:]]) + 1e-6)
    place = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    knots = np.interp(np.linspace(0.0, place[-1], pieces + 1), place, grid)
    return knots, _gray_to_luminance(knots)


def _gray_to_luminance(gray) -> np.ndarray:
    """Neutral sRGB gray in 0-1 to L*/100."""
    rgb = np.repeat(np.asarray(gray, "float32")[:, None], 3, axis=1)
    return rgb_to_lab(rgb).numpy()[:, 0].astype("float64") / LUMINANCE_SCALE


def _luminance(gray):
    """sRGB gray to L*/100: a sum of ramps that begin at the knots."""
    knots, values = luminance_knots()
    slopes = np.diff(values) / np.diff(knots)
    ramps = np.diff(slopes, prepend=0.0)
    pieces = len(ramps)
    x = _constant(
        layers.Conv2D(pieces, 1, activation="relu", name="luminance_ramps"),
        gray,
        [np.ones((1, 1, 1, pieces)), -knots[:-1]],
    )
    return _constant(
        layers.Conv2D(1, 1, name="luminance_curve"),
        x,
        [ramps.reshape(1, 1, pieces, 1), values[:1]],
    )


def _descriptor_input(gray, size: int, input_size: int):
    """Gray in 0-1 to (input_size, input_size, 3), three equal channels in 0-255."""
    x = gray
    if size != input_size:
        matrix = resampling_weights(size, input_size, 0, input_size).T
        for axis in ("columns", "rows"):
            # Each Dense works on the last axis, and each Permute turns the image.
            x = layers.Reshape(x.shape[1:3], name=f"resize_{axis}_in")(x)
            layer = layers.Dense(input_size, use_bias=False, name=f"resize_{axis}")
            x = _constant(layer, x, [matrix])
            x = layers.Permute((2, 1), name=f"resize_{axis}_turn")(x)
            x = layers.Reshape((*x.shape[1:], 1), name=f"resize_{axis}_out")(x)
            x = _clip(x, f"resize_{axis}")
    layer = layers.Conv2D(3, 1, use_bias=False, name="resize_channels")
    return _constant(layer, x, [np.full((1, 1, 1, 3), 255.0)])


def _clip(x, name: str):
    """Clip to 0-1, which bicubic overshoots at edges: 1 - relu(1 - x), twice. Pillow clips too."""
    for end in ("high", "low"):
        layer = layers.Conv2D(1, 1, activation="relu", name=f"{name}_clip_{end}")
        x = _constant(layer, x, [-np.ones((1, 1, 1, 1)), np.ones(1)])
    return x


def _constant(layer, x, weights):
    """Apply a layer and set its weights."""
    x = layer(x)
    layer.set_weights([np.asarray(value, "float32") for value in weights])
    return x


def _graft(model, tensors, prefix: str):
    """Apply copies of the layers of a flat `model` to `tensors`; gives its output."""
    config = portable_config(model)["config"]
    ends = config["input_layers"]
    names = [ends[0]] if isinstance(ends[0], str) else [name for name, _, _ in ends]
    made = dict(zip(names, tensors, strict=True))
    for entry in config["layers"]:
        if entry["class_name"] == "InputLayer":
            continue
        source = model.get_layer(entry["name"])
        layer = type(source).from_config({**entry["config"], "name": prefix + entry["name"]})
        inputs = [made[name] for name, *_ in entry["inbound_nodes"][0]]
        made[entry["name"]] = layer(inputs[0] if len(inputs) == 1 else inputs)
        layer.set_weights(source.get_weights())
    return made[config["output_layers"][0]]
