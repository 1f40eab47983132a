"""The gallery: true proportions, true pictures, names that stay names, one small file."""

import io

import numpy as np
import pytest
import skimage.color
from PIL import Image
from support.page import Page

from koala_face.figures import gallery


@pytest.fixture(scope="module")
def thumbnails(astronaut):
    square = astronaut[::2, ::2]
    return gallery.make_thumbnails(square[:, ::-1], square, 600, 400)


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_pictures_have_the_photographs_proportions(thumbnails):
    assert thumbnails.size == (171, 256)
    for data in thumbnails[:3]:
        assert decode(data).shape == (256, 171, 3)


def test_nothing_is_enlarged(astronaut):
    small = astronaut[::8, ::8]
    assert gallery.make_thumbnails(small, small, 3000, 6000).size == (64, 32)
    assert gallery.make_thumbnails(small, small, 1, 9000).size == (64, 1)


def test_the_pictures_are_gray_colored_and_true(thumbnails, astronaut):
    expected = np.asarray(Image.fromarray(astronaut[::2, ::2]).resize((171, 256)), float)
    gray, colored, true = (decode(data).astype(float) for data in thumbnails[:3])
    assert np.abs(true - expected).mean() < 5
    assert np.abs(colored - expected[:, ::-1]).mean() < 5
    luminance = skimage.color.rgb2lab(expected / 255)[..., 0]
    assert np.abs(skimage.color.rgb2lab(gray / 255) - luminance[..., None] * [1, 0, 0]).mean() < 2


def test_a_portrait_takes_few_bytes(thumbnails):
    """330 of them, as in Helen's test list, in base64: a page below 20 MB."""
    assert sum(map(len, thumbnails[:3])) * 4 / 3 * 330 < 20e6


def test_each_portrait_has_a_slider_and_its_numbers(thumbnails):
    name = '"><script>alert(1)</script>'
    exhibits = [
        gallery.Exhibit("first.png", 12.34, -5.0, thumbnails),
        gallery.Exhibit(name, 432.1, 0.25, thumbnails),
    ]
    part = gallery.gallery(exhibits)
    page = Page(part.html)
    sliders = [one for one in page.all("input") if one["type"] == "range"]
    assert [slider["aria-label"].partition(": ")[0] for slider in sliders] == ["first.png", name]
    orders = [(one["data-row"], one["data-mse"], one["data-change"]) for one in page.all("li")]
    assert orders == [("0", "12.34", "-5"), ("1", "432.1", "0.25")]
    assert {button["data-key"] for button in page.all("button")} == {"row", "mse", "change"}
    assert [image["alt"] for image in page.all("img")] == ["gray", "colored", "true"] * 2
    assert not page.references
    assert not page.all("script")
    assert "MSE 12, ΔM −5.0" in page.text
    assert name in page.text
