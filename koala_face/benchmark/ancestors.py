"""The ancestors' way of training, to compare with: deep-koalarization's and Emil Wallner's.

A Python generator decodes and converts with scikit-image and runs Inception-ResNet-v2 on
every batch, epoch after epoch; Keras's `fit` trains, without XLA. The network is the
paper's, so that only the way differs. Weights are random: they cost no time.
"""

import itertools

import numpy as np
import tensorflow as tf
from skimage.color import gray2rgb, rgb2gray, rgb2lab
from skimage.io import imread
from skimage.transform import resize

from koala_face import models

keras = tf.keras

INCEPTION_SIZE = 299
INCEPTION_CLASSES = 1000


def read_batch(paths, size: int, input_size: int):
    """Decode and convert: luminance (B, size, size, 1), ab / 128 and three gray channels."""
    portraits = [resize(imread(path)[..., :3], (size, size), anti_aliasing=True) for path in paths]
    lab = np.stack([rgb2lab(portrait) for portrait in portraits])
    grays = [gray2rgb(rgb2gray(portrait)) for portrait in portraits]
    grays = np.stack([resize(gray, (input_size, input_size)) for gray in grays])
    return lab[..., :1] / 100, lab[..., 1:] / 128, grays


def make_training(paths, size: int, batch_size: int):
    """A function of a number of steps that trains so many, by a network and data of its own."""
    inception = keras.applications.InceptionResNetV2(weights=None)
    model = models.build_colorizer(INCEPTION_CLASSES, size)
    model.compile("adam", "mse", jit_compile=False)

    def generate():
        endless = itertools.cycle(paths)
        while True:
            batch = list(itertools.islice(endless, batch_size))
            luminance, ab, grays = read_batch(batch, size, INCEPTION_SIZE)
            embedding = inception.predict(grays * 2 - 1, batch_size=batch_size, verbose=0)
            yield (luminance, embedding), ab

    def spec(*shape):
        return tf.TensorSpec((batch_size, *shape), tf.float32)

    signature = (spec(size, size, 1), spec(INCEPTION_CLASSES)), spec(size, size, 2)
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)

    def train(steps: int) -> None:
        model.fit(dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)

    return train
