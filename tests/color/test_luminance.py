"""L* of arrays, by scikit-image's CIELAB."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from koala_face.color.luminance import gray_to_luminance, rgb_to_luminance


@pytest.mark.parametrize("shape", [(0,), (1,), (7, 5), (16, 3)])
def test_luminance_alone_is_that_of_lab(shape):
    for dtype in ("uint8", "uint16"):
        top = np.iinfo(dtype).max
        pixels = np.random.default_rng(0).integers(0, top + 1, (*shape, 3), dtype)
        luminance = rgb_to_luminance(pixels)
        assert (luminance.shape, luminance.dtype) == (shape, "float32")
        np.testing.assert_allclose(luminance, rgb2lab(pixels / top)[..., 0], atol=1e-3)


def test_luminance_of_every_gray():
    for dtype in (np.uint8, np.uint16):
        levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
        expected = rgb2lab(np.stack([levels / levels[-1]] * 3, axis=-1))[..., 0]
        np.testing.assert_allclose(gray_to_luminance(levels), expected, atol=1e-3)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_refuses_other_types(dtype):
    for function in (rgb_to_luminance, gray_to_luminance):
        with pytest.raises(TypeError, match=f"Expected sRGB as uint8 or uint16. Received: {dtype}"):
            function(np.zeros((2, 3), dtype))
