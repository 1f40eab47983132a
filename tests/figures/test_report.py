"""Reports: the page read back as HTML, and what strangers' names make of it: nothing."""

import base64
import hashlib
import re
import shutil

import markdown
import pytest
from support.page import Page

from koala_face.figures import paper, report

# Names of files and attributes of models that would like to be more than text.
HOSTILE = (
    "<script>alert(1)</script>.jpg",
    "`<script>alert(1)</script>`.jpg",
    "``` \n\n<script>alert(1)</script>\n\n```",
    "a`b``c```<img src=x onerror=alert(1)>",
    "![p](/etc/passwd)",
    "`![p](/etc/passwd)`",
    "[p](javascript:alert(1))",
    "x\n\n![p](/etc/passwd)\n\n[q]: /etc/passwd\n![q]",
    "<http://example.org/>",
    "|a|b|`|\\|",
    "\\`<b>\\",
    "]](/etc/passwd) ![",
    '"onmouseover=alert(1) x="',
    "&lt;script&gt;&#60;b&#62;",
    "a<br>b",
    "\x02wzxhzdk:0\x03 \x00\x1b[31m\x7f\u202egpj.exe\ud800\udcff",
    "# heading\n- list\n> quote\n===\n***bold*** ~~x~~",
    " ",
    "",
    "`",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", [report.code, report.plain, report.code_block])
def test_a_strangers_text_is_shown_and_not_obeyed(form, text, tmp_path):
    """In the page, and in the Markdown as another converter reads it, raw HTML and all."""
    lines = f"{form(text)}" if form is report.code_block else f"- so: {form(text)}, and `on`"
    parts = ["# Title", lines, report.table(["", "x"], [[report.plain(text), "1<br>2"]])]
    files = report.write_report(tmp_path, parts)
    source, page = (file.read_text(encoding="utf-8") for file in files)
    page = Page(page)
    own = {"html", "head", "meta", "title", "style", "body", "h1", "ul", "li", "code", "pre"}
    own |= {"table", "thead", "tbody", "tr", "th", "td", "br", "p"}
    assert {tag for tag, _ in page.tags} <= own
    assert len(page.all("br")) == len(page.all("table")) == 1
    assert not page.references
    assert all(not attrs for tag, attrs in page.tags if tag not in ("html", "meta", "th", "td"))
    elsewhere = Page(markdown.markdown(source, extensions=["tables", "fenced_code"]))
    assert {tag for tag, _ in elsewhere.tags} <= own
    assert not elsewhere.references
    # Nothing is lost: each line is shown as `visible` gives it (Markdown trims spaces).
    shown = text.splitlines() if form is report.code_block else [text]
    for line in shown:
        assert " ".join(report.visible(line).split()) in " ".join(page.text.split())
    assert page.cells[2].strip() == report.visible(text).strip()


def test_what_cannot_be_seen_is_spelled():
    assert report.visible("a\nb\tc\x1b\u202e\udce9é漢") == r"a\nb\tc\x1b\u202e\udce9é漢"


def test_a_page_of_one_file(tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    paper.draw_loss([{"epoch": 1, "loss": 1.0}], folder / "figure2.png")
    name = "<script>alert(1)</script>.jpg"
    parts = [
        f"# Scores of {report.code(name)}",
        report.table(["", "MSE"], [["a|b", "1.0<br>[0, 2]"]]),
        report.figure(folder, "figure2.png", "Loss of 1 epoch"),
        report.link("portraits.csv", "has <all>."),
    ]
    source, page = report.write_report(folder, parts)
    assert source.read_text(encoding="utf-8").splitlines() == [
        "# Scores of `<script>alert(1)</script>.jpg`",
        *("", "|  | MSE |", "| --- | --- |", "| a\\|b | 1.0<br>[0, 2] |", ""),
        *("![Loss of 1 epoch](figure2.png)", "", "[portraits.csv](portraits.csv) has <all>."),
    ]
    shutil.move(page, tmp_path / "alone.html")
    tags = Page((tmp_path / "alone.html").read_text(encoding="utf-8"))
    (image,) = tags.all("img")
    assert image["src"].startswith("data:image/png;base64,iVBOR")
    assert image["alt"] == "Loss of 1 epoch"
    assert [cell.replace("\n", "") for cell in tags.cells] == ["", "MSE", "a|b", "1.0[0, 2]"]
    assert tags.references == ["portraits.csv"]
    assert "script" not in [tag for tag, _ in tags.tags]
    assert ("html", {"lang": "en"}) in tags.tags
    assert "<title>Scores of &lt;script&gt;" in (tmp_path / "alone.html").read_text("utf-8")


def test_a_picture_is_taken_in_only_where_the_program_says_so(tmp_path):
    """`![p](/etc/passwd)` from a model's file used to carry that file along, in base64."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    _, page = report.write_report(tmp_path, ["# Title", "![p](secret.png) ![q](/etc/passwd)"])
    page = page.read_text(encoding="utf-8")
    assert not Page(page).all("img")
    assert base64.b64encode(b"secret").decode() not in page


def test_the_browser_runs_the_pages_own_script_alone(tmp_path):
    part = report.Part("in Markdown", "<p>as HTML</p>", "p { color: red }", "let x = '<b>';")
    source, page = report.write_report(tmp_path, ["# Title", part])
    assert source.read_text(encoding="utf-8") == "# Title\n\nin Markdown\n"
    text = page.read_text(encoding="utf-8")
    assert "<p>as HTML</p>" in text
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in Page(text).all("meta") if "http-equiv" in meta]
    assert policy.split("; ")[0] == "default-src 'none'"
    assert f"script-src 'sha256-{digest}'" in policy.split("; ")


def test_a_report_that_cannot_be_written_is_refused_first(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(report.ReportError, match="--output"):
        report.make_folder(tmp_path / "file")
