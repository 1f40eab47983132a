"""The two real portraits that installed packages carry, for a first try without any download."""

import os
from pathlib import Path

import numpy as np
from matplotlib import cbook
from PIL import Image
from skimage import data


def astronaut() -> np.ndarray:
    """Eileen Collins, photographed by NASA, public domain: (512, 512, 3) uint8 sRGB."""
    return data.astronaut()


def grace_hopper() -> np.ndarray:
    """Grace Hopper, photographed by the US Navy, public domain: (600, 512, 3) uint8 sRGB."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def write_sample_portraits(folder: str | os.PathLike) -> list[Path]:
    """Write both as PNG into `folder`, which is made if it is missing; gives the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "astronaut.png", folder / "grace_hopper.png"]
    for portrait, file in zip((astronaut(), grace_hopper()), files, strict=True):
        Image.fromarray(portrait).save(file, compress_level=1)  # a third of the time
    return files
