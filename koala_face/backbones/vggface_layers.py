"""VGG-Face's layers as data: `vggface` builds them, `downloads` checks a file against them.

They are those of keras-vggface 0.6, `VGGFace(model="vgg16")`, and so are their names.
"""

from typing import NamedTuple


class Block(NamedTuple):
    """So many 3x3 convolutions with ReLU, and a 2x2 maximum."""

    convolutions: int
    filters: int


class Full(NamedTuple):
    """A fully connected layer."""

    name: str
    units: int
    activation: str


INPUT_SIZE = 224
BLOCKS = (Block(2, 64), Block(2, 128), Block(3, 256), Block(3, 512), Block(3, 512))
TOP = (Full("fc6", 4096, "relu"), Full("fc7", 4096, "relu"), Full("fc8", 2622, "softmax"))


def conv_name(block: int, row: int) -> str:
    """The name of a block's convolution; both count from 1."""
    return f"conv{block}_{row}"


def layer_shapes() -> dict[str, list[tuple[int, ...]]]:
    """Layer name to the shapes of its kernel and bias, from the input up."""
    shapes, channels = {}, 3
    for number, block in enumerate(BLOCKS, start=1):
        for row in range(1, block.convolutions + 1):
            kernel = (3, 3, channels, block.filters)
            shapes[conv_name(number, row)] = [kernel, (block.filters,)]
            channels = block.filters
    units = channels * (INPUT_SIZE // 2 ** len(BLOCKS)) ** 2
    for row in TOP:
        shapes[row.name] = [(units, row.units), (row.units,)]
        units = row.units
    return shapes
