"""`koala-face` and `python -m koala_face`: the commands, a line each, and the way to them."""

import importlib
import sys
import types

from koala_face.foundation.commands import launcher, run

# In the order in which people need them.
COMMANDS = {
    "colorize": "colour photographs with a trained model, at their own size and depth",
    "web": "a page on this machine to colour photographs, in the browser",
    "train": "train the colorizer (Section II.F); --quick for a try-out of two minutes",
    "evaluate": "score a model on a folder of portraits, beside baselines and the paper's rows",
    "compare": "train and compare the descriptors (Tables V and VI)",
    "embed": "compute a folder's vectors from a descriptor into an HDF5 file (Section II.C)",
    "tune": "tune a descriptor for colour: a softmax on clusters of colours (Section IV)",
    "weights": "list, fetch and verify the descriptors' weights",
    "export": "write a model as .h5, SavedModel, TensorFlow Lite or ONNX for other programs",
    "publish": "make a model file that ships, with its scores in it",
    "benchmark": "time this package beside the ancestors' way",
}
# Commands that lie in a folder.
PLACES = {
    "web": "web.__main__",
    "weights": "backbones.weights",
    "benchmark": "benchmark.__main__",
    "compare": "compare.__main__",
}
# What most people come for.
FIRST = {
    "web": "a page in the browser: drop photographs, fetch them in colour",
    "colorize photo.jpg": "writes photo-colored.jpg beside it",
    "colorize photos/ -o colored/": "a whole folder, its tree kept",
    "train --quick": "a small model in about two minutes, without any download",
}


def main() -> None:
    """Run the command that the first argument names; without one, tell what there is."""
    run(_choose)


def load_command(name: str) -> types.ModuleType:
    """The module of a command, with its `main`."""
    return importlib.import_module(f"koala_face.{PLACES.get(name, name)}")


def _choose() -> int | None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        return load_command(name).main(sys.argv[2:])
    print(f"usage: {launcher()} COMMAND ...\n\nMost people need these:")
    for words, line in FIRST.items():
        print(f"  {launcher()} {words:<28}  {line}")
    print("\nAll commands:")
    for command, line in COMMANDS.items():
        print(f"  {command:<10} {line}")
    print(f"\n{launcher()} COMMAND --help tells a command's flags.")
    if name in ("--help", "-h"):
        return 0
    print(f"\nerror: Expected one of these commands. Received: {name}.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
