"""What shows before the work: what is done already, and what cannot be done.

Nothing here loads TensorFlow.
"""

import os
import stat
import tempfile
from pathlib import Path

from koala_face.colorizer.cluster.addresses import check_place, list_files, reason_of
from koala_face.colorizer.jobs import Job
from koala_face.model_files.shipped import ColorizerError
from koala_face.photographs.decoding import PhotographError, count_pixels, read_photograph


def find_finished(jobs: list[Job], output: Path | None) -> set[Path]:
    """The targets that are there already."""
    targets = [job.target for job in jobs]
    here = {target for target in targets if isinstance(target, Path)}
    finished = {target for target in here if os.path.isfile(target)}
    if len(here) == len(targets):
        return finished
    folders = {job.target.parent for job in jobs} if output is None else {output}
    listed = {name for folder in folders for name in list_files(folder)}
    return finished | {target for target in targets if str(target) in listed}


def why_impossible(job: Job) -> str | None:
    """Why a photograph cannot be coloured, as far as that shows without opening it.

    Of addresses nothing shows.
    """
    if not isinstance(job.source, Path):
        return None
    try:
        kind = os.stat(job.source).st_mode
    except FileNotFoundError:
        return f"{job.source}: does not exist."
    except (OSError, ValueError) as error:
        return f"{job.source}: cannot be opened, {reason_of(error)}."
    if not stat.S_ISREG(kind):
        return f"{job.source}: is no file."
    if not isinstance(job.target, Path):
        return None
    if os.path.isdir(job.target):
        return f"{job.source}: its result would be {job.target}, which is a folder."
    try:
        os.lstat(job.target)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return f"{job.target}: cannot be written, {reason_of(error)}."
    return None


def why_unreadable(job: Job) -> str | None:
    """Why a photograph of this machine cannot be read, if its header tells of no picture."""
    if not isinstance(job.source, Path) or count_pixels(job.source):
        return None
    try:
        read_photograph(job.source)
    except PhotographError as error:
        return str(error)
    return None


def check_model(
    model: Path, weights: str | None, in_color: bool = False, palettes: int = 0
) -> None:
    """Refuse a model that is no HDF5 file, or whose descriptor lacks its weights or, unless the
    portraits are `in_color`, looks at colours; for `palettes` one that has not so many.

    What else may be wrong with a model, `Colorizer.load` says.

    Raises:
        ColorizerError, BackboneError, WeightsError: say what is missing and how to get it.
    """
    import h5py

    from koala_face.backbones import check_blind, find_backbone, locate_weights
    from koala_face.model_files.carried import read_carried

    if not model.is_file():
        raise ColorizerError(f"Expected a model file. Received: {model}, which is no file.")
    try:
        with h5py.File(model, "r") as file:
            named = [file.attrs.get(f"koala_face_{part}") for part in ("backbone", "layer")]
            carried = read_carried(file)
    except Exception as error:  # h5py raises errors of many kinds for damaged bytes
        raise ColorizerError(f"Expected a whole HDF5 file. Received: {model} ({error}).") from error
    if None not in named:
        backbone = find_backbone(*map(str, named), carried)
        if palettes:
            from koala_face.colorizer.palettes import check_palettes, likeliest

            check_palettes(backbone, palettes)
            backbone = likeliest(backbone)
        elif not in_color:
            check_blind(backbone)
        locate_weights(backbone, weights)


def check_writable(folder: Path) -> None:
    """Make the folder and write into it, to learn before the work whether that is possible."""
    if not isinstance(folder, Path):
        check_place(folder)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise PhotographError(
            f"Expected a folder that can be written. {folder}: {reason_of(error)}."
        ) from error
