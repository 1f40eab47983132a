"""The trained models that ship with the package: one network, asked in two ways."""

from pathlib import Path

from koala_face.foundation.errors import KoalaFaceError

PRETRAINED = Path(__file__).parent / "pretrained"
# Trained for the smallest error, or for colours as strong as real ones.
VARIANTS = ("faithful", "vivid")


class ColorizerError(KoalaFaceError):
    """No model to colour with, one that does not fit its descriptor, or a setting out of range."""


def shipped_model(variant: str = VARIANTS[0]) -> Path:
    """The model file that ships with the package, for `load_model` of `model_files.files`.

    That of "vivid" holds no weights: its network is that of "faithful", made stronger. For
    other Keras programs, write it whole: `save_model(model, "vivid.h5", description)`.

    Raises:
        ColorizerError: for an unknown variant, or if this copy has no such file.
    """
    if variant not in VARIANTS:
        raise ColorizerError(f"Expected a variant out of {VARIANTS}. Received: {variant!r}.")
    path = PRETRAINED / f"{variant}.h5"
    if not path.is_file():
        raise ColorizerError(
            f"Expected the trained model {path}, which this copy lacks. Name another with "
            "--model FILE, or train one: python -m koala_face.train --quick"
        )
    return path
