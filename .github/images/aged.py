"""Draws aged.jpg, the model card's picture: six portraits as old photographs, coloured, and true.

    python .github/images/aged.py

The portraits are those of portraits.py, each aged by all effects of `koala_face.training.ageing`,
of strengths drawn from seed 0 and its place; all are shown.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from portraits import SIDE, fetch_portraits

from koala_face import Colorizer, color
from koala_face.training import ageing


def main() -> None:
    portraits = [portrait.resize((SIDE, SIDE)) for portrait in fetch_portraits()]
    aged = []
    for place, portrait in enumerate(portraits):
        linear = color.lab_to_linear(color.rgb_to_lab(np.asarray(portrait))).numpy().clip(0, 1)
        aged.append(Image.fromarray(ageing.age(linear, 0, place)))
    colored = map(Image.fromarray, Colorizer.load().colorize_many(aged))
    sheet = Image.new("RGB", (SIDE * len(portraits), SIDE * 3))
    for down, row in enumerate((aged, colored, portraits)):
        for right, picture in enumerate(row):
            sheet.paste(picture.convert("RGB"), (SIDE * right, SIDE * down))
    sheet.save(Path(__file__).with_name("aged.jpg"), quality=92, subsampling=0)


if __name__ == "__main__":
    main()
