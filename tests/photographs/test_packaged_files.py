"""The pictures that installed packages carry, odd ones among them: every one is read whole."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import skimage
import tifffile
from PIL import Image

from koala_face.photographs.decoding import read_photograph
from koala_face.photographs.reading import find_photographs

FOLDERS = {
    "scikit-image": (Path(skimage.__file__).parent / "data", 20),
    "matplotlib": (Path(matplotlib.__file__).parent / "mpl-data", 20),
}


@pytest.mark.parametrize("package", FOLDERS)
def test_every_packaged_picture_is_read(package):
    folder, least = FOLDERS[package]
    found = find_photographs(folder)
    assert len(found) >= least
    for name in found:
        photograph = read_photograph(folder / name)
        if name.name == "multipage_rgb.tif":  # planes of float64, which Pillow refuses
            planes = tifffile.imread(folder / name, key=0)
            expected = np.moveaxis(planes, 0, -1) * 65535
            assert np.abs(photograph.pixels - expected).max() <= 1
        else:
            check_as_pillow(photograph, folder / name)


def check_as_pillow(photograph, path):
    pixels = photograph.pixels
    with Image.open(path) as image:
        assert pixels.shape[1::-1] == image.size, path
        transparent = image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info
        assert (photograph.alpha is not None) == transparent, path
        if image.mode in ("L", "RGB") and pixels.dtype == np.uint8 and not photograph.has_profile:
            np.testing.assert_array_equal(pixels, np.asarray(image), err_msg=str(path))
