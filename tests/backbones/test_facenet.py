"""FaceNet as a Keras model against its own frozen graph, run by TensorFlow."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from koala_face import backbones
from koala_face.backbones import frozen_graph

# Each layer in our table, and the tensor of the graph that it is.
GRAPH_TENSORS = {
    "embeddings": "embeddings:0",
    "bottleneck": "InceptionResnetV1/Bottleneck/BatchNorm/Reshape_1:0",
    "avgpool": "InceptionResnetV1/Logits/AvgPool_1a_8x8/AvgPool:0",
}


@pytest.fixture(scope="module")
def backbone():
    return backbones.find_backbone("facenet")


@pytest.fixture(scope="module")
def graph_path(backbone):
    return backbones.locate_weights(backbone)


@pytest.fixture(scope="module")
def descriptors(graph_path):
    """Each of its layers as a model."""
    rows = (backbones.find_backbone("facenet", layer) for layer in GRAPH_TENSORS)
    return {row.layer: backbones.build_descriptor(row, graph_path) for row in rows}


@pytest.fixture(scope="module")
def descriptor(descriptors):
    return descriptors["embeddings"]


@pytest.fixture(scope="module")
def portraits(astronaut, grace_hopper):
    """(2, 160, 160, 3) float32, RGB in 0-255, in colour: an exchanged channel would show."""
    pictures = [Image.fromarray(pixels).resize((160, 160)) for pixels in (astronaut, grace_hopper)]
    return np.stack([np.asarray(picture, "float32") for picture in pictures])


@pytest.fixture(scope="module")
def frozen(graph_path, portraits):
    """What the package's graph gives for each portrait, by layer; its batch is fixed at 1."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(graph_path.read_bytes())
    tensors = list(GRAPH_TENSORS.values())

    def run(pixels):
        return tf.compat.v1.import_graph_def(graph, {"input:0": pixels}, tensors)

    ask = tf.compat.v1.wrap_function(run, [tf.TensorSpec((1, 160, 160, 3))])
    found = [ask(tf.constant(pixels[None])) for pixels in (portraits - 127.5) / 128.0]
    outputs = (np.concatenate(values).reshape(2, -1) for values in zip(*found, strict=True))
    return dict(zip(GRAPH_TENSORS, outputs, strict=True))


def test_same_vectors_as_the_frozen_graph(descriptor, frozen, portraits):
    vectors = descriptor(portraits, training=False).numpy()
    expected = frozen["embeddings"]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)
    # Two people: the comparison above is not one of constants.
    assert np.dot(expected[0], expected[1]) < 0.7


@pytest.mark.parametrize("layer", ["embeddings", "bottleneck", "avgpool"])
def test_plain_ops_give_the_bits_of_the_layers(layer, graph_path, descriptors, portraits):
    """What `embed` and `colorize` ask is what `export` writes down."""
    backbone, model = backbones.find_backbone("facenet", layer), descriptors[layer]
    pixels = tf.constant(portraits)
    expected = tf.function(lambda x: model(x, training=False))(pixels).numpy()
    vectors = tf.function(backbones.descriptor_function(backbone, graph_path))(pixels).numpy()
    assert np.ptp(vectors) > 0.1
    np.testing.assert_array_equal(vectors, expected)


def test_vectors_have_length_one(descriptor, portraits):
    vectors = descriptor(portraits, training=False).numpy()
    assert vectors.shape == (2, 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("layer", "dim"), [("bottleneck", 512), ("avgpool", 1792)])
def test_hidden_layers_are_those_of_the_frozen_graph(layer, dim, descriptors, frozen, portraits):
    assert backbones.find_backbone("facenet", layer).embedding_dim == dim
    vectors = descriptors[layer](portraits[:1], training=False)
    np.testing.assert_allclose(vectors.numpy(), frozen[layer][:1], rtol=0, atol=1e-4)


def test_it_is_frozen_and_of_standard_layers(descriptor):
    assert not descriptor.trainable_weights
    for layer in descriptor.layers:
        assert isinstance(layer, getattr(tf.keras.layers, layer.__class__.__name__))


def test_it_stands_whole_inside_another_model(descriptor, portraits):
    gray = tf.keras.Input((160, 160, 1))
    three = tf.keras.layers.Concatenate()([gray, gray, gray])
    model = tf.keras.Model(gray, descriptor(three))
    pixels = portraits[:, :, :, :1]
    expected = descriptor(np.repeat(pixels, 3, axis=-1), training=False).numpy()
    np.testing.assert_allclose(model(pixels, training=False).numpy(), expected, rtol=0, atol=1e-6)


# As a model, and as the function that vectors alone are asked of.
WAYS = pytest.mark.parametrize("build", [backbones.build_descriptor, backbones.descriptor_function])


@WAYS
def test_a_truncated_graph_is_refused(build, tmp_path, backbone, graph_path):
    path = tmp_path / "graph_final.pb"
    path.write_bytes(graph_path.read_bytes()[:1_000_000])
    with pytest.raises(backbones.WeightsError, match="graph_final.pb"):
        build(backbone, path)


@WAYS
def test_a_graph_that_lacks_its_end_is_refused(build, tmp_path, backbone, graph_path):
    """A graph cut between two of its nodes is still a graph."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(graph_path.read_bytes())
    del graph.node[-60:]
    path = tmp_path / "graph_final.pb"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(backbones.WeightsError, match=r"Expected .*Received: .*graph_final\.pb"):
        build(backbone, path)


@WAYS
def test_a_graph_of_another_network_is_refused(build, tmp_path, backbone):
    """One convolution too many, by name: nothing is silently left over."""
    node = tf.compat.v1.NodeDef(name="InceptionResnetV1/Extra/weights", op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.zeros((1, 1, 2, 2), "float32")))
    path = tmp_path / "other.pb"
    path.write_bytes(tf.compat.v1.GraphDef(node=[node]).SerializeToString())
    assert set(frozen_graph.read_constants(path)) == {"Extra/weights"}
    with pytest.raises(backbones.WeightsError, match="Received"):
        build(backbone, path)


def test_a_file_of_its_own_elsewhere_is_found(tmp_path, backbone, graph_path):
    """By --weights, as a file and as the folder that holds it."""
    path = tmp_path / "graph_final.pb"
    shutil.copy(graph_path, path)
    assert backbones.locate_weights(backbone, path) == path
    assert backbones.locate_weights(backbone, str(tmp_path)) == path
