"""The portraits of --quick are the ones that the packages carry."""

import numpy as np
import skimage.data
from matplotlib import cbook
from PIL import Image

from koala_face.photographs.sample_portraits import write_sample_portraits


def test_both_portraits_are_written_without_loss(tmp_path):
    files = write_sample_portraits(tmp_path / "new" / "folder")
    assert [file.name for file in files] == ["astronaut.png", "grace_hopper.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(files[0])), skimage.data.astronaut())
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        original = np.asarray(Image.open(file).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(Image.open(files[1])), original)
