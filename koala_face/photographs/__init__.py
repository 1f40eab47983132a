"""Photographs in and out (Section II.B): any file to upright sRGB samples at its own depth,
with its profile, EXIF and alpha, and back; the one resize of the project; two portraits that
installed packages carry.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
