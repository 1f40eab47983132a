"""The errors that a user can cause and mend."""


class KoalaFaceError(Exception):
    """Base of this package's errors: says what was expected, what came and what to do next.

    Commands print its text without a traceback and end with status 1.
    """
