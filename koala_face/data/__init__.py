"""Portraits for training and evaluation (Section II.B, II.C): a folder's portraits and vectors in
two HDF5 caches that no crash can break, which of them train, and the tf.data batches of Lab
targets and descriptor inputs made of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
