from .paper import colorization_figure as colorization_figure
from .paper import distribution_figure as distribution_figure
from .paper import loss_figure as loss_figure
from .paper import save_figure as save_figure
