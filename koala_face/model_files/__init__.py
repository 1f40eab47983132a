"""A trained network as one .h5 that every Keras opens and that says what it needs: written in the
form that all of them read, read back safely even from a stranger; and the models that ship.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
