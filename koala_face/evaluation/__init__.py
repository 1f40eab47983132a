"""The paper's measurements (Sections II.E, III): every coloring scored portrait by portrait beside
gray, a constant and the best that the network could say, with bootstrap intervals, and the
reports of `evaluate` and `compare`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
