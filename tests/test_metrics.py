"""Metrics against values worked out by hand, from the paper's tables and by scikit-image."""

import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
import skimage.metrics
from PIL import Image

from koala_face import metrics

RED, GREEN, BLUE, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


def flat(color, height=16, width=16):
    return np.full((height, width, 3), color, np.uint8)


def halves(left, right):
    return np.concatenate([flat(left), flat(right)], axis=1)


@pytest.fixture(scope="module")
def portraits():
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
        hopper = np.array(image.convert("RGB").resize((64, 64)))
    astronaut = Image.fromarray(skimage.data.astronaut()).resize((64, 64))
    return np.stack([np.array(astronaut), hopper])


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (flat(GRAY), 0.0),
        # rg = 255, yb = 127.5 everywhere: 0.3 * 127.5 * sqrt(5).
        (flat(RED), 0.3 * 127.5 * 5**0.5),
        # rg = 0, yb = -255.
        (flat(BLUE), 0.3 * 255),
        # rg is 255 or 0: sigma = mean = 127.5; yb is 127.5 or 0: sigma = mean = 63.75.
        (halves(RED, GRAY), 1.3 * 63.75 * 5**0.5),
        # rg is 255 or -255: sigma 255, mean 0; yb = 127.5: sigma 0. Unsigned means would add to it.
        (halves(RED, GREEN), 255 + 0.3 * 127.5),
    ],
)
def test_colorfulness_by_hand(picture, expected):
    assert metrics.colorfulness(picture) == pytest.approx(expected)


def test_colorfulness_ignores_the_order_of_pixels(portraits):
    shuffled = np.random.default_rng(0).permutation(portraits[0].reshape(-1, 3))
    expected = metrics.colorfulness(portraits[0])
    assert metrics.colorfulness(shuffled.reshape(64, 64, 3)) == pytest.approx(expected)


def test_errors_by_hand():
    # Half of the pixels differ by 255 in red and 0 in the rest: by 127 and 128 from gray.
    colored, true = halves(RED, GRAY), flat(GRAY, width=32)
    channels = np.array([127, 128, 128])
    assert metrics.mean_squared_error(colored, true) == pytest.approx(np.mean(channels**2) / 2)
    assert metrics.mean_absolute_error(colored, true) == pytest.approx(np.mean(channels) / 2)


def test_errors_of_eight_bit_levels_do_not_wrap_around():
    assert metrics.mean_squared_error(flat((0, 0, 0)), flat((255, 255, 255))) == 255**2
    assert metrics.mean_absolute_error(flat((0, 0, 0)), flat((255, 255, 255))) == 255


def test_errors_in_ab_units():
    predicted, true = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    true[0, 0] = (-60, 40)
    assert metrics.mean_squared_error(predicted, true) == (3600 + 1600) / 8
    assert metrics.mean_absolute_error(predicted, true) == 100 / 8


def test_a_perfect_coloring(portraits):
    assert metrics.mean_squared_error(portraits, portraits).tolist() == [0, 0]
    assert metrics.mean_absolute_error(portraits, portraits).tolist() == [0, 0]
    assert metrics.colorfulness_difference(portraits, portraits).tolist() == [0, 0]
    assert metrics.peak_signal_to_noise_ratio(portraits, portraits).tolist() == [np.inf] * 2
    assert metrics.structural_similarity_index(portraits, portraits) == pytest.approx([1, 1])


def test_a_gray_coloring_is_duller_than_the_truth():
    assert metrics.colorfulness_difference(flat(GRAY), flat(BLUE)) == pytest.approx(-76.5)


def test_mean_of_the_differences():
    colored = np.stack([flat(GRAY), flat(BLUE)])
    true = np.stack([flat(BLUE), flat(BLUE)])
    assert metrics.mean_colorfulness_difference(colored, true) == pytest.approx(-76.5 / 2)


def test_the_papers_tables_agree_on_the_sign_of_the_difference():
    # Table V: 25.10 for VGGFace and 41.87 for the ground truth; Table VI: -16.77.
    assert pytest.approx(-16.77) == 25.10 - 41.87


def test_psnr_and_ssim_against_scikit_image(portraits):
    true, colored = portraits
    assert metrics.peak_signal_to_noise_ratio(colored, true) == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(true, colored)
    )
    by_channel = [
        skimage.metrics.structural_similarity(
            true[..., channel],
            colored[..., channel],
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        for channel in range(3)
    ]
    assert metrics.structural_similarity_index(colored, true) == pytest.approx(np.mean(by_channel))


@pytest.mark.parametrize(
    "metric",
    [
        metrics.mean_squared_error,
        metrics.mean_absolute_error,
        metrics.colorfulness_difference,
        metrics.peak_signal_to_noise_ratio,
        metrics.structural_similarity_index,
    ],
)
def test_a_batch_gives_one_number_per_picture(metric, portraits):
    colored = portraits[::-1]
    expected = [metric(one, other) for one, other in zip(colored, portraits, strict=True)]
    assert metric(colored, portraits) == pytest.approx(expected)


def test_different_shapes_are_an_error():
    with pytest.raises(ValueError, match="Resize one"):
        metrics.mean_squared_error(flat(RED), flat(RED, width=8))
    with pytest.raises(ValueError, match="a picture"):
        metrics.mean_squared_error(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="three channels"):
        metrics.colorfulness(np.zeros((4, 4, 2)))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "not colorful"),
        (7.4, "not colorful"),
        (7.6, "slightly colorful"),
        (25.10, "moderately colorful"),
        (41.87, "averagely colorful"),
        (59, "quite colorful"),
        (82, "highly colorful"),
        (500, "extremely colorful"),
    ],
)
def test_words_of_table_iv(value, words):
    assert metrics.colorfulness_attribute(value) == words


def test_table_iv_as_printed():
    assert [row.value for row in metrics.COLORFULNESS_ATTRIBUTES] == [0, 15, 33, 45, 59, 82, 109]
