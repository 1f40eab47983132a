"""`train --quick`: two portraits that installed packages carry, without any download."""

import dataclasses
from pathlib import Path

from koala_face.run_folder import RunFolder
from koala_face.sample_portraits import astronaut, grace_hopper, write_sample_portraits


def quick_config(config):
    """The train command's config for a try-out of about two minutes on two CPU cores.

    Args:
        config: a `TrainConfig`; what is not named here stays as it is.
    """
    output = Path(config.output or "runs/quick")
    portraits = output / "portraits"
    write_sample_portraits(portraits)
    return dataclasses.replace(
        config,
        data=str(portraits),
        validation=str(portraits),
        backbone="facenet",
        size=128,
        batch_size=2,
        steps_per_epoch=25,
        epochs=10,
        output=str(output),
        cache=str(output / "cache"),
    )


def colorize_portraits(config) -> Path:
    """Colour the two portraits with the model just trained; gray, coloured, true in a picture."""
    from koala_face.colorizer import Colorizer
    from koala_face.figures import draw_colorizations

    run = RunFolder(config.output)
    colorizer = Colorizer.load(run.model_file)
    portraits = [astronaut(), grace_hopper()]
    return draw_colorizations(portraits, colorizer.colorize_many(portraits), run.path / "quick.png")
