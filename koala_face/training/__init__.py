"""Training (Section II.F), to be read in three files: `recipe`, the paper's numbers; `loop`, its
epochs; `step`, Adam on the mean squared error of ab. Beside them what a step sees, what is
validated, and the folder that a run leaves.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
