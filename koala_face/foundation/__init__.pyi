from .commands import parse_config as parse_config
from .commands import run as run
from .commands import setting as setting
from .errors import KoalaFaceError as KoalaFaceError
from .files import LockError as LockError
from .files import locked as locked
from .versions import keras_version as keras_version
