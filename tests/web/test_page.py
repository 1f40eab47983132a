"""The page in Debian's Chromium: dropped, waited for, dragged, changed, fetched, and looked at by
axe; whatever it asks for is asked of the server alone.
"""

import io
import re
import shutil
import zipfile
from contextlib import contextmanager

import pytest
from PIL import Image
from support.page_server import wait_for

from koala_face.colorize import main

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the page's tests need pip install '.[browser]'"
)
# A busy machine is slow: of what is waited for here nothing may depend on five seconds.
PATIENCE = 60_000
sync_api.expect.set_options(timeout=PATIENCE)
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt install chromium)")
# Makes a file of the page's own memory and drops it, as a hand does.
DROP = """([name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(bytes), (x) => x.charCodeAt())], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector("#drop").dispatchEvent(
      new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""
LOADED = "() => ['before', 'after'].every((id) => document.getElementById(id).naturalWidth > 0)"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser, server, width=1280, height=900, scheme="light", **options):
    """The page; at its end nothing went wrong in it, and nothing was asked elsewhere."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, **options
    )
    context.set_default_timeout(PATIENCE)
    page, asked, wrong = context.new_page(), [], []
    context.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(server.address)
    yield page
    context.close()
    own = (f"{server.address}/", f"blob:{server.address}/")
    assert asked
    assert [url for url in asked if not url.startswith(own)] == []
    assert wrong == []


@pytest.fixture
def page(browser, server):
    with opened(browser, server) as page:
        yield page


@pytest.fixture
def photograph(astronaut):
    buffer = io.BytesIO()
    Image.fromarray(astronaut).convert("L").save(buffer, "JPEG")
    return buffer.getvalue()


