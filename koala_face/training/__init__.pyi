from .loop import Training as Training
from .loop import TrainingError as TrainingError
from .recipe import Recipe as Recipe
from .recipe import RecipeError as RecipeError
from .run_folder import RunFolder as RunFolder
from .run_folder import RunFolderError as RunFolderError
