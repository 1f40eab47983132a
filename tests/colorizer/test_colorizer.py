"""The Python interface, with a network whose colours are known beforehand."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.color import rgb2lab
from support.constant_model import NONE, constant_model, describe, save_constant_model

from koala_face.colorizer.colorizer import BATCH_SIZE, Colorizer
from koala_face.colorizer.files import colorize_files
from koala_face.colorizer.full_size import gray_version
from koala_face.colorizer.jobs import Job
from koala_face.colorizer.pictures import opaque_pixels, photograph_of
from koala_face.model_files import shipped
from koala_face.model_files.shipped import ColorizerError, shipped_model
from koala_face.models import build_colorizer
from koala_face.photographs.decoding import PhotographError

SIZE, INPUT_SIZE = 32, 24


def zeros(grays):
    return tf.zeros((tf.shape(grays)[0], NONE.embedding_dim))


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer(constant_model(12.0, 18.0), zeros, INPUT_SIZE)


@pytest.fixture(scope="module")
def random_colorizer():
    """An untrained network on a descriptor that tells photographs apart by their mean."""
    tf.keras.utils.set_random_seed(5)

    def describe(grays):
        mean = tf.reduce_mean(tf.cast(grays, tf.float32), axis=(1, 2))[:, None]
        return tf.repeat(mean / 255.0, NONE.embedding_dim, axis=1)

    return Colorizer(build_colorizer(NONE.embedding_dim, SIZE), describe, INPUT_SIZE)


def test_result_has_the_photographs_size_luminance_and_the_models_colours(colorizer, astronaut):
    result = colorizer(astronaut)
    assert result.shape == (512, 512, 3)
    assert result.dtype == np.uint8
    lab, before = rgb2lab(result), rgb2lab(astronaut)
    assert (np.abs(lab - before)[..., 0] * 2.55 <= 1).mean() >= 0.999
    middle = (before[..., 0] > 30) & (before[..., 0] < 80)
    assert np.abs(np.median(lab[middle], axis=0)[1:] - (12, 18)).max() < 0.5


def test_mirrored_the_colours_are_the_mean_of_both_predictions(astronaut):
    tf.keras.utils.set_random_seed(6)
    model = build_colorizer(NONE.embedding_dim, SIZE)
    plain, both = (
        Colorizer(model, zeros, INPUT_SIZE, description=describe(mirrored=mirrored))
        for mirrored in (False, True)
    )
    vectors = np.zeros((1, NONE.embedding_dim), "float32")

    def predict(colorizer, photograph):
        return colorizer.predict([colorizer.prepare(photograph)], vectors)

    straight, turned = predict(plain, astronaut), predict(plain, astronaut[:, ::-1])[:, :, ::-1]
    assert np.abs(straight - turned).max() > 0.1
    np.testing.assert_allclose(predict(both, astronaut), (straight + turned) / 2, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (31, 77)])
def test_any_size(colorizer, shape):
    assert colorizer(np.full(shape, 128, np.uint8)).shape == (*shape, 3)


def test_photographs_of_different_sizes_go_together_and_come_out_as_alone(
    random_colorizer, astronaut
):
    photographs = [astronaut[: 40 + 9 * i, : 90 - 5 * i] for i in range(BATCH_SIZE + 2)]
    together = random_colorizer.colorize_many(photographs)
    for photograph, result in zip(photographs, together, strict=True):
        alone = random_colorizer(photograph)
        assert result.shape == photograph.shape
        difference = np.abs(alone.astype(int) - result)
        # Another order of summation may round a sample the other way, rarely by two steps.
        assert difference.max() <= 2
        assert difference.mean() < 0.01
    assert random_colorizer.colorize_many([]) == []


def test_networks_see_the_squeezed_gray_version(random_colorizer, astronaut):
    seen = random_colorizer.prepare(astronaut[:100])
    assert seen.luminance.shape == (SIZE, SIZE)
    assert seen.descriptor.shape == (INPUT_SIZE, INPUT_SIZE)
    luminance = rgb2lab(np.dstack([seen.descriptor] * 3))[..., 0].mean()
    assert luminance == pytest.approx(rgb2lab(astronaut[:100])[..., 0].mean(), abs=1.5)


def test_prediction_is_the_models_before_its_last_repetition(astronaut):
    model = build_colorizer(NONE.embedding_dim, SIZE)
    colorizer = Colorizer(model, zeros, INPUT_SIZE)
    seen = colorizer.prepare(astronaut)
    small = np.asarray(Image.fromarray(astronaut).reduce(512 // (2 * SIZE)))
    small = np.asarray(Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    luminance = (rgb2lab(small)[..., 0] / 100).astype(np.float32)[None, ..., None]
    expected = model.predict([luminance, np.zeros((1, NONE.embedding_dim))], verbose=0) * 128
    found = colorizer.predict([seen], colorizer.embed([seen]))
    assert found.shape == (1, SIZE // 2, SIZE // 2, 2)
    repeated = found.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(repeated, expected, atol=1e-3)


def test_arrays_and_pillow_images_of_every_kind(colorizer, astronaut):
    gray = astronaut[:30, :40, 1]
    expected = colorizer(gray)
    clear = np.full_like(gray, 255)
    same = [
        gray[..., None],
        np.dstack([gray] * 3),
        gray.astype(np.uint16) * 257,
        gray / 255.0,
        np.dstack([gray, clear]),
        np.dstack([gray, gray, gray, clear]),
        Image.fromarray(gray),
        Image.fromarray(gray).convert("RGB"),
        Image.fromarray(gray).convert("LA"),
        Image.fromarray(gray).convert("RGBA"),
        Image.fromarray(gray).convert("P"),
        Image.fromarray(gray.astype(np.uint16) * 257),
    ]
    for image in same:
        assert np.abs(colorizer(image).astype(int) - expected).max() <= 1
    black_and_white = Image.fromarray(gray > 128)
    assert set(np.unique(opaque_pixels(photograph_of(black_and_white)))) == {0, 255}
    white = colorizer(np.dstack([gray, np.zeros_like(gray)]))
    assert white.min() >= 254, "what is transparent lies over white"


def test_a_path_is_read_upright_as_the_command_reads_it(colorizer, tmp_path, astronaut):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: the viewer turns it to the right
    Image.fromarray(astronaut[:30, :40, 1]).save(tmp_path / "a.png", exif=exif)
    upright = colorizer(np.rot90(astronaut[:30, :40, 1], -1))
    for given in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.open(tmp_path / "a.png")):
        np.testing.assert_array_equal(colorizer(given), upright)
    with pytest.raises(PhotographError, match=r"gone.png: does not exist"):
        colorizer(tmp_path / "gone.png")


@pytest.mark.parametrize("side_by_side", [False, True])
def test_save_writes_the_commands_file(colorizer, tmp_path, astronaut, side_by_side):
    """16 bits, alpha, EXIF, resolution: the same bytes, out of a file or a Pillow image."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 3
    options = {"exif": exif, "dpi": (240, 120)}
    Image.fromarray(np.dstack([astronaut, astronaut[..., 0]])[:30, :40]).save(
        tmp_path / "clear.png", **options
    )
    Image.fromarray(astronaut[:30, :40]).save(tmp_path / "large.jpg", **options)
    Image.fromarray(astronaut[:30, :40, 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name, form in (("clear.png", "png"), ("large.jpg", "jpeg"), ("deep.png", "png")):
        source, target = tmp_path / name, tmp_path / "out" / name
        job = Job(source, target, form)
        (outcome,) = colorize_files([job], colorizer, quality=90, side_by_side=side_by_side)
        assert outcome.error is None
        with Image.open(source) as image:
            for given in (source, image) if name == "clear.png" else (source,):
                saved = tmp_path / f"saved-{name}"
                notes = colorizer.save(given, saved, quality=90, side_by_side=side_by_side)
                assert saved.read_bytes() == target.read_bytes()
                assert notes == outcome.notes
    with Image.open(tmp_path / "saved-clear.png") as image:
        assert image.getexif()[0x010F] == "Camera"


def test_save_refuses_a_name_of_another_format(colorizer, tmp_path, astronaut):
    for name, form in (("a.gif", None), ("a", None), ("a.png", "jpeg")):
        with pytest.raises(PhotographError, match="a name that ends in"):
            colorizer.save(astronaut, tmp_path / name, form)
    colorizer.save(astronaut[:9, :9], tmp_path / "a.jpeg", "jpeg")


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((0, 5), np.uint8), ValueError),
        (np.zeros(5, np.uint8), ValueError),
        (np.zeros((2, 2, 5), np.uint8), ValueError),
        (np.zeros((2, 2), np.int64), TypeError),
    ],
)
def test_what_is_no_picture_is_refused(colorizer, image, error):
    with pytest.raises(error, match="Expected"):
        colorizer(image)


