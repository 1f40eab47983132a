"""`koala-face` and `python -m koala_face`: the commands, a line each, and the way to them."""

import importlib
import sys

from koala_face.foundation.commands import run

# In the order in which people need them.
COMMANDS = {
    "colorize": "colour photographs with a trained model, at their own size and depth",
    "train": "train the colorizer (Section II.F); --quick for a try-out of two minutes",
    "evaluate": "score a model on a folder of portraits, beside baselines and the paper's rows",
    "compare": "train and compare the descriptors (Tables V and VI)",
    "embed": "compute a folder's vectors from a descriptor into an HDF5 file (Section II.C)",
    "weights": "list, fetch and verify the descriptors' weights",
    "export": "write a model as .h5, SavedModel, TensorFlow Lite or ONNX for other programs",
    "publish": "make a model file that ships, with its scores in it",
    "benchmark": "time this package beside the ancestors' way",
}


def main() -> None:
    """Run the command that the first argument names; without one, list them all."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        where = f"koala_face.{name}" + (".__main__" if name == "benchmark" else "")
        command = importlib.import_module(where)
        run(lambda: command.main(sys.argv[2:]))
    print("usage: koala-face COMMAND ...\n")
    for command, line in COMMANDS.items():
        print(f"  {command:<10} {line}")
    print("\nkoala-face COMMAND --help tells a command's flags.")
    if name not in ("--help", "-h"):
        print(f"\nerror: Expected one of these commands. Received: {name}.", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
