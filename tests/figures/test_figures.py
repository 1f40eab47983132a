"""Figures: what is drawn, read back from matplotlib's own objects and from the file."""

import numpy as np
import pytest
import skimage.color
from matplotlib.figure import Figure
from PIL import Image

from koala_face.figures import paper

HISTORY = [
    {"epoch": 1, "loss": 0.4, "val_loss": 0.5},
    {"epoch": 2, "loss": 0.3, "val_loss": float("nan")},
    {"epoch": 3, "loss": 0.2, "val_loss": 0.3},
]


def picture(color, caption=""):
    return paper.Picture(np.full((8, 8, 3), color, np.uint8), caption)


def test_loss_of_each_epoch():
    training, validation = paper.loss_figure(HISTORY).axes[0].lines
    assert training.get_xydata().tolist() == [[1, 0.4], [2, 0.3], [3, 0.2]]
    assert validation.get_ydata()[[0, 2]].tolist() == [0.5, 0.3]
    assert np.isnan(validation.get_ydata()[1])
    assert training.get_linestyle() != validation.get_linestyle()


@pytest.mark.parametrize("absent", [None, "", float("nan"), "nan"])
def test_loss_without_validation(absent):
    history = [{**row, "val_loss": absent} for row in HISTORY]
    (axes,) = paper.loss_figure(history).axes
    assert [line.get_label() for line in axes.lines] == ["training"]
    without_key = [{"epoch": row["epoch"], "loss": row["loss"]} for row in HISTORY]
    assert len(paper.loss_figure(without_key).axes[0].lines) == 1


