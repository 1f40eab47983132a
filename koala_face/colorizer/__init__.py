"""Colouring photographs with a trained model: the network's small ab, of one prediction or
several, at the photograph's own size, depth and luminance; one photograph in memory or many
files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
