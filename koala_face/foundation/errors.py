"""The errors that a user can cause and mend."""

import unicodedata


class KoalaFaceError(Exception):
    """Base of this package's errors: says what was expected, what came and what to do next.

    Commands print its text without a traceback and end with status 1. Files and servers have
    their words in it: control characters, which could steer a terminal, are written as escapes.
    """

    def __init__(self, message: str = ""):
        super().__init__(printable(message))


def printable(text: str) -> str:
    """`text` with escapes such as \\x1b for its control characters; line breaks stay."""
    return "".join(
        repr(sign)[1:-1] if unicodedata.category(sign) == "Cc" and sign != "\n" else sign
        for sign in str(text)
    )


def visible(text: object) -> str:
    """Text in one line of valid UTF-8: what cannot be seen, or is no UTF-8, becomes `\\x1b`."""
    return "".join(x if x.isprintable() else ascii(x)[1:-1] for x in str(text))
