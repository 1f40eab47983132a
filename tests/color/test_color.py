"""Conversions of colour against scikit-image, hand-computed values, and itself there and back."""

import matplotlib.cbook
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from skimage.data import astronaut

from koala_face import color

# L* of the sRGB primaries, of white, of mid-gray 119 and of black, with a* and b*
# (B. Lindbloom's calculator, D65, no adaptation).
KNOWN = {
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (255, 255, 255): (100.0, 0.0, 0.0),
    (119, 119, 119): (50.03, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
}


def grid(levels: int) -> np.ndarray:
    """Every combination of `levels` even levels of R, G and B in 0-1: (levels, levels^2, 3)."""
    axis = np.linspace(0.0, 1.0, levels)
    return np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(levels, -1, 3)


def photograph() -> np.ndarray:
    with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("rgb", KNOWN)
def test_known_colors(rgb):
    lab = color.rgb_to_lab(np.array(rgb, dtype="uint8"))
    np.testing.assert_allclose(lab, KNOWN[rgb], atol=0.02)


def test_grid_equals_scikit_image():
    rgb = grid(33)
    np.testing.assert_allclose(color.rgb_to_lab(rgb), rgb2lab(rgb), atol=1e-3)


def test_grid_back_equals_scikit_image():
    lab = rgb2lab(grid(33))
    np.testing.assert_allclose(color.lab_to_rgb(lab), lab2rgb(lab), atol=1e-4)


@pytest.mark.parametrize("picture", [astronaut, photograph])
def test_photograph_equals_scikit_image(picture):
    rgb = picture()
    np.testing.assert_allclose(color.rgb_to_lab(rgb), rgb2lab(rgb), atol=1e-3)
    single = (rgb / 255.0).astype("float32")
    np.testing.assert_allclose(color.rgb_to_lab(single), rgb2lab(rgb), atol=1e-3)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 64])
def test_luminance_and_ab_equal_scikit_image(width):
    """Whether or not the pixels fill rows of eight."""
    rgb = astronaut()[:3, :width]
    luminance, ab = color.rgb_to_luminance_and_ab(rgb)
    assert (luminance.shape, ab.shape) == ((3, width, 1), (3, width, 2))
    np.testing.assert_allclose(np.concatenate([luminance, ab], axis=-1), rgb2lab(rgb), atol=1e-3)


def wrong_after_round_trip(reds) -> int:
    levels = np.arange(256, dtype="uint8")
    wrong = 0
    for red in reds:
        green, blue = np.meshgrid(levels, levels)
        rgb = np.stack([np.full_like(green, red), green, blue], axis=-1)
        wrong += np.count_nonzero(color.to_uint8(color.lab_to_rgb(color.rgb_to_lab(rgb))) != rgb)
    return wrong


def test_round_trip_gives_every_uint8_back():
    """All greens and blues, with reds among which are both sides of the curve's joint at 10."""
    assert wrong_after_round_trip([0, 1, 9, 10, 11, 12, 100, 180, 254, 255]) == 0


@pytest.mark.slow
def test_round_trip_gives_all_16_million_back():
    assert wrong_after_round_trip(range(256)) == 0


def test_same_in_graph_and_pipeline():
    rgb = astronaut()[:64, :48]
    eager = color.rgb_to_lab(rgb).numpy()
    graph = tf.function(color.rgb_to_lab)(tf.constant(rgb)).numpy()
    dataset = tf.data.Dataset.from_tensors(rgb).map(color.rgb_to_lab)
    np.testing.assert_allclose(graph, eager, atol=1e-4)
    np.testing.assert_allclose(next(iter(dataset)), eager, atol=1e-4)


def test_same_for_any_leading_shape():
    rgb = astronaut()[:8, :6]
    expected = color.rgb_to_lab(rgb).numpy()
    np.testing.assert_allclose(color.rgb_to_lab(rgb[2, 3]), expected[2, 3], atol=1e-4)
    batch = color.rgb_to_lab(rgb[None].repeat(3, axis=0))
    np.testing.assert_allclose(batch, expected[None].repeat(3, axis=0), atol=1e-4)
    assert color.rgb_to_lab(rgb[:0]).shape == (0, 6, 3)


