"""Grayscale portrait colorization with CNNs and a pretrained face descriptor.

A reimplementation of "Grayscale Portrait Colorization using CNNs and Pretrained VGG-Face
Descriptor" (Haque & Tokey) in tf.keras. The listing follows the paper: `color` (II.A), `data`
(II.B), `backbones` (II.C), `models` (II.D, Tables I-III), `metrics` (II.E), `training` (II.F),
`evaluation` and `figures` (III). `python -m koala_face` lists the commands.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, _public_names, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)
