"""The server's answers, over sockets: photographs in, previews and `colorize`'s own files out."""

import io
import json
import re
import threading
import zipfile
from urllib.parse import unquote

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import rgb2lab
from support.page_client import Client
from support.page_server import serving, wait_for

from koala_face.colorize import main
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.upsampling import UPSAMPLINGS


def encoded(pixels, format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def scans(astronaut):
    """Photographs of many kinds, by their names."""
    gray = astronaut[:120, :90, 0]
    deep, exif = io.BytesIO(), Image.Exif()
    tifffile.imwrite(deep, 257 * gray.astype(np.uint16))
    exif[0x0112], exif[0x010F] = 6, "Camera"
    return {
        "turned ä.jpeg": encoded(gray, "JPEG", exif=exif, dpi=(240, 240), quality=90),
        "deep.tif": deep.getvalue(),
        "clear.png": encoded(np.dstack([astronaut, astronaut[..., 1]])[:120, :90]),
        "old.gif": encoded(gray, "GIF"),
    }


def decoded(jpeg):
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return np.asarray(image)


def by_colorize(folder, name, content, model, *flags):
    """The name and the bytes of the file that the command makes of a photograph."""
    folder.mkdir()
    (folder / name).write_bytes(content)
    assert main([str(folder / name), "-o", str(folder / "out"), "--model", str(model), *flags]) == 0
    (result,) = (folder / "out").iterdir()
    return result.name, result.read_bytes()


def test_a_result_is_what_colorize_writes(client, models, astronaut, tmp_path):
    for name, content in scans(astronaut).items():
        assert client.drop(name, content)[0] == 201
    photographs = client.settled()
    assert {x["state"] for x in photographs.values()} == {"ready"}
    assert photographs["turned ä.jpeg"]["size"] == [90, 120]
    assert "in colour" in photographs["clear.png"]["notes"][0]
    styles = [("faithful", "1.0", "edge-aware"), ("vivid", "1.35", "plain")]
    for number, (name, content) in enumerate(scans(astronaut).items()):
        for variant, saturation, upsampling in styles:
            style = {"variant": variant, "saturation": saturation, "upsampling": upsampling}
            path = client.place(photographs[name]["id"], "/result", **style)
            flags = ("--saturation", saturation, "--upsampling", upsampling)
            folder = tmp_path / f"{number}{variant}"
            expected = by_colorize(folder, name, content, models[variant], *flags)
            status, headers, body = client.ask("GET", path)
            assert (status, body == expected[1]) == (200, True)
            named = headers["Content-Disposition"].partition("filename*=UTF-8''")[2]
            assert unquote(named) == expected[0]


def test_previews_are_reduced_and_coloured(client, astronaut):
    wide = np.tile(astronaut[:100, :, 0], (1, 5))
    client.drop("wide.png", encoded(wide))
    (one,) = client.settled().values()
    assert one["size"] == [100, 2560]
    before = decoded(client.ask("GET", client.place(one["id"], "/before"))[2])
    assert before.shape == (62, 1600)
    expected = {("faithful", 1): (12, 18), ("vivid", 1): (20, -15), ("vivid", 0): (0, 0)}
    for (variant, saturation), ab in expected.items():
        for upsampling in UPSAMPLINGS:
            style = {"variant": variant, "saturation": saturation, "upsampling": upsampling}
            after = decoded(client.ask("GET", client.place(one["id"], "/after", **style))[2])
            assert after.shape == (62, 1600, 3)
            assert np.abs(np.median(rgb2lab(after), axis=(0, 1))[1:] - ab).max() < 2
    assert decoded(client.ask("GET", client.place(one["id"], "/small"))[2]).shape == (9, 240, 3)


def test_each_model_is_asked_once(client, astronaut, monkeypatch):
    asked, predict = [], Colorizer.predict
    monkeypatch.setattr(
        Colorizer, "predict", lambda self, *rest: asked.append(self) or predict(self, *rest)
    )
    client.drop("a.png", encoded(astronaut[:60, :60, 0]))
    (one,) = client.settled().values()
    for last in ("/after", "/result"):
        for style in ({"variant": "vivid"}, {"saturation": 2}, {"upsampling": "plain"}):
            assert client.ask("GET", client.place(one["id"], last, **style))[0] == 200
    assert len(asked) == len(set(asked)) == 2


def test_a_bad_photograph_has_its_reason_and_the_others_go_on(client, server, astronaut):
    client.drop("bad.jpg", b"no photograph")
    client.drop("empty.png", b"")
    client.drop("good.png", encoded(astronaut[:50, :50, 0]))
    photographs = client.settled()
    assert photographs["good.png"]["state"] == "ready"
    assert photographs["bad.jpg"]["error"].startswith("not a photograph in a known format")
    assert photographs["empty.png"]["error"].startswith("the file is empty")
    assert str(server.store.folder) not in json.dumps(client.state())
    status, _, body = client.ask("GET", client.place(photographs["bad.jpg"]["id"], "/after"))
    assert status == 404
    assert b"It is failed" in body


def test_all_come_in_one_archive(client, models, astronaut, tmp_path):
    first, second = (encoded(astronaut[top : top + 50, :50, 0]) for top in (0, 100))
    for name, content in (("a.png", first), ("A.png", second), ("b.gif", b"none")):
        client.drop(name, content)
    one, other = (client.settled()[name]["id"] for name in ("a.png", "A.png"))
    styles = json.dumps({one: {"variant": "vivid"}, other: {"saturation": "0.5"}})
    assert client.ask("POST", f"/albums/{client.album}/zip", styles)[0] == 204
    status, headers, body = client.ask("GET", f"/albums/{client.album}/zip")
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        members = {name: archive.read(name) for name in archive.namelist()}
    assert members == {
        "a.png": by_colorize(tmp_path / "a", "a.png", first, models["vivid"])[1],
        "A-2.png": by_colorize(
            tmp_path / "b", "A.png", second, models["faithful"], "--saturation", "0.5"
        )[1],
    }


def test_an_archive_tells_of_what_could_not_be_written(client, astronaut):
    for name, height in (("long.webp", 16_400), ("short.webp", 40)):
        client.drop(name, encoded(np.tile(astronaut[:1, :4, 0], (height, 1))))
    client.settled()
    _, _, body = client.ask("GET", f"/albums/{client.album}/zip")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.namelist() == ["short.webp", "not coloured.txt"]
        assert b"long.webp: 4x16400 pixels do not fit" in archive.read("not coloured.txt")


def test_pages_wait_in_one_queue_that_says_so(tmp_path, models, astronaut, monkeypatch):
    go, photograph = threading.Event(), encoded(astronaut[:40, :40, 0])
    prepare = Colorizer.prepare
    monkeypatch.setattr(Colorizer, "prepare", lambda *given: go.wait(60) and prepare(*given))
    with serving(tmp_path / "private", models) as server:
        pages = [Client(server.address) for _ in range(3)]
        for page in pages:
            page.drop("a.png", photograph)
        states = [page.state()["photographs"] for page in pages]
        assert [len(photographs) for photographs in states] == [1, 1, 1]
        assert [x["ahead"] for (x,) in states] == [0, 1, 2]
        wait_for(lambda: pages[0].state()["photographs"][0]["state"] == "working")
        go.set()
        for page in pages:
            assert page.settled()["a.png"]["state"] == "ready"
        assert pages[0].state()["seconds"] > 0


def test_networks_that_cannot_be_loaded_are_every_photographs_reason(tmp_path, models):
    with serving(tmp_path / "private", {"model": tmp_path / "gone.h5"}) as server:
        page = Client(server.address)
        page.drop("a.png", b"")
        assert "gone.h5" in page.settled()["a.png"]["error"]
        assert page.state()["networks"] == "failed"


def test_results_and_removed_photographs_leave_nothing(client, server, astronaut):
    start, others = server.store.used, set(server.store.folder.iterdir())
    client.drop("a.png", encoded(astronaut[:40, :40, 0]))
    (one,) = client.settled().values()
    before = server.store.used
    assert before > start
    assert client.ask("POST", client.place(one["id"], "/result"))[0] == 204
    assert server.store.used > before
    assert client.ask("GET", client.place(one["id"], "/result"))[0] == 200
    wait_for(lambda: server.store.used == before, "the result's end")
    assert client.ask("DELETE", client.place(one["id"]))[0] == 204
    assert server.store.used == start
    assert set(server.store.folder.iterdir()) == others
    assert client.ask("GET", client.place(one["id"], "/after"))[0] == 404


@pytest.mark.parametrize(
    "style",
    [
        {"variant": "x"},
        {"upsampling": "x"},
        *({"saturation": x} for x in ("-1", "2.1", "nan", "inf", "x")),
    ],
)
def test_a_style_out_of_range_is_refused(client, astronaut, style):
    client.drop("a.png", encoded(astronaut[:40, :40, 0]))
    (one,) = client.settled().values()
    for last in ("/after", "/result"):
        status, _, body = client.ask("GET", client.place(one["id"], last, **style))
        assert status == 400
        assert re.match("Expected", json.loads(body)["error"])
