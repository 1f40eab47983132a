"""What a model file says of itself, beside its network: its `koala_face_...` attributes."""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field

import h5py

from koala_face import __version__
from koala_face.color import AB_SCALE, LUMINANCE_SCALE
from koala_face.foundation.errors import KoalaFaceError
from koala_face.model_files.carried import read_carried, write_carried
from koala_face.model_files.portable import shortened
from koala_face.models import NETWORKS, PAPER, SizeError, check_size

# One prediction, at the network's own size.
ONCE = (1.0,)
PREFIX = "koala_face_"
# Attributes that the first files have not, and what holds for those.
LATER = {"mirrored": False, "scales": ONCE, "network": PAPER.name}
# A stranger's file must not make a network that fills the memory.
LARGEST_SIZE, LARGEST_DIM = 2048, 2**14
LONGEST_TEXT = 2**20


class ModelFileError(KoalaFaceError):
    """A model file that cannot be written, or that is not safe or not whole."""


def _is_number(value) -> bool:
    # Not math.isfinite, to which an integer of 400 digits is an error.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _are_numbers(values) -> bool:
    return isinstance(values, (list, tuple)) and bool(values) and all(map(_is_number, values))


# Type of a field: a test of its value, and what it is called.
KINDS = {
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: _is_number(value) and isinstance(value, int), "a whole number"),
    float: (lambda value: _is_number(value) and value > 0, "a number above 0"),
    tuple: (_are_numbers, "a list of numbers"),
    dict: (lambda value: isinstance(value, dict), "a JSON object"),
}


@dataclass(frozen=True)
class ModelDescription:
    """What a program needs to know to use a model; the file's `koala_face_...` attributes.

    `backbone` and `layer` name the descriptor of which the model was trained to take the
    vector of `embedding_dim`, `preprocessing` what that descriptor does to RGB in 0-255.
    `size` is the height and width of luminance and ab. `network` names its tables
    (`models.NETWORKS`). It takes
    L* / `luminance_scale` and gives ab / `ab_scale`. `mirrored` and `scales` say of which
    predictions a portrait's colours are the mean (`prediction.make_prediction`). `training` is
    JSON: the data, the command, the seed, the date, scores. `descriptor_file` are the bytes of
    the file that a tuned descriptor or an oracle is read from: no attribute, but a dataset.

    Raises:
        ModelFileError: names the attribute that is of another kind or out of range.
    """

    backbone: str
    layer: str
    preprocessing: str
    embedding_dim: int
    size: int
    luminance_scale: float = LUMINANCE_SCALE
    ab_scale: float = AB_SCALE
    mirrored: bool = False
    scales: tuple[float, ...] = ONCE
    network: str = PAPER.name
    training: dict = field(default_factory=dict)
    koala_face_version: str = __version__
    descriptor_file: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for row in _attributes():
            fits, words = KINDS[_kind(row)]
            _expect(fits(getattr(self, row.name)), row.name, words, getattr(self, row.name))
        fits = 0 < self.embedding_dim <= LARGEST_DIM
        _expect(fits, "embedding_dim", f"1 to {LARGEST_DIM}", self.embedding_dim)
        _expect(self.size <= LARGEST_SIZE, "size", f"{LARGEST_SIZE} at most", self.size)
        try:
            check_size(self.size)
        except SizeError as error:
            raise ModelFileError(f"{attribute_name('size')}: {error}") from error
        _expect(self.network in NETWORKS, "network", f"one of {', '.join(NETWORKS)}", self.network)
        _check_training(self.training)
        _expect(
            (":" in self.backbone) == (self.descriptor_file is not None),
            "backbone",
            "a descriptor without a file, or with the file that it is read from beside it",
            self.backbone,
        )

    @property
    def descriptor(self) -> tuple[str, str, bytes | None]:
        """What `backbones.find_backbone` asks for."""
        return self.backbone, self.layer, self.descriptor_file


def _expect(fits: bool, name: str, words: str, value: object) -> None:
    if not fits:
        raise ModelFileError(
            f"Expected the attribute {attribute_name(name)} as {words}. "
            f"Received: {shortened(value)}."
        )


def _check_training(training: dict) -> None:
    """What a report takes out of `training` is of the kind that it expects."""
    try:
        json.dumps(training, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(
            f"Expected the attribute {attribute_name('training')} as JSON of finite numbers. "
            f"Received: {shortened(training)} ({error})."
        ) from error
    for name in ("command", "data", "date"):
        value = training.get(name, "")
        _expect(isinstance(value, str), f"training, {name}", "a text", value)
    mean = training.get("mean_ab", [0, 0])
    _expect(_are_numbers(mean) and len(mean) == 2, "training, mean_ab", "two numbers", mean)


def read_description(file: h5py.File) -> ModelDescription:
    """The description in an open file.

    Raises:
        ModelFileError: for a file that koala_face did not write.
    """
    values = {"descriptor_file": read_carried(file)}
    for row in _attributes():
        name = attribute_name(row.name)
        value = read_attribute(file, name)
        if value is None and row.name not in LATER:
            raise ModelFileError(
                f"Expected a model of koala_face, with the attribute {name}. Received: a file "
                "without it. It is a model of another kind: train one with "
                "python -m koala_face.train."
            )
        if value is None:
            value = LATER[row.name]
        elif _kind(row) is dict:
            value = parse_json(value, name)
        elif isinstance(value, list):
            value = tuple(value)
        values[row.name] = value
    return ModelDescription(**values)


def write_description(file: h5py.File, description: ModelDescription) -> None:
    """Write the description's attributes into an open file."""
    for row in _attributes():
        value = getattr(description, row.name)
        file.attrs[attribute_name(row.name)] = json.dumps(value) if _kind(row) is dict else value
    if description.descriptor_file is not None:
        write_carried(file, description.descriptor_file)


def _attributes() -> list[dataclasses.Field]:
    """The fields that are attributes of the file."""
    return [row for row in dataclasses.fields(ModelDescription) if row.name != "descriptor_file"]


def attribute_name(name: str) -> str:
    """The attribute of a field: `size` is `koala_face_size`."""
    return PREFIX + name.removeprefix(PREFIX)


def read_attribute(file: h5py.File, name: str):
    """An attribute as Python's own text, number or list; None where the file has none.

    Raises:
        ModelFileError: for one that is too long to be ours.
    """
    if name not in file.attrs:
        return None
    # The size is looked at first: HDF5 makes room for what a file says, not for what it holds.
    if math.prod(file.attrs.get_id(name).shape or ()) > 100:
        raise ModelFileError(f"Expected the attribute {name} as one value. Received: very many.")
    value = file.attrs[name]
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise ModelFileError(
            f"Expected the attribute {name} of {LONGEST_TEXT} characters at most. "
            f"Received: {len(value)}."
        )
    return value


def parse_json(text: object, name: str):
    """The JSON values in an attribute's text.

    Raises:
        ModelFileError: names the attribute.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(
            f"Expected the attribute {name} in JSON. Received: {shortened(text)} ({error})."
        ) from error


def _kind(row: dataclasses.Field) -> type:
    """`tuple[float, ...]` as tuple."""
    return typing.get_origin(row.type) or row.type
