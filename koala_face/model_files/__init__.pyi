from .files import ModelDescription as ModelDescription
from .files import ModelFileError as ModelFileError
from .files import load_model as load_model
from .files import read_description as read_description
from .files import save_model as save_model
from .shipped import VARIANTS as VARIANTS
from .shipped import ColorizerError as ColorizerError
from .shipped import shipped_model as shipped_model
