from .decoding import Photograph as Photograph
from .decoding import PhotographError as PhotographError
from .decoding import read_photograph as read_photograph
from .encoding import write_photograph as write_photograph
from .reading import find_photographs as find_photographs
from .reading import read_rgb as read_rgb
from .reading import resize as resize
from .sample_portraits import write_sample_portraits as write_sample_portraits
