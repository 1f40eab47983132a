"""What every room stands on: the errors that a user can mend, flags made from a dataclass and
how a command ends, and files that are written whole and held by one process at a time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
