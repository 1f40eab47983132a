"""The layers that the project's models are made of, and the settings that every Keras knows.

`LAYERS` holds, for each class, the settings that Keras 2.10, tf-keras 2.21 and Keras 3
share, each with a test of its value. `model_config` writes these and no others, and
reads a file only if it holds nothing else.
"""

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "softmax")
# Initializers with their settings. A seed is not kept: the weights are.
INITIALIZERS = {
    "Zeros": (),
    "Ones": (),
    "GlorotUniform": ("seed",),
    "GlorotNormal": ("seed",),
    "HeNormal": ("seed",),
    "HeUniform": ("seed",),
}


def is_name(value) -> bool:
    """A layer's name; Keras 3 allows no "/" in it."""
    return isinstance(value, str) and value != "" and "/" not in value


def is_flag(value) -> bool:
    """true or false."""
    return isinstance(value, bool)


def is_count(value) -> bool:
    """A positive integer."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_axis(value) -> bool:
    """One axis, from the front or from the back."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value) -> bool:
    """A number, for one factor or offset of all channels."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_counts(value) -> bool:
    """A list of integers: sizes, strides, a shape; -1 is "what remains"."""
    return isinstance(value, list) and all(is_count(item) or item == -1 for item in value)


def is_batch_shape(value) -> bool:
    """A shape with null for the batch."""
    return isinstance(value, list) and value[:1] == [None] and is_counts(value[1:])


def is_margins(value) -> bool:
    """[[top, bottom], [left, right]] in pixels."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        and all(item == 0 or is_count(item) for pair in value for item in pair)
    )


def is_activation(value) -> bool:
    """The name of an activation on the list."""
    return isinstance(value, str) and value in ACTIVATIONS


def is_initializer(value) -> bool:
    """An initializer on the list, with its own settings and no others."""
    if not isinstance(value, dict) or set(value) != {"class_name", "config"}:
        return False
    name, config = value["class_name"], value["config"]
    return (
        isinstance(name, str)
        and name in INITIALIZERS
        and config == dict.fromkeys(INITIALIZERS[name])
    )


def one_of(*texts):
    """A test for one of these texts."""
    return lambda value: isinstance(value, str) and value in texts


NAMED = {"name": is_name, "trainable": is_flag, "dtype": one_of("float32")}
IMAGE = {"data_format": one_of("channels_last")}
SPATIAL_PADDING = {"padding": one_of("same", "valid")}
POOLING = {**NAMED, "pool_size": is_counts, **SPATIAL_PADDING, "strides": is_counts, **IMAGE}
AFFINE = {
    "activation": is_activation,
    "use_bias": is_flag,
    "kernel_initializer": is_initializer,
    "bias_initializer": is_initializer,
}

# Layer class to its settings that every Keras knows, each with the test of its value.
LAYERS = {
    "InputLayer": {
        "batch_input_shape": is_batch_shape,
        "dtype": one_of("float32"),
        "name": is_name,
    },
    "Conv2D": {
        **NAMED,
        "filters": is_count,
        "kernel_size": is_counts,
        "strides": is_counts,
        **SPATIAL_PADDING,
        **IMAGE,
        "dilation_rate": is_counts,
        "groups": is_count,
        **AFFINE,
    },
    "BatchNormalization": {
        **NAMED,
        "axis": is_axis,
        "momentum": is_number,
        "epsilon": is_number,
        "center": is_flag,
        "scale": is_flag,
        "beta_initializer": is_initializer,
        "gamma_initializer": is_initializer,
        "moving_mean_initializer": is_initializer,
        "moving_variance_initializer": is_initializer,
    },
    "Dense": {**NAMED, "units": is_count, **AFFINE},
    "Activation": {**NAMED, "activation": is_activation},
    "Add": NAMED,
    "Multiply": NAMED,
    "Concatenate": {**NAMED, "axis": is_axis},
    "RepeatVector": {**NAMED, "n": is_count},
    "Reshape": {**NAMED, "target_shape": is_counts},
    "Permute": {**NAMED, "dims": is_counts},
    "Flatten": {**NAMED, **IMAGE},
    "Dropout": {**NAMED, "rate": is_number},
    "Rescaling": {**NAMED, "scale": is_number, "offset": is_number},
    "UnitNormalization": {**NAMED, "axis": is_axis},
    "UpSampling2D": {
        **NAMED,
        "size": is_counts,
        **IMAGE,
        "interpolation": one_of("nearest", "bilinear"),
    },
    "ZeroPadding2D": {**NAMED, "padding": is_margins, **IMAGE},
    "MaxPooling2D": POOLING,
    "AveragePooling2D": POOLING,
    "GlobalAveragePooling2D": {**NAMED, **IMAGE, "keepdims": is_flag},
    "GlobalMaxPooling2D": {**NAMED, **IMAGE, "keepdims": is_flag},
}
