"""`python -m koala_face weights`: list, fetch and verify weights, and prove the networks."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from koala_face.backbones import (
    BACKBONE_NAMES,
    BACKBONES,
    Backbone,
    BackboneError,
    find_backbone,
)
from koala_face.backbones.downloads import download, verify
from koala_face.backbones.weight_files import (
    WEIGHTS_FILES,
    MissingWeightsError,
    WeightsError,
    WeightsFile,
    installed_path,
    locate_file,
)
from koala_face.foundation.commands import parse_config, run, setting


@dataclasses.dataclass(frozen=True)
class WeightsConfig:
    """List the weights of the descriptors, fetch or verify them, or prove the networks.

    Nothing else in koala_face ever downloads.
    """

    download: tuple[str, ...] = setting(
        (), "fetch the weights of these descriptors into Keras's cache, `all` for all"
    )
    verify: bool = setting(False, "read every file there is and compare its hash and its layers")
    prove: bool = setting(
        False,
        "build each network by the package that published it and by us, on the same weights, "
        "and show the largest difference; takes some minutes",
    )
    address: str | None = setting(
        None, "fetch from here instead of the published address; for one descriptor"
    )


def main(argv=None) -> int:
    """Do what the flags say; 1 if a file is broken or a network differs."""
    config = parse_config(WeightsConfig, argv, "weights")
    if config.prove:
        return print_proofs(BACKBONES)
    files = choose_files(config.download, config.address)
    for file in files:
        print(f"{file.backbone}: {fetch_file(file, config.address)}")
    if files:
        return 0
    states = [check_file(file, config.verify) for file in WEIGHTS_FILES]
    for file, (state, text) in zip(WEIGHTS_FILES, states, strict=True):
        print(f"{file.backbone:<20} {state:<9} {text}")
    return int(any(state == "broken" for state, _ in states))


def print_proofs(backbones: Sequence[Backbone]) -> int:
    """A line for each descriptor's layer as it comes; 1 if one differs from its authority."""
    from skimage.data import astronaut

    from koala_face.backbones.proof import LARGEST_DIFFERENCE, prove

    row = "{:<20} {:<12} {:<44} {:<21} {:>12} {:>11}"
    print(row.format("descriptor", "layer", "authority", "weights", "parameters", "difference"))
    failures = 0
    for proof in prove(backbones, astronaut()):
        name, layer = proof.backbone.name, proof.backbone.layer
        numbers = f"{proof.parameters:,}", f"{proof.difference:.1e}"
        print(row.format(name, layer, proof.authority, proof.weights, *numbers), flush=True)
        failures += not proof.holds
    print(f"{failures} of them differ by more than {LARGEST_DIFFERENCE:g}")
    return int(failures > 0)


def choose_files(names: tuple[str, ...], address: str | None) -> list[WeightsFile]:
    """The files of these descriptors.

    Raises:
        BackboneError: for an unknown name.
        WeightsError: for an address that would have to serve several files, or none.
    """
    files = []
    for name in [file.backbone for file in WEIGHTS_FILES] if "all" in names else names:
        if name not in BACKBONE_NAMES:
            raise BackboneError(
                f"Expected descriptors out of {', '.join(BACKBONE_NAMES)}, all. Received: {name!r}."
            )
        file = find_backbone(name).weights_file
        if file is not None and file not in files:
            files.append(file)
    if address and len(files) != 1:
        raise WeightsError(
            f"Expected one descriptor with --address. Received: {len(files)} with {address}. "
            "Next: --download NAME --address URL"
        )
    return files


def fetch_file(file: WeightsFile, address: str | None) -> Path:
    """Fetch and verify one file; one that an installed package carries is only verified."""
    if file.package and not address:
        path = installed_path(file) or locate_file(file)
        verify(file, path)
        return path
    return download(file, address=address)


def check_file(file: WeightsFile, thoroughly: bool) -> tuple[str, str]:
    """Whether a file is missing, found, verified or broken; and where, or what to do."""
    try:
        path = locate_file(file)
        if thoroughly:
            return "verified", f"{path} sha256 {verify(file, path)}"
        return "found", str(path)
    except MissingWeightsError:
        return "missing", f"{file.name}, {file.about}: {file.command}"
    except WeightsError as error:
        return "broken", str(error)


if __name__ == "__main__":
    run(main)
