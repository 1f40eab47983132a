"""All portraits to look through: gray, colored and true under a slider, in a page of one file."""

import html
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from koala_face import color
from koala_face.figures.report import Part, data_uri
from koala_face.foundation.errors import visible
from koala_face.photographs.reading import resize

THUMBNAIL = 256  # pixels of the longer side, at most
QUALITY = 75  # of WebP: three pictures of a portrait in some 20 kB

STYLE = """
body > .gallery { max-width: 100rem; }
.gallery form { display: flex; flex-wrap: wrap; gap: 0.6rem 1.5rem; position: sticky; top: 0;
  z-index: 1; padding: 0.6rem 0; background: var(--paper); }
.gallery fieldset { display: flex; flex-wrap: wrap; gap: 0.2rem 0.8rem; border: 0; margin: 0;
  padding: 0; align-items: center; }
.gallery legend { float: left; padding: 0 0.4rem 0 0; font-weight: bold; }
.gallery button { font: inherit; color: inherit; background: var(--tint); cursor: pointer;
  border: 1px solid var(--line); border-radius: 0.3rem; padding: 0.1rem 0.6rem; }
.gallery [aria-pressed=true] { border-color: var(--mark); color: var(--mark); }
.gallery .portraits { display: grid; gap: 1rem; align-items: end; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(min(12rem, 100%), 1fr)); }
.gallery li { font-size: 0.85rem; content-visibility: auto; contain-intrinsic-size: auto 18rem; }
.gallery .name { display: block; overflow-wrap: anywhere; }
.stage { position: relative; overflow: hidden; --at: 50%; }
.stage img { position: absolute; inset: 0; width: 100%; height: 100%; }
.stage img:nth-of-type(n + 2) { clip-path: inset(0 0 0 var(--at)); }
.stage::after { content: ""; position: absolute; inset: 0 auto 0 calc(var(--at) - 1px); width: 2px;
  background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }
.stage input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  cursor: ew-resize; touch-action: pan-y; appearance: none; }
.stage input::-webkit-slider-thumb { appearance: none; width: 1px; height: 100%; }
.stage input::-moz-range-thumb { width: 1px; height: 100%; border: 0; }
.stage:focus-within { outline: 3px solid var(--mark); outline-offset: 2px; }
.gallery:has([value=gray-colored]:checked) .true { display: none; }
.gallery:has([value=gray-true]:checked) .colored { display: none; }
.gallery:has([value=colored-true]:checked) .colored { clip-path: none; }
"""

SCRIPT = """
const gallery = document.querySelector(".gallery");
gallery.addEventListener("input", ({target}) => {
  if (target.type === "range") target.parentNode.style.setProperty("--at", target.value + "%");
});
gallery.addEventListener("submit", event => event.preventDefault());
gallery.addEventListener("click", ({target}) => {
  const key = target.dataset.key, list = gallery.querySelector(".portraits");
  if (!key) return;
  const sign = target.getAttribute("aria-pressed") === "true" ? -target.dataset.sign
    : target.dataset.first;
  for (const button of gallery.querySelectorAll("[data-key]")) {
    button.setAttribute("aria-pressed", button === target);
    button.querySelector("span").textContent = button !== target ? "" : sign > 0 ? " ↑" : " ↓";
  }
  target.dataset.sign = sign;
  list.append(...[...list.children].sort((a, b) => sign * (a.dataset[key] - b.dataset[key])));
});
"""

PAIRS = (
    ("gray-colored", "gray | colored"),
    ("colored-true", "colored | true"),
    ("gray-true", "gray | true"),
)
# Attribute, heading, and which comes first at the first click: 1 the smallest, -1 the largest.
ORDERS = (("row", "path", 1), ("mse", "MSE", -1), ("change", "ΔM", 1))


class Thumbnails(NamedTuple):
    """A portrait's three pictures as WebP files, and the width and height of each in pixels."""

    gray: bytes
    colored: bytes
    true: bytes
    size: tuple[int, int]


class Exhibit(NamedTuple):
    """A portrait of the gallery: its name, the model's MSE and ΔM, its pictures."""

    name: str
    mse: float
    change: float
    pictures: Thumbnails


def make_thumbnails(colored: np.ndarray, true: np.ndarray, height: int, width: int) -> Thumbnails:
    """Small pictures of a portrait, as it was before it was made a square.

    Args:
        colored, true: (S, S, 3) uint8, the coloring and the truth.
        height, width: in which proportion the photograph is.
    """
    scale = min(THUMBNAIL, len(true)) / max(height, width)
    height, width = (max(1, round(scale * side)) for side in (height, width))
    gray = np.asarray(color.to_uint8(color.rgb_to_gray(true)))
    files = [_encode(resize(pixels, height, width)) for pixels in (gray, colored, true)]
    return Thumbnails(*files, (width, height))


def gallery(exhibits: list[Exhibit]) -> Part:
    """The portraits in the order given, which the reader may change."""
    pairs = "".join(
        f'<label><input type="radio" name="pair" value="{value}"'
        f"{' checked' if value == PAIRS[0][0] else ''}> {title}</label>"
        for value, title in PAIRS
    )
    orders = "".join(
        f'<button type="button" data-key="{key}" data-first="{first}" aria-pressed="false">'
        f"{title}<span></span></button>"
        for key, title, first in ORDERS
    )
    portraits = "\n".join(_item(row, one) for row, one in enumerate(exhibits))
    page = (
        '<section class="gallery"><form>'
        f"<fieldset><legend>Show</legend>{pairs}</fieldset>"
        f"<fieldset><legend>Sort by</legend>{orders}</fieldset></form>\n"
        f'<ul class="portraits">\n{portraits}\n</ul></section>'
    )
    return Part(
        "The page beside this file, `report.html`, shows all portraits.", page, STYLE, SCRIPT
    )


def _item(row: int, one: Exhibit) -> str:
    name = html.escape(visible(one.name))
    width, height = one.pictures.size
    change = f"{one.change:.1f}".replace("-", "−")
    pictures = "".join(
        f'<img class="{kind}" alt="{kind}" loading="lazy" decoding="async" '
        f'src="{data_uri(getattr(one.pictures, kind), "webp")}">'
        for kind in ("gray", "colored", "true")
    )
    return (
        f'<li data-row="{row}" data-mse="{one.mse:.6g}" data-change="{one.change:.6g}">'
        f'<div class="stage" style="aspect-ratio: {width} / {height}">{pictures}'
        f'<input type="range" value="50" aria-label="{name}: from the one to the other"></div>'
        f'<span class="name">{name}</span>MSE {one.mse:.0f}, ΔM {change}</li>'
    )


def _encode(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY)
    return file.getvalue()
