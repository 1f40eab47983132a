"""The Keras behind `tf.keras`, against what the packages' own metadata say."""

import importlib.metadata

import tensorflow as tf

from koala_face.foundation.versions import keras_version


def test_name_and_version_are_the_installed_packages():
    name, version = keras_version().split()
    assert tf.keras.Model.__module__.startswith(name)
    assert importlib.metadata.version(name) == version
