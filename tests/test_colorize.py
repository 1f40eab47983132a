"""The command, from files to files."""

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import rgb2lab
from support.constant_model import NONE, describe, save_constant_model

from koala_face.colorize import main
from koala_face.colorizer.colorizer import Colorizer
from koala_face.foundation.errors import visible
from koala_face.model_files import shipped
from koala_face.model_files.files import save_model
from koala_face.model_files.shipped import VARIANTS, ColorizerError
from koala_face.models import build_colorizer
from koala_face.photographs.decoding import PhotographError, read_photograph


@pytest.fixture(scope="module", autouse=True)
def _networks_once():
    """A model file is loaded, and its network traced, at its first photograph alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Colorizer, "load", functools.cache(Colorizer.load))
        yield


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


def test_without_o_results_lie_beside_and_are_never_coloured_again(
    folder, model, astronaut, caplog
):
    caplog.set_level("INFO", "koala_face")
    saved(folder / "in/a.png", astronaut[:40, :60, 0])
    saved(folder / "in/b.gif", astronaut[:40, :60, 1])
    (folder / "in/list.txt").touch()
    assert main(["in", "--model", model]) == 0
    assert "2 coloured, 0 already there, 0 failed, 1 passed over" in caplog.text
    names = {"a.png", "a-colored.png", "b.gif", "b-colored.png", "list.txt"}
    assert {path.name for path in (folder / "in").iterdir()} == names
    assert np.abs(median_ab("in/a-colored.png") - (12, 18)).max() < 1.5
    for again in (["in"], ["in/*.[gp]*"], ["in", "--overwrite"], ["in", "--format", "webp"]):
        assert main([*again, "--model", model]) == 0
    assert "0 coloured, 2 already there, 0 failed, 1 passed over" in caplog.text
    # The first run's two PNGs are passed over where WebP is asked for.
    assert "2 coloured, 0 already there, 0 failed, 3 passed over" in caplog.text
    more = {"a-colored.webp", "b-colored.webp"}
    assert {path.name for path in (folder / "in").iterdir()} == names | more
    assert main(["in/a-colored.png", "--model", model]) == 0
    assert "name it with -o" in caplog.text
    assert main(["in/a-colored.png", "-o", "out", "--model", model]) == 0
    assert (folder / "out/a-colored.png").is_file()


def test_variants_are_all_models_that_ship(folder, astronaut, monkeypatch):
    monkeypatch.setattr(shipped, "PRETRAINED", folder)
    colors = {"faithful": (12, 18), "vivid": (-20, 10)}
    for variant, (a, b) in colors.items():
        save_constant_model(folder / f"{variant}.h5", a, b)
    saved(folder / "a.png", astronaut[:40, :60, 0])
    assert main(["a.png", "--variants"]) == 0
    assert main(["a.png", "--variants", "-o", "x.jpg"]) == 0
    for name in ("a-colored-{}.png", "x-{}.jpg"):
        for variant, ab in colors.items():
            assert np.abs(median_ab(name.format(variant)) - ab).max() < 2
    before = sorted(folder.iterdir())
    assert main([str(folder), "--variants"]) == 0
    x_too = {folder / f"x-{variant}-colored-{again}.jpg" for variant in colors for again in colors}
    assert set(folder.iterdir()) == {*before, *x_too}, "x is the user's own name"
    with pytest.raises(ColorizerError, match="--variants"):
        main(["a.png", "--variants", "--model", "no.h5"])


def test_what_cannot_be_read_or_written_ends_nothing_else(folder, model, astronaut, caplog):
    """Circles of links, long names, a folder in a result's place, a name taken as done."""
    saved(folder / "in/good.png", astronaut[:20, :30, 0])
    saved(folder / "in/place.png", astronaut[:20, :30, 0])
    saved(folder / f"in/{'n' * 250}.jp2", astronaut[:20, :30, 0])
    (folder / "in/circle.jpg").symlink_to(folder / "in/circle.jpg")
    os.mkfifo(folder / "in/pipe.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "out/place.png").mkdir(parents=True)
    given = ["circle.png", "pipe.jpg", "n" * 300 + ".jpg"]
    (folder / "circle.png").symlink_to("circle.png")
    assert main(["in", *given, "-o", "out", "--model", model]) == 1
    assert pixels("out/good.png").shape == (20, 30, 3)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    reasons = ["out/place.png", "circle.jpg: cannot be opened", "circle.png: cannot be opened"]
    reasons += ["pipe.jpg: is no file", "nnn.jpg: cannot be opened"]
    for reason in reasons:
        assert sum(reason in line for line in lines) == 1, reason
    assert len(lines) == len(reasons)
    long = "n" * 249 + ".gif"
    saved(folder / long, astronaut[:20, :30, 0])
    assert main([long, "in/good.png", "--format", "tiff", "--model", model]) == 1
    assert (folder / "in/good-colored.tif").is_file()


def test_a_circle_of_links_as_output_is_an_error_of_its_own(folder, astronaut, caplog):
    saved(folder / "a.png", astronaut[:20, :30, 0])
    (folder / "circle").symlink_to(folder / "circle")
    assert main(["a.png", "-o", "circle", "--model", "none"]) == 1
    assert "failed: circle/a.png: cannot be written, Too many levels" in caplog.text


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_done(
    folder, model, astronaut, caplog, monkeypatch
):
    saved(folder / "in/good.png", astronaut[:20, :30, 0])
    saved(folder / "in/closed/a.png", astronaut[:20, :30, 0])
    list_folder = os.scandir

    def scandir(place):
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return list_folder(place)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main(["in", "-o", "out", "--model", model]) == 1
    assert (folder / "out/good.png").is_file()
    assert "failed: in/closed: cannot be listed, Permission denied." in caplog.text


def test_open_shows_the_result_or_says_that_it_cannot(
    folder, model, astronaut, caplog, monkeypatch
):
    saved(folder / "a.png", astronaut[:20, :30, 0])
    shipped_too = folder / "shipped"
    shipped_too.mkdir()
    for variant in VARIANTS:
        (shipped_too / f"{variant}.h5").symlink_to(model)
    monkeypatch.setattr(shipped, "PRETRAINED", shipped_too)
    (folder / "bin").mkdir()
    opener = folder / "bin" / ("open" if sys.platform == "darwin" else "xdg-open")
    monkeypatch.setenv("PATH", str(opener.parent))
    assert main(["a.png", "--open", "--model", model]) == 0
    assert "a-colored.png cannot be shown" in caplog.text
    opener.write_text(f"#!/bin/sh\necho $1 >> '{folder}/shown'\n")
    opener.chmod(0o755)
    assert main(["a.png", "--open", "--model", model]) == 0
    assert main(["a.png", "a.png", "-o", "out", "--variants", "--open"]) == 0
    shown = (folder / "shown").read_text().splitlines()
    assert shown == [str(folder / "a-colored.png"), str(folder / "out")]
    opener.write_text("#!/bin/sh\nexit 3\n")
    assert main(["a.png", "--open", "--model", model]) == 0
    assert "ended with status 3" in caplog.text


def command(*arguments, **options):
    """Run the command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    words = [sys.executable, "-m", "koala_face.colorize", *arguments]
    return subprocess.run(words, capture_output=True, env=environment, **options)


def test_standard_input_to_standard_output(folder, model, astronaut):
    """Bytes as the same command writes them into a file; of other lines only our own."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    saved(folder / "a.jpg", astronaut[:40, :60, 0], exif=exif)
    done = command("-", "--model", model, input=(folder / "a.jpg").read_bytes())
    assert done.returncode == 0, done.stderr
    assert main(["a.jpg", "-o", "b.jpg", "--model", model]) == 0
    assert done.stdout == (folder / "b.jpg").read_bytes()
    lines = done.stderr.decode().replace("\r", "\n").splitlines()
    assert {line.split()[0] for line in lines if line.strip()} == {"Colouring:", "1"}


def test_nothing_of_a_broken_photograph_reaches_standard_output(folder):
    done = command("-", input=b"no photograph")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"standard input: not a photograph" in done.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(exec true)"])
def test_standard_error_that_nobody_reads(folder, redirection):
    """One that fails before TensorFlow is loaded; what follows is `foundation/test_streams`'s."""
    line = f"{shlex.quote(sys.executable)} -m koala_face.colorize gone.jpg {redirection}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_the_work_is_done_though_nobody_reads_of_it(folder, model, astronaut):
    saved(folder / "a.png", astronaut[:20, :30, 0])
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "koala_face.colorize", "a.png", "--model", model]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        assert subprocess.run(words, stderr=full, env=environment).returncode == 0
    assert pixels("a-colored.png").shape == (20, 30, 3)


