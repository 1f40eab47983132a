"""The pages: a README of 200 lines, links that lead somewhere, modules and flags that exist."""

import json
import re
from pathlib import Path

import pytest

from koala_face.__main__ import COMMANDS, load_command

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PLACES = ("*.md", "data/*.md", "notebooks/*.md", "notebooks/*.ipynb", "koala_face/**/*.md")
PAGES = sorted(path for place in PLACES for path in ROOT.glob(place))
LONGEST_README = 200
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.S)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# Other programs, with flags of their own.
FOREIGN = re.compile(r"\s*(\S*python3? -m )?(pip|pytest|venv|jupyter|docker|git)\b")
CALL = re.compile(r"koala(?:-face |_face\.)(\w+)")


def name_of(page):
    return str(page.relative_to(ROOT))


def read(page):
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(x["source"]) for x in cells if x["cell_type"] == "markdown")


def anchors(page):
    """The anchors that a page's headings get, as GitHub and GitLab make them."""
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_has_at_most_200_lines():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", read(page))):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert file.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(file), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_says_what_it_is_for(page):
    heading, *rest = read(page).splitlines()
    assert heading.startswith("# ")
    assert re.search(r"\w+ \w+ \w+", "\n".join(rest[:6]))


def test_the_modules_of_the_readme_exist_and_none_is_missing():
    table = README.read_text(encoding="utf-8").partition("| paper |")[2].partition("\n\n")[0]
    listed = {
        x for row in table.splitlines()[2:] for x in re.findall(r"`(\w+)`", row.split("|")[2])
    }
    package = ROOT / "koala_face"
    here = {x.stem for x in package.iterdir() if x.name[0] not in "_." and x.suffix in ("", ".py")}
    # What serves the others, and the commands that the table need not explain.
    assert here - listed == {"foundation", "benchmark", "publish"}
    assert listed <= here


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_source_files_that_a_page_names_exist(page):
    for code in CODE.findall(read(page)):
        for name in re.findall(r"[\w./]+/\w+\.py\b|(?<=pytest )tests/[\w/]+", code):
            assert (ROOT / name).exists() or (ROOT / "koala_face" / name).exists(), name


def calls(page):
    """The lines of a page's code, joined where a command goes on in the next."""
    for code in CODE.findall(read(page)):
        for line in code.strip("`").replace("\\\n", " ").splitlines():
            if not FOREIGN.match(line):
                yield line


def flags_of(command, capsys):
    """The flags that a command's own help tells."""
    with pytest.raises(SystemExit):
        load_command(command).main(["--help"])
    return set(FLAG.findall(capsys.readouterr().out))


def test_flags_that_the_pages_name_exist(capsys):
    """After a command those of that command, elsewhere in code those of any."""
    known = {command: flags_of(command, capsys) for command in COMMANDS}
    anywhere = set().union(*known.values())
    unknown = []
    for page in PAGES:
        for line in calls(page):
            named = [name for name in CALL.findall(line) if name in known]
            missing = set(FLAG.findall(line)) - (known[named[0]] if named else anywhere)
            unknown += [(name_of(page), line, flag) for flag in sorted(missing)]
    assert unknown == []


def test_commands_that_the_pages_name_exist():
    for page in PAGES:
        for line in calls(page):
            for name in re.findall(r"(?:^|\s)koala-face (\w+)", line):
                assert name in COMMANDS, (name_of(page), line)
