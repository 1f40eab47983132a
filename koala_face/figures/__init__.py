"""Figures 2 to 5 of the paper, the pictures that the notebooks show, and reports in Markdown and
HTML. Drawing knows nothing of training or files of models: it takes numbers and pictures.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
