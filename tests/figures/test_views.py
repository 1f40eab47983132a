"""What the notebooks draw: numbers read back from matplotlib's objects, and from the pictures."""

import numpy as np
import pytest
import skimage.color

from koala_face import models
from koala_face.figures import descriptors, networks, portraits
from koala_face.metrics import colorfulness


@pytest.fixture(scope="module")
def model():
    """The paper's network, small in size only."""
    return models.build_colorizer(2622, 32)


def test_a_portrait_apart_in_l_a_b(astronaut):
    axes = [one for one in portraits.lab_figure(astronaut).axes if one.images]
    expected = skimage.color.rgb2lab(astronaut)
    for axis, channel in zip(axes[1:], np.moveaxis(expected, -1, 0), strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), channel, atol=0.01)
    titles = [axis.get_title() for axis in axes]
    assert titles[0] == "portrait"
    assert [title[:2] for title in titles[1:]] == ["L*", "a*", "b*"]


def test_colour_alone_has_one_luminance():
    ab = np.array([[[0, 0], [30, 20]], [[-30, 20], [10, -40]]], "float32")
    lab = skimage.color.rgb2lab(portraits.show_ab(ab))
    np.testing.assert_allclose(lab[..., 0], portraits.SHOWN_LUMINANCE, atol=0.5)
    np.testing.assert_allclose(lab[..., 1:], ab, atol=1)


def test_saturation_scales_a_and_b_and_leaves_l(grace_hopper):
    before = skimage.color.rgb2lab(grace_hopper)
    after = skimage.color.rgb2lab(portraits.saturate(grace_hopper, 0.5))
    assert np.abs(after - before * [1, 0.5, 0.5]).max() < 1.5  # half a level, where it is dark
    assert np.ptp(portraits.saturate(grace_hopper, 0).astype(int), axis=-1).max() <= 1


def test_table_iv_as_pictures(astronaut):
    axes = portraits.colorfulness_figure(astronaut[::4, ::4]).axes
    # Table IV, transcribed.
    assert [" ".join(axis.get_title().split()) for axis in axes] == [
        "not colorful",
        "slightly colorful",
        "moderately colorful",
        "averagely colorful",
        "quite colorful",
        "highly colorful",
        "extremely colorful",
    ]
    shown = [colorfulness(axis.images[0].get_array()) for axis in axes]
    np.testing.assert_allclose(shown, [0, 15, 33, 45, 59, 82, 109], atol=0.5)


def test_a_gray_portrait_stays_gray_in_table_iv(astronaut):
    gray = np.repeat(astronaut[::8, ::8, :1], 3, axis=-1)
    factor = portraits.find_saturation(gray, 45)
    assert factor == pytest.approx(portraits.LARGEST_SATURATION, rel=1e-3)


def test_coarse_colour_keeps_the_luminance_and_the_mean_colour(astronaut):
    before = skimage.color.rgb2lab(astronaut)
    after = skimage.color.rgb2lab(portraits.coarsen_ab(astronaut, 16))
    assert np.median(np.abs(after[..., 0] - before[..., 0])) < 0.5
    assert np.abs(after.mean((0, 1)) - before.mean((0, 1))).max() < 2
    assert np.abs(after[..., 1:] - before[..., 1:]).mean() > 1


def test_training_pairs_side_by_side(astronaut):
    lab = skimage.color.rgb2lab(astronaut[::4, ::4])
    luminance, ab = lab[None, ..., :1] / 100, lab[None, ..., 1:] / 128
    seen = np.full((1, 16, 16, 3), 77.0)
    axes = portraits.pairs_figure(luminance, ab, seen, ["Eileen"]).axes
    assert [axis.get_xlabel() for axis in axes] == ["128 × 128"] * 3 + ["16 × 16"]
    assert axes[0].get_ylabel() == "Eileen"
    difference = axes[2].images[0].get_array().astype(int) - astronaut[::4, ::4]
    assert np.abs(difference).max() <= 1
    assert (axes[3].images[0].get_array() == 77).all()


def test_each_epoch_has_its_picture_between_gray_and_true(astronaut):
    history = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}, {"epoch": 3, "loss": 0.125}]
    colored = [np.full_like(astronaut, value) for value in (10, 20, 30)]
    axes = portraits.epochs_figure(astronaut, colored, history).axes
    titles = [axis.get_title() for axis in axes if axis.images]
    assert titles[0] == "gray"
    assert titles[1:4] == ["epoch 1, loss 0.5000", "epoch 2, loss 0.2500", "epoch 3, loss 0.1250"]
    assert titles[4] == "true"
    assert [axis.images[0].get_array().max() for axis in axes[1:4]] == [10, 20, 30]


def test_the_map_of_errors_is_the_distance_in_the_ab_plane(astronaut):
    gray = portraits.saturate(astronaut, 0)
    axes = portraits.error_figure([astronaut], [gray], ["first"]).axes
    chroma = np.linalg.norm(skimage.color.rgb2lab(astronaut)[..., 1:], axis=-1)
    np.testing.assert_allclose(axes[2].images[0].get_array(), chroma, atol=1)
    assert axes[2].get_xlabel() == f"mean {chroma.mean():.1f}"
    assert axes[-1].get_ylabel() == "distance in the ab plane"


