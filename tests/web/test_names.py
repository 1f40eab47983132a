"""Names from a browser: no folders, nothing that cannot be seen, never too long, never twice."""

from urllib.parse import unquote

import pytest

from koala_face.web.names import disposition, own_name, unique_names

NAMES = {
    "a b.jpg": "a b.jpg",
    "Großmutter 1931.tif": "Großmutter 1931.tif",
    "../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "/": "photograph",
    "..": "photograph",
    "": "photograph",
    " .hidden.png ": "hidden.png",
    "a\r\nSet-Cookie: x\0.png": "a__Set-Cookie: x_.png",
    "abc\u202egnp.exe": "abc_gnp.exe",
    '"><img src=x onerror=alert(1)>.jpg': '"><img src=x onerror=alert(1)>.jpg',
    "\udcff.png": "_.png",
    "خانه\u200cها.jpg": "خانه\u200cها.jpg",
}


@pytest.mark.parametrize(("given", "name"), NAMES.items(), ids=map(ascii, NAMES))
def test_own_name(given, name):
    assert own_name(given) == name


def test_a_long_name_keeps_its_suffix_and_whole_signs():
    name = own_name("ä" * 4000 + ".jpeg")
    assert name.endswith("ä.jpeg")
    assert 190 < len(name.encode()) <= 200
    assert len(own_name("a." + "b" * 4000).encode()) <= 200


def test_names_are_unique_whatever_their_case():
    given = ["a.jpg", "A.jpg", "a-2.jpg", "a.jpg", "b"]
    assert unique_names(given) == ["a.jpg", "A-2.jpg", "a-2-2.jpg", "a-3.jpg", "b"]


@pytest.mark.parametrize("name", ["a b.jpg", 'ä";\r\n字.png', "100 %.tif"])
def test_a_download_has_the_name_and_no_second_header(name):
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    plain, encoded = header.split("; filename")[1:]
    assert unquote(encoded.removeprefix("*=UTF-8''")) == name
    assert plain.count('"') == 2
