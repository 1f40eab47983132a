"""Descriptor files with random heads, for tests of what is done with them."""

import json

import numpy as np

from koala_face.backbones import find_backbone, locate_weights, weights_sha256
from koala_face.backbones.tuned import build_head, write_head
from koala_face.model_files.files import save_network

CLASSES = 3
# Mean a*, b* of skin, upper half, lower half and border: blue, gray and orange portraits.
CENTERS = np.repeat([[5.0, -40.0], [0.0, 0.0], [30.0, 45.0]], 4, axis=0).reshape(3, 8)


def make_head(features, classes=CLASSES, hidden=0, seed=0):
    """A network of random weights, so large that its probabilities differ."""
    head = build_head(features, hidden, classes)
    random = np.random.default_rng(seed)
    head.set_weights([random.normal(0, 0.3, w.shape).astype("float32") for w in head.get_weights()])
    return head


def save_descriptor(
    path, name="none", layer=None, weights=None, targets="colors", head=None, **changes
):
    """Write a descriptor file on a network whose weights are here; gives the path as text."""
    base = find_backbone(name, layer)
    weights = locate_weights(base, weights)
    head = head or make_head(base.embedding_dim)
    facts = {
        "backbone": base.name,
        "layer": base.layer,
        "weights_sha256": weights_sha256(weights) if weights else "",
        "targets": targets,
        "classes": CLASSES,
        "training": json.dumps({"seed": 0}),
    }
    centers = CENTERS.astype("float32") if targets == "colors" else None
    save_network(head, path, lambda file: write_head(file, {**facts, **changes}, centers))
    return str(path)
