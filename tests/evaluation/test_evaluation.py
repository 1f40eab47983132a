"""Scores of made pictures, by hand: a perfect coloring, the baselines, and how pixels stream."""

import csv
import dataclasses

import numpy as np
import pytest
import skimage.color
from support.untrained_models import save_untrained

from koala_face import color, metrics
from koala_face.color.luminance import gray_to_luminance
from koala_face.colorizer import full_size
from koala_face.colorizer.colorizer import Colorizer
from koala_face.data import color_statistics
from koala_face.data.portraits import Portraits
from koala_face.evaluation import baselines, batch_coloring, scoring
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files import files
from koala_face.models import check_size

KEYS = [metric.key for metric in scoring.METRICS]


class MadePortraits:
    """Pictures in memory with the interface of `Portraits`; notes what is read at once."""

    def __init__(self, pictures):
        self.pictures = np.asarray(pictures, np.uint8)
        self.paths = [f"{row}.png" for row in range(len(pictures))]
        self.embeddings = np.zeros((len(pictures), 4), np.float32)
        self.largest = 0
        self.rgb = self

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, rows):
        read = self.pictures[rows]
        self.largest = max(self.largest, len(read))
        return read


def flat(color, size=16):
    return np.full((size, size, 3), color, np.uint8)


@pytest.fixture(scope="module")
def real(astronaut, grace_hopper):
    return MadePortraits([astronaut[:128, 160:288], grace_hopper[100:228, 200:328]])


def test_a_perfect_coloring_has_no_error(real):
    scores = scoring.score(real, lambda batch: batch.ab)
    for key in ("mse", "mae", "colorfulness_difference", "ab_mse", "ab_mae"):
        assert scores.values[key].tolist() == [0, 0]
    assert scores.values["ssim"] == pytest.approx([1, 1])
    assert np.array_equal(scores.levels, scores.true_levels)


def test_gray_by_hand():
    # Red has the luminance 0.2126; the sRGB gray of it is 127. Blue: 0.0722, 76.
    portraits = MadePortraits([flat((255, 0, 0)), flat((0, 0, 255)), flat((90, 90, 90))])
    scores = scoring.score(portraits, baselines.color_gray)
    red, blue = (128**2 + 2 * 127**2) / 3, (179**2 + 2 * 76**2) / 3
    assert scores.values["mse"] == pytest.approx([red, blue, 0])
    assert scores.values["mae"] == pytest.approx([(128 + 254) / 3, (179 + 152) / 3, 0])
    assert scores.values["colorfulness"].tolist() == [0, 0, 0]
    true_ab = skimage.color.rgb2lab(np.uint8([[[255, 0, 0]]]))[0, 0, 1:]
    assert scores.values["ab_mae"][0] == pytest.approx(np.abs(true_ab).mean(), abs=1e-3)
    assert scores.true_colorfulness == pytest.approx([0.3 * 127.5 * 5**0.5, 76.5, 0])


def test_in_gamut_black_stays_black_where_the_papers_way_shows_blue():
    """Chroma of a black pixel cannot be had at L* 0; cut by channel it is a blue of L* 3."""
    portraits = MadePortraits([flat((0, 0, 0))])
    blue = (20.0, -40.0)
    scores = scoring.score(portraits, baselines.make_constant(blue))
    shown = skimage.color.lab2rgb(np.float64([[[0.0, *blue]]]))  # cut by channel
    assert scores.values["mse"] == pytest.approx([np.mean((255 * shown) ** 2)], rel=0.02)
    assert scores.values["mse"][0] > 500
    assert scores.values["gamut_mse"][0] < 0.5  # one level of one channel
    assert scores.values["gamut_mae"][0] < 0.5