def chosen(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def choose(page, *files):
    page.set_input_files("#files", [chosen(*file) for file in files])


def coloured(page, text="All coloured."):
    """Wait until all are done and the pictures are shown."""
    sync_api.expect(page.locator("#status")).to_contain_text(text)
    wait_for(lambda: page.evaluate(LOADED), "the pictures")


def repainted(page, change):
    """Do something and wait for the other picture that it makes."""
    before = page.evaluate("document.getElementById('after').src")
    change()
    wait_for(lambda: page.evaluate("document.getElementById('after').src") != before)


def split(page):
    return float(
        page.evaluate(
            "document.getElementById('compare').style.getPropertyValue('--split')"
        ).rstrip("%")
    )


def test_drop_drag_change_and_fetch(page, photograph, models, tmp_path):
    import base64

    name = "Großmutter <b> 1931.jpg"
    page.evaluate(DROP, [name, base64.b64encode(photograph).decode()])
    coloured(page)
    assert page.inner_text("#title") == name
    drag_by_mouse(page)
    drag_by_keys(page)
    page.focus("#saturation")
    repainted(page, lambda: [page.keyboard.press("ArrowRight") for _ in range(6)])
    assert page.inner_text("#strength") == "130 %"
    repainted(page, lambda: page.check("input[value=vivid]", force=True))
    repainted(page, lambda: page.check("input[value=plain]", force=True))
    with page.expect_download() as download:
        page.click("#download")
    fetched = tmp_path / "fetched.jpg"
    download.value.save_as(fetched)
    assert download.value.suggested_filename.startswith("Großmutter")
    (tmp_path / "photograph.jpg").write_bytes(photograph)
    words = [str(tmp_path / "photograph.jpg"), "-o", str(tmp_path / "written.jpg")]
    words += ["--model", str(models["vivid"]), "--saturation", "1.3", "--upsampling", "plain"]
    assert main(words) == 0
    assert fetched.read_bytes() == (tmp_path / "written.jpg").read_bytes()


def drag_by_mouse(page):
    box = page.locator("#compare").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    for share in (0.6, 0.8, 0.9):
        page.mouse.move(box["x"] + share * box["width"], middle)
    page.mouse.up()
    assert split(page) == pytest.approx(90, abs=1)
    page.mouse.click(box["x"] + 0.25 * box["width"], middle)
    assert split(page) == pytest.approx(25, abs=1)


def drag_by_keys(page):
    page.focus("#split")
    page.keyboard.press("Home")
    assert split(page) == 0
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert split(page) == 3
    assert page.get_attribute("#split", "aria-valuetext") == "3 % before"


def test_a_finger_drags_too(browser, server, photograph):
    with opened(browser, server, 360, 740, has_touch=True, is_mobile=True) as page:
        choose(page, ("a.jpg", photograph))
        coloured(page)
        page.locator("#compare").scroll_into_view_if_needed()
        box = page.locator("#compare").bounding_box()
        touch = page.context.new_cdp_session(page)

        def send(kind, *shares):
            y = box["y"] + box["height"] / 2
            points = [{"x": box["x"] + share * box["width"], "y": y} for share in shares]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        send("touchStart", 0.5)
        for share in (0.45, 0.35, 0.2):
            send("touchMove", share)
        send("touchEnd")
        wait_for(lambda: split(page) == pytest.approx(20, abs=2))


def test_many_one_of_them_bad_and_all_as_a_zip(page, photograph):
    choose(page, ("a.jpg", photograph), ("bad <i>.png", b"no photograph"), ("a.jpg", photograph))
    coloured(page, "could not be")
    assert page.inner_text("#status") == "2 of 3 coloured, 1 could not be."
    rows = page.locator("#list li").all_inner_texts()
    assert [re.split(r"\s*\n\s*", row)[:2] for row in rows] == [
        ["a.jpg", "512 × 512"],
        ["bad <i>.png", rows[1].split("\n")[1]],
        ["a.jpg", "512 × 512"],
    ]
    assert "not a photograph in a known format" in rows[1]
    with page.expect_download() as download:
        page.click("#save")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["a.jpg", "a-2.jpg"]
    page.click("[aria-label='Remove bad <i>.png']")
    sync_api.expect(page.locator("#list li")).to_have_count(2)
    page.reload()
    sync_api.expect(page.locator("#list li")).to_have_count(2)
    coloured(page)


def test_the_keyboard_alone_is_enough(page, photograph):
    """Every control is reached by Tab and is seen to be."""
    choose(page, ("a.jpg", photograph), ("b.jpg", photograph))
    coloured(page)
    page.evaluate("document.activeElement.blur()")
    order = []
    for _ in range(14):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const x = document.activeElement; return x.id || x.name || x.className; })()"
        )
        order.append(focused)
    wanted = ["files", "split", "variant", "saturation", "upsampling", "download", "share", "save"]
    assert [name for name in order if name in wanted][: len(wanted)] == wanted
    page.locator(".one").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#title") == "b.jpg"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_keeps_people_from_using_it(browser, server, photograph, width, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs pip install '.[browser]'"
    ).Axe()
    with opened(browser, server, width, scheme=scheme, bypass_csp=True) as page:
        for name, photographs in (("empty", []), ("full", [("a.jpg", photograph), ("b", b"")])):
            if photographs:
                choose(page, *photographs)
                coloured(page, "could not be")
            found = axe.run(page).response["violations"]
            grave = [x for x in found if x["impact"] in ("serious", "critical")]
            assert [(name, x["id"], [y["target"] for y in x["nodes"]]) for x in grave] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_ended_program_is_said(browser, tmp_path, models, photograph):
    from support.page_server import serving

    context = browser.new_context()
    page = context.new_page()
    with serving(tmp_path / "private", models) as server:
        page.goto(server.address)
        sync_api.expect(page.locator("#storage")).to_contain_text("0.1 GB")
    choose(page, ("a.jpg", photograph))
    sync_api.expect(page.locator("#trouble")).to_contain_text("start koala-face web again")
    context.close()