def test_predicted_over_true():
    true = np.random.default_rng(0).uniform(-50, 50, (2, 8, 8, 2))
    axes = portraits.predicted_over_true_figure(true, 0 * true).axes
    counts = axes[0].collections[0].get_array().reshape(60, 60)
    assert counts.sum() == true[..., 0].size
    assert counts[30].sum() == true[..., 0].size, "all predictions lie in the bins of zero"
    assert axes[1].get_ylabel() == "predicted b*"


def test_tables_beside_the_built_layers(model):
    """Tables I to III as the paper prints them, transcribed, with the outputs of size 32."""
    lines = networks.layer_table(model, models.ENCODER, "encoder").splitlines()
    assert lines[2] == "| Conv | 64 x (3x3) | 2x2 | relu | `encoder_conv1` | 16 × 16 × 64 | 640 |"
    assert lines[5].startswith("| Conv | 512 x (3x3) | 1x1 | relu | `encoder_conv4` | 4 × 4 × 512")
    lines = networks.layer_table(model, models.FUSION, "fusion").splitlines()
    assert lines[2] == "| Fusion | - | - | - | `fusion` | 4 × 4 × 2878 | 0 |"
    assert len(lines) == 4
    lines = networks.layer_table(model, models.DECODER, "decoder").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        *("| Upsamp", "| Conv", "| Conv", "| Upsamp"),
        *("| Conv", "| Conv", "| Conv", "| Upsamp"),
    ]
    assert lines[-1].endswith("`ab` | 32 × 32 × 2 | 0 |")


def test_the_drawn_network_names_every_output(model):
    (axis,) = networks.network_figure(model).axes
    texts = [text.get_text() for text in axis.texts]
    assert "vector of 2622" in texts
    # Channels of the input, Table I, Table II, Table III.
    channels = [1, 64, 128, 256, 512, 256, 2878, 256, 256, 128, 64, 64, 32, 16, 2, 2]
    sizes = [32, 16, 8, 4, 4, 4, 4, 4, 8, 8, 8, 16, 16, 16, 16, 32]
    numbers = [int(text) for text in texts if text.isdigit()]
    assert numbers[0::2] == sizes
    assert numbers[1::2] == channels


def test_the_drawn_fusion_gives_its_shapes(model):
    (axis,) = networks.fusion_figure(model).axes
    text = " ".join(text.get_text() for text in axis.texts)
    for shape in ("4 × 4 × 256", "vector of 2622", "4 × 4 × 2878"):
        assert shape in text


def test_bars_of_parameters(model):
    (axis,) = networks.parameters_figure(model).axes
    widths = [bar.get_width() for bar in axis.patches]
    # Kernel height x width x inputs x outputs, and a bias for each output.
    assert widths[:2] == [9 * 64 + 64, 9 * 64 * 128 + 128]
    assert widths[5] == 2878 * 256 + 256
    assert len(widths) == 11
    assert "3,865,650" in axis.get_title()


def mean_of_the_left(grays):
    """A descriptor that looks at the left half alone."""
    return np.asarray(grays, "float64")[:, :, :32].mean((1, 2))[:, None]


def test_what_is_hidden_counts_only_where_the_descriptor_looks():
    gray = np.full((64, 64), 200, np.uint8)
    moved = descriptors.occlusion_map(mean_of_the_left, gray, patch=16, step=16)
    # A patch of 16 x 16 out of 64 x 32 pixels, 72 levels darker.
    np.testing.assert_allclose(moved[:, :32], 72 * 16 * 16 / (64 * 32))
    assert (moved[:, 32:] == 0).all()
    figure = descriptors.occlusion_figure([gray, gray], [moved, moved], ["one", "two"])
    assert [axis.get_title() for axis in figure.axes[:2]] == ["one", "two"]


def test_distances_of_vectors():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    expected = [[0, 2**0.5, 2], [2**0.5, 0, 2**0.5], [2, 2**0.5, 0]]
    np.testing.assert_allclose(descriptors.distances(vectors), expected)
    axis = descriptors.distances_figure(vectors, ["a", "b", "c"]).axes[0]
    assert [text.get_text() for text in axis.texts[:3]] == ["0.00", "1.41", "2.00"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b", "c"]


def test_vectors_as_rows():
    axis = descriptors.vectors_figure(np.eye(3), ["a", "b", "c"]).axes[0]
    assert np.array_equal(axis.images[0].get_array(), np.eye(3))


def test_nearest_vectors_first_and_never_itself():
    vectors = [[0, 0], [3, 4], [1, 0], [0, 0]]
    assert descriptors.nearest(vectors, 0, 3).tolist() == [3, 2, 1]
    assert descriptors.nearest(vectors, 1, 2).tolist() == [2, 0]

    def read(row):
        return np.full((8, 8, 3), row, np.uint8)

    ways = {"one": vectors, "other": np.negative(vectors)[::-1]}
    drawn = descriptors.nearest_figure(read, ways, rows=[0], count=2)
    shown = [axes.images[0].get_array()[0, 0, 0] for axes in drawn.axes]
    # In the other way row 0 is [0, 0] and row 3 too; 1 is [-1, 0].
    assert shown == [0, 3, 2, 0, 3, 1]