def test_in_gamut_is_what_the_colorizer_writes(real):
    """A strong colour everywhere: much of it is outside sRGB, at some L* nothing of it is."""
    strong = (60.0, -50.0)
    scores = scoring.score(real, baselines.make_constant(strong))
    for row, truth in enumerate(real.pictures):
        # 16 bits hold the luminance, so that only the colours are rounded to 8.
        gray = np.asarray(color.rgb_to_gray(truth))
        pixels = np.round(65535 * gray).astype("uint16")
        ab = np.full((*gray.shape, 2), strong, "float32")
        luminance = gray_to_luminance(pixels)
        written = full_size.color_pixels(pixels, luminance, ab, "plain", dtype="uint8")
        error = np.square(written.astype(float) - truth).mean()
        assert scores.values["gamut_mse"][row] == pytest.approx(error, rel=1e-3)
        assert abs(scores.values["mse"][row] - error) > 100  # cut by channel it is another


def test_gray_of_photographs_is_wholly_neutral(real):
    scores = scoring.score(real, baselines.color_gray)
    assert scores.values["colorfulness"].tolist() == [0, 0]


def test_a_constant_meets_a_portrait_of_one_color():
    portraits = MadePortraits([flat((200, 150, 120))])
    ab = skimage.color.rgb2lab(np.uint8([[[200, 150, 120]]]))[0, 0, 1:]
    scores = scoring.score(portraits, baselines.make_constant(ab))
    assert scores.values["mse"].tolist() == [0]
    assert color_statistics.mean_ab(portraits) == pytest.approx(ab, abs=1e-2)


def test_the_block_mean_averages_blocks_of_two_by_two():
    ab = np.zeros((1, 4, 4, 2), np.float32)
    ab[0, :2, :2, 0] = [[4, 8], [0, 0]]
    ab[0, 2, 3] = (-40, 20)
    colored = baselines.color_block_mean(batch_coloring.Batch(None, None, ab, None))
    expected = np.zeros((1, 4, 4, 2))
    expected[0, :2, :2, 0] = 3
    expected[0, 2:, 2:] = (-10, 5)
    assert np.array_equal(colored, expected)


def test_no_other_choice_for_the_blocks_errs_less_in_ab():
    """By hand: a* of 4, 8, 0, 0 errs by (1 + 25 + 9 + 9) / 4 = 11 with their mean, 3, and by
    (c - 3)² more with any other c. In RGB the mean is not bound to be the best."""
    ab = np.zeros((1, 2, 2, 2), np.float32)
    ab[0, :, :, 0] = [[4, 8], [0, 0]]
    batch = batch_coloring.Batch(None, None, ab, None)
    assert metrics.mean_squared_error(baselines.color_block_mean(batch), ab) == 11 / 2
    for other in (2.0, 2.9, 3.1, 4.0):
        colored = np.zeros_like(ab)
        colored[..., 0] = other
        error = metrics.mean_squared_error(colored, ab)
        assert error == pytest.approx((11 + (other - 3) ** 2) / 2)


def test_in_rgb_another_choice_for_the_blocks_may_err_less(astronaut):
    """Why the report says in which unit the block mean is a bound: a counterexample in RGB."""

    def color_mean_rgb(batch):
        blocks = batch.rgb.reshape(1, 64, 2, 64, 2, 3).mean(axis=(2, 4)) / 255
        return skimage.color.rgb2lab(blocks)[..., 1:].repeat(2, axis=1).repeat(2, axis=2)

    portraits = MadePortraits([astronaut[::4, ::4]])
    bound, other = (
        scoring.score(portraits, coloring).values
        for coloring in (baselines.color_block_mean, color_mean_rgb)
    )
    assert other["ab_mse"] > bound["ab_mse"]
    assert other["mse"] < bound["mse"]


def test_the_block_mean_is_perfect_where_blocks_are_of_one_color():
    blocks = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    portraits = MadePortraits(blocks.repeat(2, axis=1).repeat(2, axis=2))
    assert scoring.score(portraits, baselines.color_block_mean).values["mse"].tolist() == [0]


