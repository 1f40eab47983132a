from .backbones import build_descriptor as build_descriptor
from .backbones import find_backbone as find_backbone
from .colorizer.colorizer import Colorizer as Colorizer
from .data.portraits import load_portraits as load_portraits
from .foundation.errors import KoalaFaceError as KoalaFaceError
from .model_files.description import ModelDescription as ModelDescription
from .model_files.files import load_model as load_model
from .model_files.files import save_model as save_model
from .models import build_colorizer as build_colorizer

__version__: str
