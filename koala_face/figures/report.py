"""Reports: Markdown, and the same as one HTML page that carries its pictures and asks nobody.

Names of files and what a model's file says of itself come from strangers. They pass through
`code` or `plain`, after which neither Markdown nor HTML sees anything in them; the page lets
raw HTML and links pass from a `Part` alone, and the browser runs no script but the page's own.
"""

import base64
import hashlib
import html
import itertools
import os
import re
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import markdown
from markdown.inlinepatterns import SubstituteTagInlineProcessor

from koala_face.foundation.errors import KoalaFaceError, visible
from koala_face.foundation.files import replacing

STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --line: #ddd; --tint: #f4f4f4;
        --mark: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --paper: #17181a; --line: #44464a; --tint: #26282b; --mark: #6cb8ea; } }
body { margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif; color: var(--ink);
       background: var(--paper); overflow-wrap: break-word; }
body > * { max-width: 66rem; margin-left: auto; margin-right: auto; }
a { color: var(--mark); }
table { border-collapse: collapse; margin-top: 1rem; margin-bottom: 1rem; display: block;
        overflow-x: auto; }
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left;
         vertical-align: top; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { white-space: normal; min-width: 9rem; }
th { border-bottom: 2px solid var(--ink); }
.figure img { display: block; max-width: 100%; height: auto; background: #fff; }
code, pre { font-size: 0.9em; background: var(--tint); overflow-wrap: anywhere; }
pre { padding: 0.7rem; white-space: pre-wrap; }
"""

# What Markdown would make of a text beside the paragraphs, lists, tables and code of a report.
LINKS = ("reference", "link", "image_link", "image_reference", "short_reference", "short_image_ref")
TAME = frozenset(" ,.;:/()=%+-−×–'’")


class ReportError(KoalaFaceError):
    """The folder of a report cannot be written."""


class Part(NamedTuple):
    """A part of a report in Markdown and in HTML, which the page takes as it is.

    `style` and `script` go into the page's head and to its end.
    """

    markdown: str
    html: str
    style: str = ""
    script: str = ""


def plain(text: object) -> str:
    """Text that may come from anywhere, for a line of Markdown: all of it is shown, none obeyed."""
    return "".join(x if x.isalnum() or x in TAME else f"&#{ord(x)};" for x in visible(text))


def code(text: object) -> str:
    """Text that may come from anywhere, such as a path or a command, in a line of Markdown."""
    text = visible(text) or " "
    fence = _fence(text, 1)
    padding = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def code_block(text: object) -> str:
    """Lines that may come from anywhere, such as a message, as a block of Markdown."""
    text = "\n".join(visible(line) for line in str(text).splitlines())
    fence = _fence(text, 3)
    return f"{fence}\n{text}\n{fence}"


def table(header: Sequence, rows: Iterable[Sequence]) -> str:
    """A Markdown table; `|` in a cell is escaped, `<br>` breaks its line."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)


def figure(folder: str | os.PathLike, name: str, alt: str) -> Part:
    """A figure that the report's program has drawn: the PNG `name` in the report's folder."""
    alt = visible(alt)
    source = data_uri((Path(folder) / name).read_bytes(), "png")
    return Part(
        f"![{plain(alt)}]({urllib.parse.quote(name)})",
        f'<p class="figure"><img src="{source}" alt="{html.escape(alt)}"></p>',
    )


def link(name: str, text: str) -> Part:
    """A paragraph that begins with a link to a file in the report's folder."""
    address = urllib.parse.quote(name)
    return Part(
        f"[{plain(name)}]({address}) {text}",
        f'<p><a href="{address}">{html.escape(name)}</a> {html.escape(text)}</p>',
    )


def data_uri(data: bytes, kind: str) -> str:
    """A picture's file as an address that holds it; `kind` is png or webp."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def write_report(folder: str | os.PathLike, parts: Sequence[str | Part]) -> tuple[Path, Path]:
    """Write `report.md`, and `report.html`, which needs no other file.

    Args:
        folder: where the figures lie.
        parts: Markdown, whose first line is the title, and `Part`s.

    Returns:
        Both files.
    """
    as_parts = [part if isinstance(part, Part) else Part(part, to_html(part)) for part in parts]
    text = "\n\n".join(part.markdown for part in as_parts if part.markdown)
    body = "\n".join(part.html for part in as_parts)
    title = re.sub("<[^>]*>", "", to_html(text.splitlines()[0]))
    style, script = ("".join(texts) for texts in zip(*(part[2:] for part in as_parts), strict=True))
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )
    files = Path(folder) / "report.md", Path(folder) / "report.html"
    for file, content in zip(files, (text + "\n", page), strict=True):
        with replacing(file) as beside:
            beside.write_text(content, encoding="utf-8")
    return files


def to_html(text: str) -> str:
    """Markdown without links, pictures and HTML: such would come from a file, not from us."""
    converter = markdown.Markdown(extensions=["tables", "fenced_code"], output_format="html")
    converter.preprocessors.deregister("html_block")
    converter.parser.blockprocessors.deregister("reference")
    for name in (*LINKS, "autolink", "automail", "html"):
        converter.inlinePatterns.deregister(name)
    converter.inlinePatterns.register(SubstituteTagInlineProcessor("<br>", "br"), "br", 90)
    return converter.convert(text)


def make_folder(path: str | os.PathLike) -> Path:
    """Make the folder of a report.

    Raises:
        ReportError: if it cannot be made or written into.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ReportError(
            f"Expected a folder to write the report into. Received: {path} ({error}). "
            "Choose another with --output."
        ) from error
    return path


def _policy(script: str) -> str:
    """What the browser may load: nothing but the pictures inside and this very script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        f"form-action 'none'; script-src 'sha256-{digest}'"
    )


def _fence(text: str, least: int) -> str:
    """Backticks, more than stand in a row in the text."""
    runs = (len(list(run)) for sign, run in itertools.groupby(text) if sign == "`")
    return "`" * max([least, *(length + 1 for length in runs)])


def _escape(cell: object) -> str:
    return str(cell).replace("|", "\\|")
