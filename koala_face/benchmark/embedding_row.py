"""Row `embedding`: a folder of photographs to an HDF5 file of vectors, for two descriptors."""

import itertools

import h5py
import numpy as np
import tensorflow as tf

from koala_face.backbones import build_descriptor, find_backbone, locate_weights
from koala_face.backbones.vggface_layers import layer_shapes
from koala_face.backbones.weight_files import WeightsError
from koala_face.benchmark.timing import (
    Measurement,
    Setup,
    compare,
    link_photographs,
    median_seconds,
    peak_flops,
    share_of_peak,
)
from koala_face.data import embeddings
from koala_face.data.row_filling import fill_rows, hash_photographs
from koala_face.models import multiply_adds
from koala_face.photographs.reading import read_rgb

DESCRIPTORS = ("facenet", "vggface")


def measure_embedding(setup: Setup) -> list[Measurement]:
    """The whole way against the bare network's `predict` on arrays that are ready, and what it
    multiplies a second against what a large matrix product reaches."""
    peak = peak_flops(setup.repeats)
    return [line for name in DESCRIPTORS for line in _measure(setup, find_backbone(name), peak)]


def _measure(setup: Setup, backbone, peak: float) -> list[Measurement]:
    weights, note = _weights(setup, backbone)
    folder = setup.folder / f"embedded-{backbone.name}"
    link_photographs(setup.photographs, folder, setup.count)
    descriptor = embeddings.compile_descriptor(backbone, weights)
    kind = embeddings.embedding_kind(backbone, weights)
    size, numbers = backbone.input_size, itertools.count()

    def embed() -> None:
        # As `embed_photographs`, into a new file, but with the network built once for all.
        fill_rows(
            setup.folder / f"{backbone.name}-{next(numbers)}.h5",
            kind,
            hash_photographs(folder),
            decode=lambda path: embeddings.descriptor_input(
                read_rgb(path, embeddings.OVERSAMPLING * size), size
            ),
            compute=lambda grays: descriptor(grays).numpy(),
            batch_size=embeddings.BATCH_SIZE,
        )

    network = build_descriptor(backbone, weights)
    ready = np.random.RandomState(0).uniform(0, 255, (setup.count, size, size, 3))
    ready = tf.constant(ready.astype("float32"))
    ways = {
        "embed": embed,
        "predict": lambda: network.predict(ready, batch_size=embeddings.BATCH_SIZE, verbose=0),
    }
    seconds = median_seconds(ways, setup.repeats)
    ours, bare = (setup.count / seconds[way] for way in ways)
    what = f"embedding, {backbone.name}{note}"
    flops = 2 * multiply_adds(network)
    share = f"{what}, share of the peak, {flops / 1e9:.1f} GFLOP a portrait"
    return [
        compare(what, ours, bare, "bare predict", "portraits/s", "ratio >= 0.85"),
        share_of_peak(share, ours * flops, peak),
    ]


def _weights(setup: Setup, backbone):
    """The descriptor's weights, or for VGG-Face zeros in their place: they cost as much time."""
    try:
        return locate_weights(backbone), ""
    except WeightsError:
        if backbone.name != "vggface":
            raise
    path = setup.folder / backbone.weights_file.name
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layer_shapes()]
        for name, (kernel, bias) in layer_shapes().items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [b"kernel", b"bias"]
            # Written out: a file that only says their shapes is refused as cut off.
            group.create_dataset("kernel", data=np.zeros(kernel, "float32"))
            group.create_dataset("bias", data=np.zeros(bias, "float32"))
    return path, " with weights of 0"
