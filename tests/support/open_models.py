"""Open model files by plain `load_model(path)`: what a stranger's program does.

Run by any Python with Keras and without koala_face: python open_models.py FOLDER. For each
NAME.h5 with NAME.npz beside it (inputs by name, and `output`) it prints one line of JSON:
the largest difference of the prediction, and the loss of one step of training. Keras is
`tf.keras`, or Keras 3 on another backend where KERAS_BACKEND names one.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    import tensorflow as tf

    keras = tf.keras
else:
    import keras


def open_and_use(path):
    """Load, predict, compile and train one step."""
    arrays = dict(np.load(path.with_suffix(".npz")))
    output = arrays.pop("output")
    model = keras.models.load_model(str(path))
    model.compile(optimizer="sgd", loss="mse", jit_compile=False)  # XLA takes seconds for each
    predicted = model.predict(arrays, verbose=0)
    history = model.fit(arrays, output, batch_size=len(output), epochs=1, verbose=0)
    return {
        "file": path.name,
        "difference": float(np.abs(np.asarray(predicted) - output).max()),
        "loss": float(history.history["loss"][0]),
    }


if __name__ == "__main__":
    for model_file in sorted(Path(sys.argv[1]).glob("*.h5")):
        print("opened " + json.dumps(open_and_use(model_file)))
    print("without koala_face:", "koala_face" not in sys.modules)
