"""Grayscale portrait colorization with CNNs and a pretrained face descriptor.

A reimplementation of "Grayscale Portrait Colorization using CNNs and Pretrained
VGG-Face Descriptor" (Haque & Tokey) in tf.keras. The modules follow the paper:
`color` (II.A), `data` (II.B), `backbones` and `embeddings` (II.C), `models`
(II.D, Tables I-III), `metrics` (II.E), `training` (II.F).
"""

__version__ = "0.1.0"