def test_pixels_stream_in_batches():
    portraits = MadePortraits([flat(level) for level in range(7)])
    scores = scoring.score(portraits, baselines.color_gray, batch_size=3)
    assert portraits.largest == 3
    assert all(values.shape == (7,) for values in scores.values.values())
    assert scores.true_levels.sum() == 7 * 16 * 16 * 3


def test_scores_do_not_depend_on_the_batch(real):
    one, both = (scoring.score(real, baselines.color_block_mean, batch_size=n) for n in (1, 2))
    for key in KEYS:
        assert one.values[key] == pytest.approx(both.values[key])


def test_psnr_is_that_of_the_mean_error():
    # 0 and 510 have the mean 255, so 10 log10(255); the mean of their own would be infinite.
    values = {key: np.array([1.0, 3.0]) for key in KEYS} | {"mse": np.array([0.0, 510.0])}
    estimates = scoring.estimate(scoring.Scores(["a", "b"], values, None, None))
    assert estimates["psnr"].value == pytest.approx(10 * np.log10(255))
    assert estimates["mae"].value == 2


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ([5, 3, 9, 4, 7], {0: "first, median", 1: "best", 2: "worst"}),
        ([5, 3, 9, 4], {0: "first", 1: "best", 3: "median", 2: "worst"}),
        ([1], {0: "first, best, median, worst"}),
    ],
)
def test_portraits_are_chosen_by_rule(errors, chosen):
    assert scoring.choose_portraits(np.array(errors)) == chosen


def test_a_row_per_portrait(tmp_path):
    portraits = MadePortraits([flat((255, 0, 0)), flat((0, 0, 255))])
    scores = {"gray": scoring.score(portraits, baselines.color_gray)}
    with open(scoring.write_scores(tmp_path / "p.csv", scores), newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["path"], second["path"]) == ("0.png", "1.png")
    assert float(first["gray_mse"]) == pytest.approx((128**2 + 2 * 127**2) / 3, rel=1e-5)
    assert float(second["true_colorfulness"]) == 76.5


ZERO = np.zeros((1, 512), np.float32)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("model") / "model.h5")


def test_a_network_scores_like_its_own_output(model_file, real):
    network, _ = files.load_model(model_file)
    pictures = real.pictures[:, :64, :64]
    portraits = Portraits(real.paths, pictures, np.zeros((2, 512), np.float32), {})
    scores = scoring.score(portraits, batch_coloring.make_network(network))
    lab = skimage.color.rgb2lab(pictures)
    inputs = [np.float32(lab[..., :1] / 100), portraits.embeddings]
    predicted = 128 * np.asarray(network(inputs, training=False))
    errors = ((predicted - lab[..., 1:]) ** 2).mean(axis=(1, 2, 3))
    assert scores.values["ab_mse"] == pytest.approx(errors, rel=1e-3)


@pytest.mark.parametrize("color", [(180, 120, 90), (60, 60, 60)])
def test_a_network_of_another_size_sees_the_portrait_at_its_own(model_file, color):
    """A flat portrait is the same at 64 and 128 pixels: but for the border, so is its colour."""
    network, _ = files.load_model(model_file)
    coloring = batch_coloring.make_network(network)
    embeddings = np.zeros((1, 512), np.float32)
    small, large = (
        coloring(batch_coloring.read_batch(Portraits(["a"], picture[None], embeddings, {}), [0]))
        for picture in (flat(color, 64), flat(color, 128))
    )
    assert large.shape == (1, 128, 128, 2)
    halved = large.reshape(64, 2, 64, 2, 2).mean((1, 3))
    np.testing.assert_allclose(halved[8:56, 8:56], small[0, 8:56, 8:56], atol=1.0)


