"""The evaluate command from end to end, on two portraits and an untrained network."""

import csv

import numpy as np
import pytest
from PIL import Image
from untrained_models import save_untrained

from koala_face import evaluate
from koala_face.errors import KoalaFaceError
from koala_face.run_folder import RunFolder


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
        ceiling, *others = (float(row[f"{name}_mse"]) for name in ("ceiling", "constant", "gray"))
        assert 0 < ceiling < min(others)
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
    assert "of helen/train, as the model's file says" in text
    assert "the paper's VGGFace, its 799 images" in text
    assert "ceiling: true ab at 32 × 32" in text
    assert "2 portraits, measured at 64 × 64" in text


def test_figures_stand_in_the_page(report):
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 3
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


def test_impossible_numbers_are_refused(portrait_folder):
    with pytest.raises(KoalaFaceError, match="--resamples"):
        evaluate.main(["--data", str(portrait_folder), "--resamples", "0"])


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
