"""Draws web.png, the README's picture of the page: the portraits of portraits.py, in gray, dropped.

    python .github/images/web.py

Needs `pip install '.[web,browser]'` and Debian's Chromium.
"""

import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright
from portraits import fetch_portraits

SIZE = {"width": 1280, "height": 900}
# The one that is looked at, by its number, and where the line between before and after is.
LOOKED_AT, SPLIT = 3, "42"
SECONDS = 120


def files(portraits: list[Image.Image]) -> list[dict]:
    """The portraits as the page is given them: gray, as TIFF."""
    given = []
    for number, portrait in enumerate(portraits, 1):
        buffer = io.BytesIO()
        portrait.convert("L").save(buffer, "TIFF")
        name = f"Portrait {number}.tif"
        given.append({"name": name, "mimeType": "image/tiff", "buffer": buffer.getvalue()})
    return given


def draw(address: str, path: Path) -> None:
    """Drop the portraits on the page at an address, and keep a picture of it."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        given = files(fetch_portraits())
        page.set_input_files("#files", given)
        expect(page.locator("#status")).to_have_text("All coloured.", timeout=1000 * SECONDS)
        page.locator(".one").nth(LOOKED_AT).click()
        page.check("input[value=vivid]", force=True)
        page.fill("#split", SPLIT)
        expect(page.locator("#compare")).not_to_have_attribute("aria-busy", "true")
        expect(page.locator(".one img")).to_have_count(len(given))
        page.wait_for_load_state("networkidle")
        page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
        controls = page.locator("#actions").bounding_box()
        shown = {"x": 0, "y": 0, "width": 1280, "height": controls["y"] + controls["height"] + 24}
        page.screenshot(path=path, full_page=True, clip=shown)
        browser.close()


def main() -> None:
    words = [sys.executable, "-m", "koala_face.web", "--no-browser", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            draw(server.stdout.readline().strip(), Path(__file__).with_name("web.png"))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
