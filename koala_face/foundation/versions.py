"""Which Keras `tf.keras` is here."""

import importlib

import tensorflow as tf


def keras_version() -> str:
    """The package behind `tf.keras` and its version: "keras 3.15.1", "tf_keras 2.21.0"."""
    name = tf.keras.Model.__module__.split(".")[0]
    return f"{name} {importlib.import_module(name).__version__}"
