"""The try-out of `train --quick`: two portraits that installed packages carry, learned by heart."""

import dataclasses
from pathlib import Path

from koala_face.training.recipe import Recipe
from koala_face.training.run_folder import RunFolder

# A try-out's settings; the portraits and the folders are its own too.
QUICK = {"epochs": 10, "steps_per_epoch": 25, "batch_size": 2, "size": 128, "backbone": "facenet"}


def quick_config(config: Recipe) -> Recipe:
    """Train's config for some two minutes on two CPU cores; its portraits are written."""
    from koala_face.photographs.sample_portraits import write_sample_portraits

    config.check()
    output = Path(config.output or "runs/quick")
    portraits = str(output / "portraits")
    write_sample_portraits(portraits)
    places = {"output": str(output), "cache": str(output / "cache")}
    return dataclasses.replace(config, data=portraits, validation=portraits, **places, **QUICK)


def colorize_samples(config: Recipe) -> Path:
    """Colour the two portraits with the model just trained; gray, coloured, true in a picture."""
    from koala_face.colorizer.colorizer import Colorizer
    from koala_face.figures.paper import draw_colorizations
    from koala_face.photographs.sample_portraits import astronaut, grace_hopper

    run, portraits = RunFolder(config.output), [astronaut(), grace_hopper()]
    colored = Colorizer.load(run.model_file).colorize_many(portraits)
    return draw_colorizations(portraits, colored, run.path / "quick.png")
