"""What becomes of one photograph: seen by the networks once, then shown and written in any style.

The networks' answers of all models lie on the disk beside a reduced copy, so that memory does not
grow with the number of photographs, and another style asks no network again.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from koala_face.colorizer.colorizer import Colorizer, NetworkInput
from koala_face.colorizer.pictures import jpeg_of
from koala_face.model_files.files import load_model
from koala_face.model_files.portable import shortened
from koala_face.model_files.shipped import ColorizerError
from koala_face.photographs.decoding import Photograph, read_photograph
from koala_face.photographs.encoding import write_photograph
from koala_face.photographs.reading import as_eight_bit, over_white, resize
from koala_face.web.store import Entry, Store
from koala_face.web.style import PREVIEW, Style

# Bytes of a result, as a share of its samples': what PNG makes of noise, and what else is in it.
OVERHEAD, BESIDES = 1.1, 2**20


def load_colorizers(models: dict[str, Path], weights: str | None) -> dict[str, Colorizer]:
    """Load the models by name; the descriptor is loaded once, and embeds for all of them.

    Raises:
        ColorizerError: models that see photographs by different descriptors or sizes.
        ModelFileError, BackboneError, WeightsError: from the parts.
    """
    (first_name, first_path), *others = models.items()
    network, first = load_model(first_path)
    colorizer = Colorizer.of_network(network, first, weights, first_path)
    colorizers = {first_name: colorizer}
    for name, path in others:
        network, described = load_model(path)
        kinds = [(*one.descriptor, one.size) for one in (first, described)]
        if kinds[0] != kinds[1]:
            expected, received = map(shortened, kinds)
            raise ColorizerError(f"Expected models of {expected}. Received: {path}, of {received}.")
        size = colorizer.descriptor_size
        colorizers[name] = Colorizer(network, None, size, description=described)
    return colorizers


def prepare(entry: Entry, store: Store, colorizers: dict[str, Colorizer]) -> None:
    """Read a photograph, ask every model once, and keep the answers beside a reduced copy.

    Raises:
        PhotographError: it cannot be read.
        StorageError: what is kept does not fit.
    """
    photograph = read_photograph(entry.source)
    first = next(iter(colorizers.values()))
    seen = first.prepare(photograph.pixels, jpeg_of(entry.source, photograph))
    vectors = first.embed([seen])
    answers = {name: one.predict([seen], vectors)[0] for name, one in colorizers.items()}
    kept = {f"ab_{name}": ab for name, ab in answers.items()}
    kept.update(pixels=reduced_copy(photograph), luminance=seen.luminance, narrow=seen.narrow)
    buffer = io.BytesIO()
    np.savez(buffer, **kept)
    store.reserve(entry, buffer.tell())
    entry.seen.write_bytes(buffer.getbuffer())
    entry.notes = first.notes_on(photograph, seen)
    entry.size = photograph.pixels.shape[:2]


def reduced_copy(photograph: Photograph) -> np.ndarray:
    """(h, w) or (h, w, 3) uint8 over white, of `PREVIEW` pixels at most on the longer side."""
    pixels = shrink(as_eight_bit(photograph.pixels), PREVIEW)
    if photograph.alpha is None:
        return pixels
    return over_white(pixels, shrink(as_eight_bit(photograph.alpha), PREVIEW))


def shrink(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Resize (H, W) or (H, W, 3) uint8 so that no side is longer; a small one stays."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, max(1, round(scale * height)), max(1, round(scale * width)))


def show(
    entry: Entry,
    colorizers: dict[str, Colorizer],
    style: Style | None = None,
    longest: int = PREVIEW,
) -> bytes:
    """A reduced copy as JPEG: as it came, or coloured in a style."""
    with np.load(entry.seen) as kept:
        pixels = shrink(kept["pixels"], longest)
        if style is not None:
            colorizer, seen, ab = _answer(kept, colorizers, style)
            pixels = colorizer.finish(pixels, seen, ab)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def write_result(
    entry: Entry, store: Store, style: Style, colorizers: dict[str, Colorizer]
) -> None:
    """Write the photograph into `entry.result`, at its own size and depth, as `colorize` does.

    Raises:
        PhotographError: its format cannot hold it.
        StorageError: it does not fit.
    """
    store.drop_result(entry)
    photograph = read_photograph(entry.source)
    with np.load(entry.seen) as kept:
        colorizer, seen, ab = _answer(kept, colorizers, style)
    height, width = photograph.pixels.shape[:2]
    samples = height * width * (3 if photograph.alpha is None else 4)
    most = int(OVERHEAD * samples * photograph.pixels.itemsize) + len(photograph.exif) + BESIDES
    store.reserve(entry, most)
    size = 0
    try:
        colored = colorizer.finish_photograph(photograph, seen, ab)
        del photograph
        write_photograph(entry.result, colored, entry.job.format)
        size = entry.result.stat().st_size
        entry.style = style
    finally:
        store.reserve(entry, size - most)


def _answer(kept, colorizers, style: Style) -> tuple[Colorizer, NetworkInput, np.ndarray]:
    """The colorizer of a style, and what it saw and said of a photograph."""
    seen = NetworkInput(kept["luminance"], None, bool(kept["narrow"]))
    colorizer = colorizers[style.variant].restyled(style.upsampling, style.saturation)
    return colorizer, seen, kept[f"ab_{style.variant}"]