def test_settings_out_of_range_are_refused():
    model = constant_model(0.0, 0.0)
    with pytest.raises(ColorizerError, match=r"edge-aware.*'nearest'"):
        Colorizer(model, zeros, INPUT_SIZE, upsampling="nearest")
    for saturation in (-1, float("nan"), float("inf")):
        with pytest.raises(ColorizerError, match="saturation"):
            Colorizer(model, zeros, INPUT_SIZE, saturation=saturation)


def test_load_takes_a_model_file_and_the_descriptor_that_it_names(tmp_path, astronaut, colorizer):
    path = save_constant_model(tmp_path / "model.h5")
    loaded = Colorizer.load(path)
    assert loaded.descriptor_size == NONE.input_size
    np.testing.assert_array_equal(loaded(astronaut[:50]), colorizer(astronaut[:50]))
    vivid = Colorizer.load(path, saturation=2.0)(astronaut[:50])
    assert vivid.std(axis=-1).mean() > 1.5 * loaded(astronaut[:50]).std(axis=-1).mean()


def test_load_refuses_a_model_of_another_preprocessing(tmp_path):
    path = save_constant_model(tmp_path / "model.h5", preprocessing="RGB / 255")
    with pytest.raises(ColorizerError, match=r"RGB / 255.*train anew"):
        Colorizer.load(path)


