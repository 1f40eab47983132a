"""The validation error against scikit-image's Lab, written again in NumPy."""

import numpy as np
import pytest
from skimage.color import rgb2lab
from support.small_network import SMALL

from koala_face import models
from koala_face.data.portraits import Portraits
from koala_face.models import build_colorizer
from koala_face.training import validation

SIZE = 16


def six_portraits():
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (6, SIZE, SIZE, 3), "uint8")
    return Portraits(list("abcdef"), pictures, rng.random((6, 3), "float32"), {})


# Plain; by XLA; by XLA and rewritten, as it would be after so many pixels.
@pytest.mark.parametrize(
    ("xla", "repaid", "network"),
    [(False, 0, models.PAPER), (True, 10**9, models.PAPER), (True, 0, SMALL)],
)
def test_the_error_is_the_mean_over_all_values_of_all_batches(xla, repaid, network, monkeypatch):
    monkeypatch.setattr(validation, "REPAID_PIXELS", repaid)
    monkeypatch.setitem(models.NETWORKS, network.name, network)
    portraits = six_portraits()
    model = build_colorizer(3, SIZE, network=network.name)
    lab = rgb2lab(portraits.rgb)
    predicted = model([lab[..., :1] / 100, portraits.embeddings], training=False).numpy()
    expected = np.mean((predicted - lab[..., 1:] / 128) ** 2)
    measured = validation.Validation(model, portraits, 4, epochs=1, steps_per_epoch=1, compiled=xla)
    np.testing.assert_allclose(measured.error(), expected, rtol=1e-5)


@pytest.mark.parametrize(("epochs", "rewritten"), [(4, False), (6, True)])
def test_only_a_long_validation_pays_for_the_rewriting(epochs, rewritten, monkeypatch):
    """An epoch sees 6 portraits twice and 500 for the statistics: 2.1 million pixels of 10.5."""
    asked = []
    monkeypatch.setattr(validation, "quickest", lambda model, compiled: asked.append(compiled))
    model = build_colorizer(3, 64)
    validation.Validation(model, six_portraits(), 50, epochs=epochs, steps_per_epoch=40)
    assert asked == [rewritten]
