from .batch_coloring import Batch as Batch
from .batch_coloring import make_network as make_network
from .scoring import EvaluationError as EvaluationError
from .scoring import Scores as Scores
from .scoring import estimate as estimate
from .scoring import score as score
