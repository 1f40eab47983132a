"""Small models for the tests of model files, filled with fixed weights."""

import numpy as np
import tensorflow as tf

from koala_face.model_files.files import ModelDescription
from koala_face.models import build_colorizer

keras = tf.keras
layers = keras.layers

SIZE = 16
DIM = 8
DESCRIPTION = ModelDescription(
    backbone="facenet",
    layer="embeddings",
    preprocessing="(RGB - 127.5) / 128",
    embedding_dim=DIM,
    size=SIZE,
    training={"data": "portraits", "seed": 7, "scores": {"mse": 368.57}},
)


def sample_colorizer():
    """The network of Tables I-III at 16x16 pixels with a descriptor of 8 numbers."""
    return fill(build_colorizer(DIM, SIZE))


def model_of_all_layers():
    """Every layer class that a model file may hold, in one small network."""
    keras.backend.clear_session()  # automatic names count from 1, so that files are the same
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(2.0, offset=-1.0)(image)
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = layers.Conv2D(4, (3, 2), strides=(1, 1), padding="valid", use_bias=False)(x)
    x = layers.BatchNormalization(axis=3, scale=False)(x)
    x = layers.Activation("relu")(x)
    small = layers.Concatenate(axis=3)(
        [
            layers.MaxPooling2D(3, strides=2, padding="same")(x),
            layers.AveragePooling2D(2, padding="same")(x),
        ]
    )
    small = layers.Conv2D(4, 1, activation="sigmoid", dilation_rate=2, groups=2)(small)
    x = layers.Multiply()([x, x_like(small, x)])
    average = layers.GlobalAveragePooling2D()(x)
    pooled = layers.Add()([average, layers.GlobalMaxPooling2D()(x)])
    repeated = layers.Permute((2, 1))(layers.RepeatVector(3)(layers.UnitNormalization()(pooled)))
    x = layers.Flatten()(layers.Reshape((2, -1))(layers.Dropout(0.5)(repeated)))
    vector = layers.Dense(5, activation="softmax", kernel_initializer="he_normal")(x)
    return fill(keras.Model(image, vector, name="all_layers"))


def x_like(small, x):
    """Enlarge to the size of `x`, then cut with an unpadded convolution."""
    rows = 2 * small.shape[1] - x.shape[1] + 1
    columns = 2 * small.shape[2] - x.shape[2] + 1
    large = layers.UpSampling2D(2, interpolation="bilinear")(small)
    return layers.Conv2D(4, (rows, columns), activation="tanh")(large)


def fill(model):
    """Weights from a fixed seed, batch normalization's statistics among them."""
    random = np.random.default_rng(4)
    weights = []
    for weight in model.get_weights():
        if weight.ndim == 1:
            values = random.uniform(0.5, 1.5, weight.shape)
        else:
            values = random.normal(0, np.prod(weight.shape[:-1]) ** -0.5, weight.shape)
        weights.append(values.astype("float32"))
    model.set_weights(weights)
    return model


def sample_inputs(model, count=2):
    """Random arrays in 0-1 for each input, by the input's name."""
    random = np.random.default_rng(5)
    names = [name for name, _, _ in as_list(model.get_config()["input_layers"])]
    return {
        name: random.random((count, *tensor.shape[1:]), dtype="float32")
        for name, tensor in zip(names, model.inputs, strict=True)
    }


def as_list(ends):
    """[[name, 0, 0], ...], whether there is one or more."""
    return [ends] if isinstance(ends[0], str) else list(ends)


def predict(model, inputs):
    """The output of `model` for arrays by name."""
    arrays = list(inputs.values())
    return np.asarray(model(arrays if len(arrays) > 1 else arrays[0], training=False))
