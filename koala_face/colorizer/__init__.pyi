from .colorizer import Colorizer as Colorizer
from .files import Outcome as Outcome
from .files import colorize_files as colorize_files
from .jobs import Job as Job
from .jobs import plan_jobs as plan_jobs
from .prediction import PredictionError as PredictionError
from .prediction import make_prediction as make_prediction
