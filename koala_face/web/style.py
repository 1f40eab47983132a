"""How a photograph shall look: what the page's controls say, read without TensorFlow."""

from collections.abc import Mapping
from typing import NamedTuple

from koala_face.colorizer.upsampling import EDGE_AWARE, UPSAMPLINGS
from koala_face.model_files.shipped import ColorizerError

# Pixels of the longest side: of the copy that the page shows, and of the list's small ones.
PREVIEW, THUMBNAIL = 1600, 240
STRONGEST = 2.0


class Style(NamedTuple):
    """How a photograph is coloured, apart from the networks: what the page's controls say."""

    variant: str
    saturation: float = 1.0
    upsampling: str = EDGE_AWARE


def parse_style(asked: Mapping[str, str], variants: list[str]) -> Style:
    """The style that a request asks for; what it leaves out is as `colorize` has it.

    Raises:
        ColorizerError: for a value that is none of the choices.
    """
    variant = asked.get("variant", variants[0])
    upsampling = asked.get("upsampling", EDGE_AWARE)
    for value, choices in ((variant, tuple(variants)), (upsampling, UPSAMPLINGS)):
        if value not in choices:
            raise ColorizerError(f"Expected one of {choices}. Received: {value!r}.")
    text = asked.get("saturation", 1.0)
    try:
        saturation = float(text)
    except (TypeError, ValueError):
        saturation = -1.0
    if not 0 <= saturation <= STRONGEST:
        raise ColorizerError(f"Expected a saturation of 0 to {STRONGEST:g}. Received: {text!r}.")
    return Style(variant, saturation, upsampling)
