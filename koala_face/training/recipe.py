"""How a network is trained: Section II.F as it stands, and what may be tried beyond it.

The defaults are the paper's; each has its one place here. Everything named "beyond the paper"
is off until a flag of `koala_face.train` asks for it.
"""

import dataclasses
import math

from koala_face.foundation.commands import setting
from koala_face.foundation.errors import KoalaFaceError

SCHEDULES = ("constant", "cosine")
LOSSES = ("mse", "huber", "rgb", "rgb-mse", "rebalanced")


class RecipeError(KoalaFaceError):
    """A value outside what a setting of the recipe can be."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings that the training loop reads."""

    epochs: int = setting(21, "epochs")  # II.F
    steps_per_epoch: int = setting(40, "steps in an epoch")  # II.F
    batch_size: int = setting(50, "portraits in a step")  # II.F
    learning_rate: float = setting(0.001, "Adam's learning rate")  # our choice: Adam's default
    schedule: str = setting(
        "constant",  # II.F.2
        "learning rate over the run; cosine falls to zero",
        choices=SCHEDULES,
    )
    loss: str = setting(
        "mse",  # II.F
        "what is made small; best.h5 is chosen by the mse of a* and b* whatever it is",
        choices=LOSSES,
    )
    # Beyond the paper: it names neither augmentation nor averaging.
    flip: bool = setting(False, "mirror every other portrait")
    crop: float = setting(0.0, "largest share of height and width that random crops cut off")
    embedding_noise: float = setting(
        0.0, "random noise on the vectors, as a share of their spread over the portraits"
    )
    ageing: bool = setting(False, "show three of four portraits as old photographs; see `ageing`")
    shares: tuple[float, ...] = setting(
        (), "shares of what is seen from --data and each folder of --extra-data (default: by size)"
    )
    averaging: float = setting(
        0.0, "keep a moving average of the weights with this decay, such as 0.995; 0 for none"
    )
    seed: int = setting(0, "seed of the first weights and the portraits' order")  # our choice
    xla: bool = setting(True, "compile the training step with XLA")  # our choice: it is quicker
    save_seconds: float = setting(30.0, "seconds between two savings of the state")  # our choice

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def check(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            RecipeError: names the setting, what was expected and what came.
        """
        for name in ("epochs", "steps_per_epoch", "batch_size"):
            self.expect(name, getattr(self, name) >= 1, "1 or more")
        self.expect("learning_rate", 0 < self.learning_rate < math.inf, "a number above 0")
        self.expect("schedule", self.schedule in SCHEDULES, " or ".join(SCHEDULES))
        self.expect("loss", self.loss in LOSSES, " or ".join(LOSSES))
        self.expect("crop", 0 <= self.crop < 1, "0 or more, below 1")
        self.expect("embedding_noise", 0 <= self.embedding_noise < math.inf, "0 or more")
        fits = all(0 < share < math.inf for share in self.shares)
        self.expect("shares", fits, "numbers above 0")
        self.expect("averaging", 0 <= self.averaging < 1, "0 or more, below 1")
        self.expect("seed", 0 <= self.seed < 2**32, "0 or more, below 2**32")
        self.expect("save_seconds", self.save_seconds >= 0, "0 or more")

    def expect(self, name: str, fits: bool, expected: str) -> None:
        """Raise a RecipeError about the setting `name` unless it fits."""
        if not fits:
            raise RecipeError(f"Expected {name} of {expected}. Received: {getattr(self, name)}.")