def test_unknown_size_in_a_pipeline():
    dataset = tf.data.Dataset.from_generator(
        lambda: [astronaut()[:5, :7]], output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    ).map(color.rgb_to_lab)
    np.testing.assert_allclose(next(iter(dataset)), rgb2lab(astronaut()[:5, :7]), atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_gives_float32_for_every_dtype(dtype):
    white = np.full((2, 3), 255 if dtype == "uint8" else 1, dtype)
    lab = color.rgb_to_lab(white)
    assert lab.dtype == tf.float32
    # The matrix's six digits leave white an ab of 0.005, as in scikit-image.
    np.testing.assert_allclose(lab, [[100, 0, 0]] * 2, atol=0.005)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16"])
@pytest.mark.parametrize("function", [color.rgb_to_lab, color.rgb_to_gray])
def test_refuses_other_integers(function, dtype):
    with pytest.raises(TypeError, match=f"uint8 in 0-255 or as float in 0-1. Received: {dtype}"):
        function(np.zeros((2, 3), dtype))


@pytest.mark.parametrize("function", [color.rgb_to_lab, color.rgb_to_gray, color.decode_srgb])
def test_refuses_floats_of_another_range(function):
    """White of 255.0 once had L* = 7689."""
    for pixels in (np.full((2, 3), 255.0), tf.fill((4, 4, 3), 100.0), -np.full((2, 3), 128.0)):
        with pytest.raises(ValueError, match="Expected float sRGB in 0-1. Received: .*Divide by"):
            function(pixels)
    # What bicubic resizing overshoots is let through, and so is what has no pixels.
    assert np.isfinite(np.asarray(color.rgb_to_lab(np.array([[-0.1, 0.5, 1.2]])))).all()
    assert color.rgb_to_lab(np.zeros((0, 3))).shape == (0, 3)


def test_colors_outside_srgb_are_clipped():
    rgb = color.lab_to_rgb([[50.0, 120.0, 0.0], [50.0, -120.0, 0.0]]).numpy()
    assert rgb.min() == 0.0
    assert rgb.max() <= 1.0
    assert color.luminance_to_gray([-5.0, 0.0, 104.0]).numpy().tolist() == [0.0, 0.0, 1.0]
    # Outside, the linear light that was clipped lies beyond 0-1.
    assert color.lab_to_linear([[50.0, -120.0, 0.0]]).numpy().min() < 0.0


def test_to_uint8_rounds_and_clips():
    values = np.array([-0.1, 0.0, 0.4999 / 255, 0.5001 / 255, 254.4 / 255, 1.0, 1.3], "float32")
    assert color.to_uint8(values).numpy().tolist() == [0, 0, 0, 1, 254, 255, 255]


def test_gray_has_the_luminance_of_the_color():
    rgb = astronaut()[::8, ::8]
    gray = color.rgb_to_gray(rgb).numpy()
    again = rgb2lab(np.stack([gray] * 3, axis=-1))
    np.testing.assert_allclose(again[..., 0], rgb2lab(rgb)[..., 0], atol=1e-3)
    np.testing.assert_allclose(color.luminance_to_gray(rgb2lab(rgb)[..., 0]), gray, atol=1e-4)


def test_gray_of_gray_is_itself():
    levels = np.arange(256, dtype="uint8")
    gray = color.to_uint8(color.rgb_to_gray(np.stack([levels] * 3, axis=-1)))
    assert gray.numpy().tolist() == levels.tolist()


def test_gray_by_hand():
    """Pure green has Y = 0.71516, whose sRGB code is 1.055 * 0.71516 ** (1 / 2.4) - 0.055."""
    green = color.rgb_to_gray(np.array([0, 255, 0], "uint8"))
    assert float(green) == pytest.approx(0.86246, abs=1e-4)
    # L* = 50 is Y = (66 / 116) ** 3 = 0.184187.
    assert float(color.luminance_to_gray(50.0)) == pytest.approx(0.46633, abs=1e-4)


def test_scalings_by_hand():
    assert float(color.scale_luminance(75.0)) == 0.75
    assert float(color.unscale_luminance(0.75)) == 75.0
    assert np.asarray(color.scale_ab(np.array([-64.0, 96.0]))).tolist() == [-0.5, 0.75]
    assert np.asarray(color.unscale_ab(np.array([-0.5, 0.75]))).tolist() == [-64.0, 96.0]
