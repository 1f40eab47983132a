"""Tables V and VI: the paper's numbers transcribed again, and what is said of ours."""

import numpy as np
import pytest

from koala_face.evaluation import tables
from koala_face.evaluation.bootstrap import Estimate


def exactly(value):
    return Estimate(value, np.full(9, value))


def metrics(mse, mae=1.0, colorful=20.0, change=-10.0, truth=30.0):
    return {
        "mse": exactly(mse),
        "mae": exactly(mae),
        "colorfulness": exactly(colorful),
        "colorfulness_difference": exactly(change),
        "true_colorfulness": exactly(truth),
        **{key: exactly(1.0) for key in tables.FURTHER_METRICS},
    }


def row_of(table, name):
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_papers_numbers_are_quoted_as_printed():
    results = {"vggface": metrics(400.0), "gray": metrics(600.0)}
    names = {"vggface": "VGGFace", "gray": "gray"}
    fifth = tables.table_v(results, names, left_out=["vgg19"])
    assert row_of(fifth, "VGGFace")[-1] == "25.10<br>moderately colorful"
    assert row_of(fifth, "Ground truth")[-1] == "41.87<br>averagely colorful"
    assert row_of(fifth, "VGG19") == [
        "VGG19",
        "left out: no weights",
        "28.89<br>moderately colorful",
    ]
    sixth = tables.table_vi(results, names, left_out=["vgg19", "inception_resnet_v2"])
    assert row_of(sixth, "VGGFace")[-3:] == ["368.57", "11.88", "−16.77"]
    assert row_of(sixth, "VGG19")[-3:] == ["387.15", "12.71", "−12.98"]
    assert row_of(sixth, "Inception-ResNet-v2")[-3:] == ["374.23", "12.06", "−19.78"]
    assert row_of(sixth, "gray")[1] == "600.0"
    assert row_of(sixth, "gray")[-3:] == ["–", "–", "–"]


def test_the_papers_rows_are_marked_as_its_own():
    text = tables.results_table({"model": metrics(400.0)}, tables.PAPER_METRICS, quote_paper=True)
    quoted = [line for line in text.splitlines() if "the paper's" in line]
    assert len(quoted) == 4
    assert all("799 images" in line for line in quoted)
    assert row_of(text, "the true portraits")[3] == "30.00<br>moderately colorful"


def test_cells_hold_value_interval_and_words():
    estimate = Estimate(-1.234, np.linspace(-2, 2, 10001))
    assert tables.with_interval(estimate, 2) == "−1.23<br>[−1.90, 1.90]"
    cell = tables.metric_cell({"colorfulness": exactly(60.0)}, "colorfulness")
    assert cell == "60.00<br>quite colorful"


def test_shares_of_gray():
    gray = metrics(500.0, change=-40.0)
    text = tables.shares_table({"model": metrics(400.0, change=-10.0)}, gray)
    assert row_of(text, "model")[1:4] == ["0.800", "1.000", "0.250"]
    assert "PSNR" not in text  # a share of decibels says nothing


def test_verdicts():
    noisy, worse = Estimate(1.0, np.linspace(-1, 3, 99)), Estimate(1.0, np.linspace(0.5, 2, 99))
    assert "noise" in tables.verdict("a", "b", "mse", noisy)
    assert tables.verdict("a", "b", "mse", worse) == "b has the lower error"
    assert tables.verdict("a", "b", "colorfulness_difference", worse) == "a is more colorful"


def test_all_pairs_are_compared():
    results = {"a": metrics(110.0), "b": metrics(100.0), "c": metrics(100.0)}
    text = tables.differences_table(results)
    assert len(text.splitlines()) == 2 + 3 * 3
    first = text.splitlines()[2]
    assert "| a − b | MSE | 10.0 | 10.0 % | b has the lower error |" in first
    assert "may be noise" in next(line for line in text.splitlines() if "b − c | MSE" in line)


def test_perfect_models_can_be_compared():
    results = {"a": metrics(0.0), "b": metrics(0.0)}
    assert row_of(tables.differences_table(results), "a − b | MSE")[3] == "– %"


@pytest.mark.parametrize(
    ("value", "text"), [(-0.5, "−0.5"), (None, "–"), (float("nan"), "–"), (float("inf"), "∞")]
)
def test_numbers(value, text):
    assert tables.number(value, 1) == text


def scored(mse, spread, mae=1.0):
    """Estimates whose MSE is `mse` plus what each of three resamples adds."""
    return {"mse": Estimate(mse, mse + np.array(spread, float)), "mae": exactly(mae)}


def test_words_say_where_an_interval_holds_gray_or_the_constant():
    """Paired: gray's MSE moves with the model's, 100 above; the constant's lies in between."""
    results = {
        "model": scored(400, [-50, 0, 50]),
        "gray": scored(500, [-50, 0, 50], mae=2.0),
        "constant": scored(410, [30, 0, -30], mae=0.5),
    }
    words = tables.judgment(results, 20).splitlines()
    assert words[0] == "On 20 portraits the model is"
    # -10 and resamples -90, -10, 70: their middle 95 % lies 2.5 % of 2 steps inside.
    assert words[2:] == [
        "- **In MSE not certainly better than constant**: "
        "0 lies in the difference's interval, [−86.0, 66.0].",
        "- **In MAE worse than constant**, by 0.50 to 0.50.",
    ]


def test_words_for_a_model_that_is_better_beyond_doubt():
    results = {"model": scored(400, [-50, 0, 50])}
    results |= dict.fromkeys(("gray", "constant"), scored(500, [-50, 0, 50], mae=2.0))
    words = tables.judgment(results, 330)
    assert words.startswith("On 330 portraits the model is better than gray and the constant")
    assert "not certainly" not in words


@pytest.mark.parametrize(("count", "text"), [(1, "On 1 portrait not"), (9, "On 9 portraits not")])
def test_of_few_portraits_nothing_is_certain(count, text):
    """One portrait has an interval of no width, which would make anything certain."""
    results = {"model": scored(1, [0, 0, 0])}
    results |= dict.fromkeys(("gray", "constant"), scored(500, [0, 0, 0], mae=2.0))
    assert f"**{text} certainly better than gray or the constant**" in tables.judgment(
        results, count
    )
