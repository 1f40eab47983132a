"""Reports: Markdown, and the same as one HTML page with its figures inside."""

import base64
import html
import re
from pathlib import Path

import markdown

from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import replacing

STYLE = """
body { max-width: 66rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif;
       color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid #ddd; text-align: left;
         vertical-align: top; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { white-space: normal; min-width: 9rem; }
th { border-bottom: 2px solid #222; }
img { max-width: 100%; height: auto; }
code, pre { font-size: 0.9em; background: #f4f4f4; overflow-wrap: anywhere; }
pre { padding: 0.7rem; white-space: pre-wrap; }
"""


class ReportError(KoalaFaceError):
    """The folder of a report cannot be written."""


def table(header, rows) -> str:
    """A Markdown table; `|` in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)


def image(name: str, alt: str) -> str:
    """A figure, a PNG beside the report, with its alt text."""
    return f"![{alt}]({name})"


def write_report(folder, text: str) -> tuple[Path, Path]:
    """Write `report.md`, and `report.html` with the figures inside it.

    Args:
        folder: where the figures lie that `text` names.
        text: Markdown; its first line is the title.

    Returns:
        Both files.
    """
    folder = Path(folder)
    body = markdown.markdown(text, extensions=["tables", "fenced_code"], output_format="html")
    body = re.sub(r'src="([^":]+)"', lambda found: f'src="{_data_uri(folder / found[1])}"', body)
    title = html.escape(text.splitlines()[0].lstrip("# ").replace("`", ""))
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    files = folder / "report.md", folder / "report.html"
    for file, content in zip(files, (text + "\n", page), strict=True):
        with replacing(file) as beside:
            beside.write_text(content, encoding="utf-8")
    return files


def code(text) -> str:
    """Text as it is, such as a path or a command."""
    return f"`{text}`"


def make_folder(path) -> Path:
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


def _escape(cell: str) -> str:
    return str(cell).replace("|", "\\|")


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