def test_another_loss_has_a_panel_of_its_own():
    """Half of 0.6 and 0.02 are of two units: on one axis they would be compared."""
    trained, measured = paper.loss_figure(HISTORY, loss="rgb").axes
    assert [line.get_label() for line in trained.lines] == ["training"]
    assert all("training" not in line.get_label() for line in measured.lines)
    assert measured.lines
    assert (trained.get_ylabel(), measured.get_ylabel()) == (
        "loss: rgb",
        "MSE of a*/128 and b*/128",
    )
    assert len(paper.loss_figure(HISTORY).axes) == 1


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "loss.png"
    path.write_bytes(b"old")

    class Broken:
        def savefig(self, file, **options):
            file.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        paper.save_figure(Broken(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["loss.png"]
    assert path.read_bytes() == b"old"


def test_a_loss_that_falls_to_a_tenth_is_drawn_on_a_logarithmic_axis():
    """0.5 to 0.01: a linear axis from 0 would show the last epochs as one line."""
    untreated = [
        {"epoch": e, "loss": 0.01, "val_loss_untreated": v} for e, v in ((1, 0.5), (2, 0.02))
    ]
    (axes,) = paper.loss_figure(untreated).axes
    assert axes.get_yscale() == "log"
    assert axes.lines[-1].get_ydata().tolist() == [0.5, 0.02]
    low, high = axes.get_ylim()
    assert 0.005 < low < 0.01
    assert 0.5 < high < 1
    axes.figure.canvas.draw()
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert {"0.01", "0.02", "0.05", "0.1", "0.2", "0.5"} <= set(ticks)
    assert not axes.yaxis.get_ticklabels(minor=True)


def test_a_loss_that_falls_less_is_drawn_from_0():
    (axes,) = paper.loss_figure([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.06}]).axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0


@pytest.mark.parametrize("history", [[], HISTORY[:1]])
def test_loss_of_a_run_that_has_just_begun(history, tmp_path):
    path = paper.draw_loss(history, tmp_path / "run" / "loss.png")
    with Image.open(path) as image:
        assert image.width == paper.PAGE_WIDTH * paper.RESOLUTION


def test_no_global_figure_is_left_open():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    assert isinstance(paper.loss_figure(HISTORY), Figure)
    assert plt.get_fignums() == before


def test_a_row_per_portrait_and_a_column_per_descriptor(tmp_path):
    rows = [
        [picture(10, "M 0.0"), picture((255, 0, 0), "M 85.5\nMSE 3")],
        [picture(20), paper.Picture(np.full((8, 8), 99, np.uint8))],
    ]
    figure = paper.pictures_figure(rows, ["gray", "colored"], ["first", "worst"])
    assert [axes.get_title() for axes in figure.axes] == ["gray", "colored", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["first", "", "worst", ""]
    assert figure.axes[1].get_xlabel() == "M 85.5\nMSE 3"
    assert np.array_equal(figure.axes[1].images[0].get_array(), rows[0][1].pixels)
    with Image.open(paper.save_figure(figure, tmp_path / "figure3.png")) as image:
        colors = {color for _, color in image.convert("RGB").getcolors(2**24)}
    # Red is shown as red, and a gray picture at its own level, not stretched.
    assert {(255, 0, 0), (99, 99, 99), (10, 10, 10)} <= colors


def test_gray_colored_and_true_side_by_side(astronaut, grace_hopper):
    true = [astronaut, grace_hopper]
    red = [np.full_like(picture, (255, 0, 0)) for picture in true]
    axes = paper.colorization_figure(true, red, ["Eileen", "Grace"]).axes
    gray = axes[0].images[0].get_array()
    lightness = skimage.color.rgb2lab(skimage.color.gray2rgb(gray))[..., 0]
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256)
    half_a_level = np.diff(skimage.color.rgb2lab(skimage.color.gray2rgb(ramp))[0, :, 0]).max() / 2
    assert np.abs(lightness - skimage.color.rgb2lab(astronaut)[..., 0]).max() < half_a_level + 0.01
    # A pure red has M = 0.3 * 127.5 * sqrt(5).
    assert axes[1].get_xlabel().startswith("M 85.5\nMSE ")
    assert np.array_equal(axes[5].images[0].get_array(), grace_hopper)
    assert [ax.get_ylabel() for ax in axes] == ["Eileen", "", "", "Grace", "", ""]


def test_a_file_of_colorizations(astronaut, tmp_path):
    path = paper.draw_colorizations([astronaut], [astronaut], tmp_path / "figure.png")
    with Image.open(path) as image:
        assert image.width > image.height


def test_rows_without_a_name_are_an_error():
    with pytest.raises(ValueError):
        paper.pictures_figure([[picture(0)]], ["gray"], [])


def test_levels_are_counted_by_channel():
    rgb = np.array([[[255, 0, 7], [255, 1, 7]]], np.uint8)
    counts = paper.count_levels(rgb)
    assert counts.shape == (3, 256)
    assert counts.sum() == 6
    assert (counts[0, 255], counts[1, 0], counts[1, 1], counts[2, 7]) == (2, 1, 1, 2)


def test_distributions_overlay_colored_and_true():
    colored = paper.count_levels(np.full((4, 4, 3), (255, 0, 100), np.uint8))
    half = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    row = paper.Distribution("all", colored, paper.count_levels(half))
    figure = paper.distribution_figure([row])
    assert [axes.get_title() for axes in figure.axes] == [
        "Red channel",
        "Green channel",
        "Blue channel",
    ]
    for axes, bin_of_colored in zip(figure.axes, (63, 0, 25), strict=True):
        true_steps, colored_steps = [patch.get_data().values for patch in axes.patches]
        assert true_steps[[0, 63]].tolist() == [50, 50]
        assert colored_steps[bin_of_colored] == 100
        assert colored_steps.sum() == 100


def test_titles_of_many_columns_break_between_words_and_fit_their_columns():
    names = [
        "gray",
        "deep_koalarization: none (zeros)",
        *(f"dk_early_upsampling{n}" for n in "123456"),
    ]
    figure = paper.pictures_figure([[picture(0)] * len(names)], names, ["first"])
    figure.draw_without_rendering()
    for axes, name in zip(figure.axes, names, strict=True):
        lines = axes.get_title().split("\n")
        assert all(line in name for line in lines)
        words = "".join(line if line.endswith("_") else f"{line} " for line in lines)
        assert words.strip() == name
        assert axes.title.get_window_extent().width < 1.15 * axes.get_window_extent().width


def test_columns_without_titles():
    figure = paper.pictures_figure([[picture(0)] * 2], ["", ""], ["first"])
    assert [axes.get_title() for axes in figure.axes] == ["", ""]
