"""Ageing: each effect beside a hand-computed value or another package's, and what is drawn."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import filters

from koala_face.training import ageing

RAMP = np.tile(np.linspace(0.0, 1.0, 33, dtype="float32"), (33, 1))


@pytest.fixture(scope="module")
def linear(astronaut):
    """The astronaut at 96 x 96 in linear light."""
    rgb = np.asarray(Image.fromarray(astronaut).resize((96, 96)), "float32") / 255.0
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4).astype("float32")


def noise(shape=(200, 200), seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def test_every_emulsion_leaves_neutral_colours_alone():
    grays = np.arange(256) / 255.0
    light = np.where(grays <= 0.04045, grays / 12.92, ((grays + 0.055) / 1.055) ** 2.4)
    for seed in range(20):
        weights = ageing.draw_sensitivity(np.random.RandomState(seed))
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1.0)
        seen = ageing.expose(np.repeat(light[None, :, None], 3, axis=-1).astype("float32"), weights)
        np.testing.assert_allclose(seen[0], grays, atol=2e-4)


def test_an_ordinary_emulsion_sees_blue_alone():
    """By hand: linear 0.5 is 0.7354 in sRGB."""
    colors = np.array([[[0.9, 0.9, 0.0], [0.0, 0.0, 0.5]]], "float32")
    seen = ageing.expose(colors, (0.0, 0.0, 1.0))
    np.testing.assert_allclose(seen, [[0.0, 0.7354]], atol=1e-4)


def test_blur_is_scikit_images_gaussian(linear):
    gray = ageing.expose(linear)
    for share in (0.005, 0.02):
        expected = filters.gaussian(gray, share * len(gray), mode="nearest", truncate=4.0)
        np.testing.assert_allclose(ageing.blur(gray, share), expected, atol=1e-5)


def test_the_characteristic_curve_multiplies_the_logit():
    """By hand: 0.8 has the odds 4; squared 16, over e^1, is the odds 43.49, that is 0.9775."""
    gray = np.array([[0.0, 0.5, 0.8, 1.0]], "float32")
    np.testing.assert_allclose(ageing.bend(gray, 1.0, 0.0), gray, atol=1e-5)
    bent = ageing.bend(gray, 2.0, 1.0)
    np.testing.assert_allclose(bent, [[0.0, 0.7311, 0.9775, 1.0]], atol=1e-4)
    assert (np.diff(ageing.bend(RAMP, 0.6, -0.8)[0]) > 0).all()


def test_fading_lifts_black_and_darkens_white():
    np.testing.assert_allclose(ageing.fade(RAMP, 0.25, 0.75)[0, [0, 16, 32]], [0.25, 0.5, 0.75])


def test_a_vignette_falls_by_the_fourth_power_of_the_cosine():
    """By hand: seen under 45 degrees the light is a quarter, encoded by 0.25 ** (1 / 2.2)."""
    white = np.ones((101, 101), "float32")
    fallen = ageing.vignette(white, tangent=1.0)
    assert fallen[50, 50] == pytest.approx(1.0)
    assert fallen[0, 0] == pytest.approx(0.25 ** (1 / 2.2), abs=0.01)
    assert ageing.vignette(white, 1.0, center=(0.0, 0.0)).argmax() == 0


@pytest.mark.parametrize("size", [0.0, 0.01])
def test_grain_has_its_deviation_in_mid_gray_and_none_in_black(size):
    gray = np.full((200, 200), 0.5, "float32")
    grainy = ageing.grain(gray, noise(), 0.05, size)
    assert grainy.mean() == pytest.approx(0.5, abs=0.005)
    assert grainy.std() == pytest.approx(0.05, rel=0.02)
    assert ageing.grain(0.2 * gray, noise(), 0.05, size).std() == pytest.approx(0.03, rel=0.02)
    assert ageing.grain(0.0 * gray, noise(), 0.05, size).max() == 0.0


def test_larger_grain_is_smoother():
    def step(size):
        grainy = ageing.grain(np.full((200, 200), 0.5, "float32"), noise(), 0.05, size)
        return np.abs(np.diff(grainy)).mean()

    assert step(0.0) > 1.5 * step(0.004) > 2 * step(0.02)


def test_scratches_and_dust_lie_where_they_are_put():
    gray = np.full((50, 50), 0.5, "float32")
    damaged = ageing.damage(gray, [(0.1, 0.0, 0.1, 1.0, 1)], [(0.7, 0.5, 0.06, 0)], opacity=0.5)
    np.testing.assert_allclose(damaged[:, 5], 0.75, atol=1e-6)
    assert damaged[25, 35] == pytest.approx(0.25)
    assert (damaged[:, 10:30] == 0.5).all()


def test_compression_is_pillows(linear):
    gray = ageing.expose(linear)
    file = io.BytesIO()
    levels = np.round(gray * 255).astype(np.uint8)
    Image.fromarray(levels).save(file, "JPEG", quality=20)
    np.testing.assert_allclose(255 * ageing.compress(gray, 20), np.asarray(Image.open(file)))
    assert np.abs(ageing.compress(gray, 20) - gray).mean() > 0.005


@pytest.mark.parametrize("effect", [effect.name for effect in ageing.EFFECTS])
def test_each_effect_changes_a_portrait_and_keeps_its_range(effect, linear):
    clean = ageing.age(linear, 0, 0, ())
    changes = []
    for position in range(20):
        aged = ageing.age(linear, 0, position, (effect,))
        assert aged.dtype == np.uint8
        assert aged.shape == clean.shape
        changes.append(np.abs(aged.astype(float) - clean).mean())
    assert np.median(changes) > 0.5


def test_what_is_drawn_depends_on_seed_and_position_alone(linear):
    aged = ageing.age(linear, 1, 7)
    np.testing.assert_array_equal(aged, ageing.age(linear, 1, 7))
    for other in (ageing.age(linear, 2, 7), ageing.age(linear, 1, 8)):
        assert np.abs(aged.astype(float) - other).mean() > 1
    # Fading comes after grain: its draw is the same whether there was grain or not.
    faded = ageing.age(linear, 1, 7, ("fading",))
    both = ageing.age(linear, 1, 7, ("grain", "fading"))
    assert abs(int(np.median(faded)) - int(np.median(both))) <= 3


def test_a_quarter_stays_clean_and_the_rest_is_varied():
    drawn = [ageing.draw_effects(0, position) for position in range(4000)]
    assert np.mean([effects == () for effects in drawn]) == pytest.approx(0.25, abs=0.03)
    for effect in ageing.EFFECTS:
        share = np.mean([effect.name in effects for effects in drawn])
        assert share == pytest.approx(0.75 * effect.chance, abs=0.03)
