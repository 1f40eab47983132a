from .scoring import Batch as Batch
from .scoring import EvaluationError as EvaluationError
from .scoring import Scores as Scores
from .scoring import estimate as estimate
from .scoring import make_network as make_network
from .scoring import score as score
