from .description import ModelDescription as ModelDescription
from .description import ModelFileError as ModelFileError
from .description import read_description as read_description
from .files import load_model as load_model
from .files import save_model as save_model
from .shipped import VARIANTS as VARIANTS
from .shipped import ColorizerError as ColorizerError
from .shipped import shipped_model as shipped_model
