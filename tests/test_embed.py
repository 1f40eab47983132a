"""The command `embed`: which photographs it reads again. Its vectors: `data/test_embeddings`."""

import h5py
import pytest
import tensorflow as tf
from PIL import Image

from koala_face import embed
from koala_face.data import embeddings, known_hashes
from koala_face.data.portraits import hashes_file
from koala_face.foundation.commands import parse_config


@pytest.fixture
def grays(tmp_path):
    """Flat gray portraits of the levels 10, 20, 30."""
    folder = tmp_path / "grays"
    folder.mkdir()
    for level in (10, 20, 30):
        Image.new("L", (16, 12), level).save(folder / f"{level}.png")
    return folder


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Names of the files that are hashed; FaceNet's place is taken by the first pixel."""
    weights = tmp_path / "weights.pb"
    weights.write_bytes(b"weights")
    first_pixel = lambda portraits: tf.tile(portraits[:, 0, 0, :1], (1, 512))  # noqa: E731
    monkeypatch.setattr(embeddings, "descriptor_function", lambda *_: first_pixel)
    for module in (embed, embeddings):
        monkeypatch.setattr(module, "locate_weights", lambda *_: weights)
    monkeypatch.setattr(known_hashes, "GRAIN", 0)
    names, whole = [], known_hashes.file_hash
    monkeypatch.setattr(
        known_hashes, "file_hash", lambda path, kind: names.append(path.name) or whole(path, kind)
    )
    return names


def levels(file) -> dict[str, int]:
    with h5py.File(file) as rows:
        return dict(zip(rows["paths"].asstr(), rows["embeddings"][:, 0].astype(int), strict=True))


@pytest.mark.parametrize("output", [False, True])
def test_no_photograph_is_read_again_that_has_not_changed(grays, read, tmp_path, output):
    """By the list of hashes that training keeps; with -o it lies beside the vectors."""
    flags = ["--data", str(grays), "--backbone", "facenet", "--cache", str(tmp_path / "cache")]
    flags += ["--output", str(tmp_path / "out/rows.h5")] if output else []

    def run(*more):
        read.clear()
        return embed.embed(parse_config(embed.EmbedConfig, [*flags, *more]))

    file = run()
    assert sorted(read) == ["10.png", "20.png", "30.png"]
    assert levels(file) == {"10.png": 10, "20.png": 20, "30.png": 30}
    assert hashes_file(file.parent, grays).is_file()
    assert (tmp_path / "cache").exists() is not output
    run()
    assert read == []
    run("--rehash")
    assert sorted(read) == ["10.png", "20.png", "30.png"]
    Image.new("L", (16, 12), 99).save(grays / "20.png")
    assert levels(run()) == {"10.png": 10, "20.png": 99, "30.png": 30}
    assert read == ["20.png"]