@pytest.mark.parametrize("size", [64, 128])
def test_mirrored_a_network_colours_the_mirror_image_like_the_image(model_file, real, size):
    network, description = files.load_model(model_file)
    coloring = batch_coloring.make_network(network, dataclasses.replace(description, mirrored=True))
    pictures = np.ascontiguousarray(real.pictures[:1, :size, :size])
    straight, turned = (
        batch_coloring.read_batch(Portraits(["a"], np.ascontiguousarray(one), ZERO, {}), [0])
        for one in (pictures, pictures[:, :, ::-1])
    )
    image = coloring(straight)
    once = np.abs(batch_coloring.make_network(network)(straight) - image).max()
    assert once > 0.05
    assert np.abs(coloring(turned)[:, :, ::-1] - image).max() < once / 5


def test_at_another_size_the_score_is_that_of_what_colorizing_gives(model_file, real):
    """Inside sRGB, where both clip nothing: the very picture, but for rounding."""
    colorizer = Colorizer.load(model_file, saturation=1.0)
    network, _ = files.load_model(model_file)
    portraits = Portraits(real.paths, real.pictures, np.zeros((2, 512), np.float32), {})
    batch = batch_coloring.read_batch(portraits, [0, 1])
    colored, ab = batch_coloring.apply_coloring(batch_coloring.make_network(network), batch)
    assert np.abs(ab).max() < 30
    for one, other in zip(colored, colorizer.colorize_many(list(real.pictures)), strict=True):
        assert np.mean(np.abs(one.astype(int) - other) <= 1) > 0.98


@pytest.mark.parametrize("size", [100, 0, -8])
def test_a_size_that_does_not_fit_is_the_users_error(size):
    with pytest.raises(KoalaFaceError, match="multiple of 8"):
        check_size(size)


def test_the_mean_ab_comes_from_training_if_the_model_notes_it(
    model_file, tmp_path, portrait_folder, astronaut, grace_hopper
):
    _, description = files.load_model(model_file)
    portraits = MadePortraits([flat((200, 150, 120))])
    noted = dataclasses.replace(description, training={"mean_ab": [1, 2], "data": "helen/train"})
    assert baselines.find_mean_ab(noted, portraits)[0] == [1, 2]
    assert "helen/train" in baselines.find_mean_ab(noted, portraits)[1]
    measured, source = baselines.find_mean_ab(noted, portraits, portrait_folder, 64, tmp_path)
    pictures = [astronaut, grace_hopper]
    expected = np.mean([skimage.color.rgb2lab(rgb)[..., 1:].mean((0, 1)) for rgb in pictures], 0)
    assert measured == pytest.approx(expected, abs=1)
    assert portrait_folder.name in source
    own, source = baselines.find_mean_ab(description, portraits)
    assert own == color_statistics.mean_ab(portraits)
    assert "hindsight" in source


@pytest.mark.parametrize(
    "noted", ["5, 9", [5], [5, 9, 1], [5, None], [float("nan"), 1], [1e9, 0], {}]
)
def test_a_mean_ab_that_is_none_is_a_named_error(model_file, noted):
    """By the description itself, or where only the range of a* and b* is left."""
    _, description = files.load_model(model_file)
    with pytest.raises(KoalaFaceError, match="mean_ab|--train-data"):
        described = dataclasses.replace(description, training={"mean_ab": noted})
        baselines.find_mean_ab(described, None)


def test_a_look_at_each_batch_and_its_colors():
    portraits = MadePortraits([flat(level) for level in range(7)])
    seen = []
    look = lambda batch, rgb, ab: seen.append((batch.rgb[:, 0, 0, 0].tolist(), len(rgb)))  # noqa: E731
    scoring.score(portraits, baselines.color_gray, batch_size=3, look=look)
    assert seen == [([0, 1, 2], 3), ([3, 4, 5], 3), ([6], 1)]


def test_a_name_that_is_no_utf_8_is_spelled_in_the_table(tmp_path):
    portraits = MadePortraits([flat(7)])
    portraits.paths = ["caf\udce9\n.png"]
    scores = {"gray": scoring.score(portraits, baselines.color_gray)}
    text = scoring.write_scores(tmp_path / "p.csv", scores).read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith(r"caf\udce9\n.png,")
