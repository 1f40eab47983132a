"""Names of photographs as they come from a browser, and as files get them again."""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import quote

# Most file systems allow 255 bytes; a result may get a mark and another suffix.
LONGEST = 200
UNNAMED = "photograph"
# Signs without a shape of their own that scripts and emoji need: the joiners.
JOINERS = "\u200c\u200d"


def own_name(text: str) -> str:
    """A photograph's own name: no folders, no signs that cannot be seen, 200 bytes at most.

    Of a name that is too long the middle goes; the suffix stays.
    """
    name = text.replace("\\", "/").rpartition("/")[2]
    name = unicodedata.normalize("NFC", name)
    name = "".join(sign if sign.isprintable() or sign in JOINERS else "_" for sign in name)
    name = name.strip(" .") or UNNAMED
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > 10:
        suffix = ""
    stem = name.removesuffix(suffix).encode()[: LONGEST - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in their order; one that was there already gets a number: `a.jpg`, `a-2.jpg`.

    Names that differ in case alone count as the same, as on Windows and macOS.
    """
    taken, unique = set(), []
    for name in names:
        path, number, one = PurePosixPath(name), 1, name
        while one.casefold() in taken:
            number += 1
            one = f"{path.stem}-{number}{path.suffix}"
        taken.add(one.casefold())
        unique.append(one)
    return unique


def disposition(name: str) -> str:
    """The header Content-Disposition that saves a download under `name` (RFC 6266, RFC 5987)."""
    plain = "".join(x if (x.isascii() and x.isalnum()) or x in "-_. " else "_" for x in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