def test_all_arguments_are_checked_before_tensorflow_is_loaded(folder, astronaut):
    saved(folder / "a.png", astronaut[:20, :30, 0])
    (folder / "no.h5").write_text("no model")
    with h5py.File("fc6.h5", "w") as file:
        file.attrs["koala_face_backbone"], file.attrs["koala_face_layer"] = "vggface", "fc6"
    program = """
import sys
from koala_face.colorize import main
for words in sys.argv[1:]:
    try:
        print(main(words.split()))
    except Exception as error:
        print(type(error).__name__, error)
print("tensorflow" in sys.modules)
"""
    asked = {
        "gone.jpg": "1",
        "a.png --model gone.h5": "ColorizerError Expected a model file. Received: gone.h5, which",
        "a.png --model no.h5": "ColorizerError Expected a whole HDF5 file. Received: no.h5",
        "a.png --model fc6.h5 --weights w.h5": "MissingWeightsError",
        "a.png -o a.png/out": "PhotographError Expected a folder that can be written",
        "a.png -o b.png --format jpeg": "PhotographError Expected a name that ends in .jpg",
        "a.png -o b --quality 0": "ColorizerError Expected a quality",
        "a.png a.png -o -": "PhotographError Expected one photograph with standard",
        "a.png -o - --open": "ColorizerError Expected one result for standard output",
        "- --variants": "ColorizerError Expected one result for standard output",
    }
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    words = [sys.executable, "-c", program, *asked]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    *lines, loaded = done.stdout.splitlines()
    starts = [line for line in lines if line == "1" or line.split()[0].endswith("Error")]
    for line, expected in zip(starts, asked.values(), strict=True):
        assert line.startswith(expected)
    assert loaded == "False"


def test_names_on_one_line():
    assert visible("a\nb\x1b[31m é字\udcff") == r"a\nb\x1b[31m é字\udcff"


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


def test_the_same_bytes_in_any_company_on_any_number_of_cores(folder, astronaut):
    """16 bits would show the last bits in which a batch, or shared sums, differ."""
    save_model(build_colorizer(NONE.embedding_dim, 128), "model.h5", describe(128))
    for number in range(3):
        gray = np.roll(astronaut[:128, :128, 0], 40 * number, 1).astype(np.uint16) * 257
        (folder / "in").mkdir(exist_ok=True)
        imagecodecs.imwrite(folder / f"in/{number}.png", gray)
    command = [sys.executable, "-m", "koala_face.colorize", "--model", "model.h5"]
    subprocess.run([*command, "in", "-o", "all"], check=True)
    alone = [*command, "in/2.png", "-o", "alone.png"]
    one_core = getattr(os, "sched_setaffinity", lambda *_: None)
    subprocess.run(alone, check=True, preexec_fn=lambda: one_core(0, {min(_cores())}))
    assert Path("alone.png").read_bytes() == Path("all/2.png").read_bytes()


def _cores():
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
