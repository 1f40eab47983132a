"""A program of a user's own with every public name, for the type checker alone; nobody runs it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import assert_type

import koala_face
from koala_face import (
    Colorizer,
    KoalaFaceError,
    ModelDescription,
    build_colorizer,
    build_descriptor,
    find_backbone,
    load_model,
    load_portraits,
    save_model,
)


def colour(photograph: Image.Image, model_path: str | None = None) -> NDArray[Any]:
    colorizer = assert_type(Colorizer.load(model_path, variant="vivid", saturation=1.2), Colorizer)
    many = colorizer.colorize_many([photograph, np.zeros((8, 8), np.uint8)])
    return many[0] if len(many) == 2 else colorizer(photograph)


def describe(model_path: str) -> tuple[str, int]:
    _, description = load_model(model_path)
    assert_type(description, ModelDescription)
    return description.backbone, description.size


def rewrite(model_path: str, copy_path: str) -> None:
    model, description = load_model(model_path)
    save_model(model, copy_path, description)


def vectors(folder: str) -> NDArray[Any]:
    backbone = find_backbone("facenet", layer=None)
    descriptor = build_descriptor(backbone, None)
    portraits = load_portraits(folder, size=128, backbone=backbone, strict=True)
    network = build_colorizer(embedding_dim=backbone.embedding_dim, size=128)
    print(descriptor.name, network.name, len(portraits))
    return np.asarray(portraits.embeddings)


def main() -> int:
    print(koala_face.__version__)
    try:
        print(colour(Image.open("portrait.jpg")).shape, describe("run/model.h5"), vectors("faces"))
    except KoalaFaceError as error:
        print(error)
        return 1
    return 0
