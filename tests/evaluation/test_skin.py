"""Skin: the rule's pixels, and numbers of made faces by hand."""

import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from koala_face import color
from koala_face.evaluation import batch_coloring, skin

# Each the colour of one face, sRGB; all of them skin by the rule.
FACES = np.array([[224, 172, 105], [198, 134, 66], [141, 85, 36], [241, 194, 125]], np.uint8)


def batch_of(colors, size=16):
    rgb = np.broadcast_to(colors[:, None, None], (len(colors), size, size, 3)).copy()
    lab = color.rgb_to_lab(rgb).numpy()
    return batch_coloring.Batch(
        rgb, lab[..., :1], lab[..., 1:], np.zeros((len(colors), 4), "float32")
    )


def test_the_rule_is_that_of_bt601():
    """scikit-image's YCbCr is of studio range, 16 to 240: scaled to 0-255 it is JPEG's."""
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), "uint8")
    cb, cr = (128 + (rgb2ycbcr(rgb)[..., i] - 128) * 255 / 224 for i in (1, 2))
    expected = (cb >= 77) & (cb <= 127) & (cr >= 133) & (cr <= 173)
    assert (skin.skin_mask(rgb) == expected).mean() > 0.99
    assert 0.02 < expected.mean() < 0.5


def test_skin_is_told_from_gray_green_and_blue():
    assert skin.skin_mask(FACES).all()
    assert not skin.skin_mask(np.array([[128] * 3, [40, 160, 60], [30, 60, 200]], np.uint8)).any()


def test_faces_by_hand():
    batch = batch_of(np.concatenate([FACES, [[128, 128, 128]]]).astype(np.uint8))
    shifted = batch.ab + np.array([3.0, 4.0], "float32")
    faces = skin.measure_faces(batch, shifted)
    assert len(faces) == len(FACES)
    for face, lab in zip(faces, batch.luminance[:, 0, 0, 0], strict=False):
        assert face.luminance == pytest.approx(lab, abs=1e-3)
        assert face.error == pytest.approx(5.0, abs=1e-3)
        np.testing.assert_allclose(face.predicted - face.true, (3.0, 4.0), atol=1e-3)


def test_the_border_of_a_portrait_does_not_count():
    batch = batch_of(FACES[:1])
    batch.rgb[:, 4:12, 4:12] = 128
    assert skin.measure_faces(batch, batch.ab) == []


def face(luminance, true, predicted):
    return skin.Face(luminance, np.array(true), np.array(predicted), 1.0)


def test_chroma_and_hue_by_hand():
    assert skin.chroma_and_hue(face(50, (3, 4), (8, 6))) == pytest.approx((5.0, -16.26), abs=0.01)
    assert skin.chroma_and_hue(face(50, (5, 0), (0, 5))) == pytest.approx((0.0, 90.0))
    assert skin.chroma_and_hue(face(50, (-5, 1), (-5, -1)))[1] == pytest.approx(22.62, abs=0.01)


def test_the_deviation_between_faces_by_hand():
    """True a* 0, 2, 4 deviates by the root of 8/3; half of it, and in the same order."""
    faces = [face(50, (a, 10), (6 + a / 2, 10 + a)) for a in (0.0, 2.0, 4.0)]
    true, predicted, ratio, correlation = skin.deviations(faces, 0, resamples=200, seed=0)
    assert true.value == pytest.approx((8 / 3) ** 0.5)
    assert predicted.value == pytest.approx((2 / 3) ** 0.5)
    assert ratio.value == pytest.approx(0.5)
    assert correlation.value == pytest.approx(1.0)
    low, high = skin.deviations([*faces, face(50, (9, 9), (1, 1))], 0, 500, 0)[0].interval
    assert low < high


def test_the_section_has_a_row_for_each_bin_and_its_count():
    faces = [face(value, (10, 10), (10, 9)) for value in (49.9, 50.0, 55.0, 69.9, 70.0, 90.0)]
    text = "\n".join(skin.skin_section(faces, 8, resamples=20))
    for name, count in (("below 50", 1), ("50 to 60", 2), ("60 to 70", 1), ("70 and above", 2)):
        assert f"| {name} | {count} |" in text
    assert "| all | 6 |" in text
    assert "6 of 8 portraits" in text
    assert "holds the lighting too" in text


def test_too_few_faces_are_said():
    assert "too few" in skin.skin_section([], 3)[1]