def test_shipped_models(tmp_path, monkeypatch, astronaut):
    monkeypatch.setattr(shipped, "PRETRAINED", tmp_path)
    with pytest.raises(ColorizerError, match=r"faithful.h5.*koala_face.train --quick"):
        Colorizer.load()
    save_constant_model(tmp_path / "vivid.h5")
    assert shipped_model("vivid") == tmp_path / "vivid.h5"
    assert Colorizer.load(variant="vivid")(astronaut[:9]).shape == (9, 512, 3)
    with pytest.raises(ColorizerError, match=r"faithful.*vivid.*'bright'"):
        shipped_model("bright")


def test_networks_see_a_narrow_range_stretched_and_the_photograph_keeps_its_own(astronaut):
    """A faded photograph gets the colours of the one that is not, on its own luminance."""
    model = build_colorizer(NONE.embedding_dim, SIZE)
    colorizer, plain = (
        Colorizer(model, zeros, INPUT_SIZE, stretch=stretch) for stretch in (True, False)
    )
    gray = gray_version(astronaut)
    faded = np.round(90 + 0.3 * gray).astype(np.uint8)
    seen = colorizer.prepare(faded)
    assert colorizer.stretches(seen)
    assert not plain.stretches(seen)
    assert not colorizer.stretches(colorizer.prepare(gray))
    vectors = np.zeros((1, NONE.embedding_dim), "float32")
    true, stretched, narrow = (
        colorizer.predict([colorizer.prepare(gray)], vectors),
        colorizer.predict([seen], vectors),
        plain.predict([seen], vectors),
    )
    assert np.abs(stretched - true).mean() < 0.5 * np.abs(narrow - true).mean()
    before = rgb2lab(np.stack([faded] * 3, axis=-1))[..., 0]
    assert np.abs(rgb2lab(colorizer(faded))[..., 0] - before).max() < 1


def test_restyled_it_is_what_it_would_have_been(random_colorizer, astronaut):
    """The networks are shared, and the original keeps its own style."""
    before = random_colorizer(astronaut)
    other = random_colorizer.restyled("plain", 0.5)
    assert other.predict_ab is random_colorizer.predict_ab
    asked = random_colorizer.prepare(astronaut)
    ab = random_colorizer.predict([asked], random_colorizer.embed([asked]))[0]
    gray = other.restyled(saturation=0.0)
    np.testing.assert_array_equal(other(astronaut), other.finish(astronaut, asked, ab))
    assert np.ptp(gray(astronaut), axis=-1).max() <= 1  # rounded
    np.testing.assert_array_equal(random_colorizer(astronaut), before)
    for style in (("cubic", 1.0), ("plain", -1.0), ("plain", float("inf"))):
        with pytest.raises(ColorizerError):
            random_colorizer.restyled(*style)
