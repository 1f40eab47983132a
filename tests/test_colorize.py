"""The command, from files to files."""

import os
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from constant_model import save_constant_model
from PIL import Image
from skimage.color import rgb2lab

from koala_face.colorize import main, on_one_line
from koala_face.decoding import PhotographError, read_photograph
from koala_face.shipped_models import ColorizerError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_constant_model(tmp_path_factory.mktemp("model") / "model.h5"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return str(path)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def median_ab(path):
    return np.median(rgb2lab(pixels(path)), axis=(0, 1))[1:]


def test_a_tree_is_coloured_then_skipped_then_overwritten(folder, model, astronaut, caplog):
    gray = astronaut[:40, :60, 0]
    saved(folder / "in/a b.png", gray)
    saved(folder / "in/sub/ä\n字.png", gray[:, ::-1])
    caplog.set_level("INFO", "koala_face")
    assert main(["in", "-o", "out", "--model", model]) == 0
    results = [folder / "out/a b.png", folder / "out/sub/ä\n字.png"]
    assert "2 coloured, 0 already there, 0 failed" in caplog.text
    for path in results:
        assert np.abs(median_ab(path) - (12, 18)).max() < 1.5
    results[0].write_bytes(b"finished")
    assert main(["in", "-o", "out", "--model", model]) == 0
    assert "0 coloured, 2 already there" in caplog.text
    assert results[0].read_bytes() == b"finished"
    assert main(["in", "-o", "out", "--model", model, "--overwrite"]) == 0
    assert pixels(results[0]).shape == (40, 60, 3)


def test_failures_are_listed_at_the_end_and_the_others_are_done(folder, model, astronaut, caplog):
    saved(folder / "in/good.jpg", astronaut[..., 0])
    (folder / "in/empty.jpg").touch()
    (folder / "in/te\nxt.jpg").write_text("no photograph")
    assert main(["in", "gone.jpg", "-o", "out", "--model", model]) == 1
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 3
    assert all("\n" not in line for line in lines)
    for name in ("in/empty.jpg: the file is empty", r"in/te\nxt.jpg: not a", "gone.jpg: does not"):
        assert sum(name in line for line in lines) == 1
    assert [path.name for path in (folder / "out").iterdir()] == ["good.jpg"]


def test_nothing_of_a_scan_is_lost(folder, model, astronaut):
    """16 bits, rotation, resolution, EXIF and alpha, through the command."""
    ramp = np.linspace(5000, 60000, 50 * 80).reshape(50, 80).astype(np.uint16)
    imagecodecs.imwrite(folder / "deep.png", ramp)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    saved(folder / "turned.jpg", astronaut[:50, :80, 0], exif=exif, dpi=(240, 240))
    clear = np.dstack([astronaut, astronaut[..., 1]])[:50, :80]
    saved(folder / "clear.png", clear)
    assert main(["deep.png", "turned.jpg", "clear.png", "-o", "out", "--model", model]) == 0
    deep = read_photograph(folder / "out/deep.png").pixels
    assert deep.dtype == np.uint16
    difference = rgb2lab(deep / 65535)[..., 0] - rgb2lab(np.dstack([ramp] * 3) / 65535)[..., 0]
    assert np.abs(difference).max() < 0.05
    with Image.open(folder / "out/turned.jpg") as turned:
        assert turned.size == (50, 80)
        assert turned.getexif().get(0x0112, 1) == 1
        assert turned.getexif()[0x010F] == "Camera"
        assert turned.info["dpi"] == (240, 240)
        upright = np.rot90(astronaut[:50, :80, 0], -1).astype(int)
        assert np.abs(np.asarray(turned.convert("L")) - upright).mean() < 6
    np.testing.assert_array_equal(pixels(folder / "out/clear.png")[..., 3], clear[..., 3])


def test_flags(folder, model, astronaut):
    saved(folder / "a.png", astronaut[:60, :80, 0])
    common = ["a.png", "--model", model]
    assert main([*common, "-o", "gray.png", "--saturation", "0"]) == 0
    assert pixels("gray.png").std(axis=-1).max() == 0
    assert main([*common, "-o", "b.png", "--side-by-side"]) == 0
    assert pixels("b.png").shape == (60, 160, 3)
    assert main([*common, "-o", "c", "--format", "webp", "--quality", "10"]) == 0
    assert Path("c/a.webp").read_bytes()[8:12] == b"WEBP"
    assert main([*common, "-o", "d.jpg", "--quality", "100"]) == 0
    assert main([*common, "-o", "e.jpg", "--quality", "5"]) == 0
    assert os.path.getsize("d.jpg") > 3 * os.path.getsize("e.jpg")
    assert main([*common, "-o", "plain.png", "--upsampling", "plain"]) == 0
    assert np.abs(median_ab("plain.png") - (12, 18)).max() < 1.5


def test_what_is_wrong_is_said_before_the_work(folder, astronaut):
    """None of these errors may wait for the model: there is none."""
    for name in ("x/a.png", "y/a.png"):
        saved(folder / name, astronaut[:9, :9])
    missing = ["--model", "no.h5"]
    wrong = {
        "would both be written to out/a.png": ["x", "y", "-o", "out"],
        "would replace": ["x", "-o", "x"],
        "can be written": ["x", "-o", "x/a.png/out"],
        "quality of 1 to 100": ["x", "-o", "out", "--quality", "0"],
        "saturation of 0 or more": ["x", "-o", "out", "--saturation=-1"],
    }
    for message, arguments in wrong.items():
        with pytest.raises((PhotographError, ColorizerError), match=message):
            main([*arguments, *missing])
        assert not (folder / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(folder, model, astronaut):
    saved(folder / "a.png", astronaut[:9, :9])
    (folder / "out").mkdir(mode=0o500)
    with pytest.raises(PhotographError, match="can be written"):
        main(["a.png", "-o", "out", "--model", model])


def test_names_on_one_line():
    assert on_one_line("a\nb\x1b[31m é字\udcff") == r"a\nb\x1b[31m é字\udcff"


def fifty_megapixels(astronaut, deep):
    """7072 x 7072: a gray JPEG, or an RGB TIFF of 16 bits."""
    large = Image.fromarray(astronaut[..., 0]).resize((7072, 7072), Image.Resampling.BILINEAR)
    if not deep:
        large.save("large.jpg", quality=80)
        return "large.jpg"
    rgb = np.stack([np.asarray(large)] * 3, axis=-1).astype(np.uint16) * 257
    tifffile.imwrite("large.tif", rgb, photometric="rgb")
    return "large.tif"


@pytest.mark.slow
@pytest.mark.parametrize("deep", [False, True])
def test_fifty_megapixels_in_two_gibibytes(folder, astronaut, deep):
    """The whole command in a process of its own, with the network at its real size."""
    name = fifty_megapixels(astronaut, deep)
    model = save_constant_model(folder / "model.h5", size=256)
    program = (
        "import resource, sys; from koala_face.colorize import main\n"
        "status = main(sys.argv[1:])\n"
        "print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", program, name, "-o", "out", "--model", str(model)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    status, kibibytes = map(int, done.stdout.split())
    assert status == 0
    assert read_photograph(f"out/{name}").pixels.shape == (7072, 7072, 3)
    assert kibibytes < 2 * 2**20, f"{kibibytes / 2**20:.2f} GiB"


def test_a_narrow_range_is_said_and_can_be_left_alone(folder, model, astronaut, caplog):
    saved(folder / "in/faded.png", np.round(90 + 0.3 * astronaut[:40, :60, 0]).astype(np.uint8))
    caplog.set_level("INFO", "koala_face")
    assert main(["in", "-o", "out", "--model", model]) == 0
    assert "faded.png: its range is narrow; the network saw it stretched" in caplog.text
    caplog.clear()
    assert main(["in", "-o", "other", "--model", model, "--no-stretch"]) == 0
    assert "narrow" not in caplog.text
