"""The evaluate command from end to end, on two portraits and an untrained network."""

import csv
import os

import numpy as np
import pytest
from PIL import Image
from support.page import Page
from support.untrained_models import save_untrained

from koala_face import evaluate
from koala_face.evaluation.report_parts import read_run
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def report(tmp_path_factory, portrait_folder):
    """A report with the model in its run's folder: its folder, and what the command gave."""
    folder = tmp_path_factory.mktemp("evaluate")
    run = RunFolder(folder / "run")
    save_untrained(run.model_file, {"mean_ab": [5.0, 9.0], "data": "helen/train"})
    empty = dict.fromkeys(("learning_rate", "seconds", "val_loss_untreated"), 0.0)
    run.write_history([{"epoch": 1, "loss": 0.5, "val_loss": 0.4, **empty}])
    argv = ["--model", str(run.model_file), "--data", str(portrait_folder), "--size", "64"]
    argv += ["-o", str(folder / "report"), "--cache", str(folder / "cache"), "--resamples", "50"]
    assert evaluate.main(argv) == 0
    return folder / "report"


def read_rows(report):
    with open(report / "portraits.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_per_portrait_and_columns_for_all_baselines(report):
    rows = read_rows(report)
    assert [row["path"] for row in rows] == ["grace_hopper.jpg", "nasa/astronaut.png"]
    for row in rows:
        block_mean, *others = (
            float(row[f"{name}_mse"]) for name in ("block_mean", "constant", "gray")
        )
        assert 0 < block_mean < min(others)
        assert float(row["gray_colorfulness"]) == 0
        difference = float(row["model_colorfulness"]) - float(row["true_colorfulness"])
        assert float(row["model_colorfulness_difference"]) == pytest.approx(difference, abs=1e-3)


def test_the_report_holds_the_means_and_its_sources(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    mean = np.mean([float(row["gray_mse"]) for row in read_rows(report)])
    (line,) = [
        line for line in text.splitlines() if line.startswith(f"| gray: a = b = 0 | {mean:.1f}")
    ]
    assert "not colorful" in line
    assert "constant: a = 5.0, b = 9.0" in text
    assert "of `helen/train`, as the model's file says" in text
    assert "**On 2 portraits not certainly better than gray or the constant**" in text
    assert "the paper's VGGFace, its 799 images" in text
    assert "block mean: true ab at 32 × 32" in text
    assert "2 portraits, measured at 64 × 64" in text


def test_figures_stand_in_the_page(report):
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 3
    assert page.count('src="data:image/webp;base64,') == page.count("<img") - 3 == 2 * 3
    assert all((report / f"figure{number}.png").stat().st_size > 0 for number in (2, 3, 4))


def test_a_folder_of_gray_photographs(tmp_path):
    """Gray is perfect there, so nothing is a share of its error."""
    Image.fromarray(np.full((80, 80, 3), 99, np.uint8)).save(tmp_path / "gray.png")
    model = save_untrained(tmp_path / "model.h5")
    argv = ["--data", tmp_path, "--model", model, "--size", 64, "--cache", tmp_path / "cache"]
    assert evaluate.main([str(word) for word in [*argv, "-o", tmp_path / "report"]]) == 0
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "| gray: a = b = 0 | 0.0 | 0.00 |" in text
    assert "| gray: a = b = 0 | – |" in text
    assert "a constant in hindsight" in text


def test_gray_and_tinted_portraits_can_be_left_out(tmp_path, astronaut):
    sepia = np.linspace(0, 1, 80)[:, None, None] * np.array([250.0, 245.0, 235.0])
    pictures = {"sepia": np.tile(sepia, (1, 80, 1)), "gray": np.full((80, 80, 3), 99)}
    for name, rgb in {**pictures, "one": astronaut, "two": astronaut[::-1]}.items():
        Image.fromarray(rgb.astype(np.uint8)).save(tmp_path / f"{name}.png")
    model = save_untrained(tmp_path / "model.h5")
    argv = ["--data", tmp_path, "--model", model, "--size", 64, "--cache", tmp_path / "cache"]
    argv += ["-o", tmp_path / "report", "--color-only"]
    assert evaluate.main([str(word) for word in argv]) == 0
    assert [row["path"] for row in read_rows(tmp_path / "report")] == ["one.png", "two.png"]
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "2 portraits in colour, gray and tinted ones left out, measured at 64" in text
    assert "--color-only" in text


def test_all_portraits_hang_in_the_gallery_in_their_own_proportions(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    rows = read_rows(report)
    hung = [item for item in page.all("li") if "data-mse" in item]
    for row, item in zip(rows, hung, strict=True):
        assert float(item["data-mse"]) == float(row["model_mse"])
        assert float(item["data-change"]) == float(row["model_colorfulness_difference"])
        assert row["path"] in page.text
    stages = [part["style"] for part in page.all("div") if part.get("class") == "stage"]
    # Grace Hopper is 512 x 600 pixels: at most 64, as was measured, on the longer side.
    assert stages == ["aspect-ratio: 55 / 64", "aspect-ratio: 64 / 64"]
    assert page.references == ["portraits.csv"]
    assert "report.html" in (report / "report.md").read_text(encoding="utf-8")


STRANGE = "`<script>alert(1)</script>`|](x) ![p](report.md)\x1b\n\n![p](/etc/passwd)<b>"


@pytest.fixture(scope="module")
def strange(tmp_path_factory, astronaut):
    """A report on files and a model that would like to be more than names; its page and text."""
    folder = tmp_path_factory.mktemp("strange")
    (folder / "in").mkdir()
    small = Image.fromarray(astronaut[::4, ::4])
    small.save(folder / "in" / "plain.png")
    try:
        small.save(folder / "in" / f"{STRANGE.replace('/', ':')}.png")
        small.save(os.fsencode(folder / "in") + b"/caf\xe9.png")
    except OSError as error:
        pytest.skip(f"a file system without such names: {error}")
    (folder / "history.csv").write_bytes(b"\xff\xd8 not a table\n1,2")
    training = {"mean_ab": [5, 9], "data": STRANGE, "command": STRANGE}
    model = save_untrained(folder / "model.h5", training)
    argv = ["--data", folder / "in", "--model", model, "--size", 64, "--cache", folder / "cache"]
    argv += ["-o", folder / "report", "--resamples", 20]
    assert evaluate.main([str(word) for word in argv]) == 0
    return folder / "report"


def test_names_and_attributes_are_shown_and_not_obeyed(strange):
    page = Page((strange / "report.html").read_text(encoding="utf-8"))
    assert page.references == ["portraits.csv"]
    assert len(page.all("script")) == 1
    assert "b" not in [tag for tag, _ in page.tags]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count(r"![p](report.md)\x1b\n\n![p](:etc:passwd)<b>.png") >= 1
    assert page.text.count(r"`|](x) ![p](report.md)\x1b\n\n![p](/etc/passwd)<b>") == 2
    images = [image["src"].partition(",")[0] for image in page.all("img")]
    # Figures 3 and 4, and three pictures of each portrait.
    assert images == ["data:image/png;base64"] * 2 + ["data:image/webp;base64"] * 9


def test_a_name_that_is_no_utf_8_costs_no_report(strange):
    assert r"caf\udce9.png" in [row["path"] for row in read_rows(strange)]
    assert r"caf\udce9.png" in (strange / "report.html").read_text(encoding="utf-8")
    assert "Figure 3" in (strange / "report.md").read_text(encoding="utf-8")


def test_a_foreign_history_costs_figure_2_alone(strange):
    assert not (strange / "figure2.png").exists()
    assert (strange / "figure3.png").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\xff\xfe",
        b"date,price\n1,2\n",
        b"epoch,loss\nfirst,0.5\n",
        b"epoch,loss\n1,nan\n",
        b"epoch,loss\n1\n",
        b"epoch,loss\n1,0.5,7\n",
        b"epoch,loss\n1," + b"9" * 200_000,
    ],
)
def test_a_broken_history_is_none(tmp_path, content, caplog):
    (tmp_path / "history.csv").write_bytes(content)
    assert read_run(tmp_path / "model.h5").history == []
    assert not content or "no Figure 2" in caplog.text


@pytest.mark.parametrize(
    ("settings", "loss", "epochs"),
    [
        ('{"settings": {"loss": "rgb"}}', "rgb", 1),
        ('{"settings": {"loss": "$\\\\frac{"}}', "mse", 1),
        ('{"settings": {"loss": [1]}}', "mse", 1),
        ("{", "mse", 0),
    ],
)
def test_figure_2_has_the_unit_of_what_was_made_small(tmp_path, settings, loss, epochs):
    empty = dict.fromkeys(("learning_rate", "seconds", "val_loss_untreated"), 0.0)
    run = RunFolder(tmp_path)
    run.write_history([{"epoch": 1, "loss": 0.5, "val_loss": 0.4, **empty}])
    run.settings_file.write_text(settings)
    found = read_run(tmp_path / "model.h5")
    assert (found.loss, len(found.history)) == (loss, epochs)


def test_a_folder_named_like_a_history_is_none(tmp_path):
    (tmp_path / "history.csv").mkdir()
    assert read_run(tmp_path / "model.h5").history == []


def test_impossible_numbers_are_refused(portrait_folder):
    for flag, value in (("--resamples", "0"), ("--batch-size", "0"), ("--seed", "-1")):
        with pytest.raises(KoalaFaceError, match=flag):
            evaluate.main(["--data", str(portrait_folder), flag, value])


def test_missing_inputs_are_named(tmp_path, portrait_folder):
    with pytest.raises(KoalaFaceError, match="nowhere"):
        evaluate.main(["--data", "nowhere"])
    argv = ["--data", str(portrait_folder), "--cache", str(tmp_path), "-o", str(tmp_path / "r")]
    with pytest.raises(KoalaFaceError, match=r"missing\.h5"):
        evaluate.main([*argv, "--model", "missing.h5"])


def test_aged_adds_its_rows_and_skin_is_always_reported(tmp_path, portrait_folder):
    model = save_untrained(tmp_path / "model.h5")
    argv = ["--data", portrait_folder, "--model", model, "--size", 64, "--resamples", 20]
    argv += ["--cache", tmp_path / "cache", "-o", tmp_path / "report", "--aged"]
    assert evaluate.main([str(word) for word in argv]) == 0
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "## Shown as old photographs" in text
    assert "| all together |" in text
    assert "## Skin" in text
    assert "--aged" in text
    # The stars of a* and b* are no emphasis.
    page = Page((tmp_path / "report" / "report.html").read_text(encoding="utf-8")).text
    assert "units of a* and b*, of 2 portraits" in page
    assert "at the portrait's own L*. " in page
    assert "true a* and b*, in their units" in page
