"""Model files with damaged bytes or swapped attributes: a named error or a network, no more."""

import dataclasses
import resource
import sys
import time

import h5py
import numpy as np
import pytest
from support.sample_models import DESCRIPTION, fill
from support.small_network import SMALL

from koala_face import models
from koala_face.model_files import files
from koala_face.model_files.description import attribute_name

# By count, not by the clock: every machine tries the same files.
ROUNDS = 400
# The bytes of a lone surrogate: no UTF-8, and h5py refuses to write them out of a text.
NO_UTF8 = np.array(b"\xed\xa0\x80", h5py.string_dtype())
VALUES = (
    *(
        True,
        -1,
        0,
        16,
        2**40,
        np.nan,
        np.inf,
        "",
        "16",
        "x" * 60_000,
        np.void(b"\xff\0"),
        "faithful.h5",
    ),
    *(np.zeros(0), [1.0], np.ones((3, 3)), np.ones(900), h5py.Empty("f"), NO_UTF8, "../x.h5"),
    *("[" * 9000, "{}", "null", "[1]", '{"config": {"layers": [[]]}}', '{"mean_ab": [1e999, 1]}'),
)
NAMES = ("model_config", *map(attribute_name, vars(DESCRIPTION)), *files.BORROWED)


@pytest.fixture(scope="module")
def network():
    """A small one: each turn writes and reads all of its weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.NETWORKS, SMALL.name, SMALL)
        small = dataclasses.replace(DESCRIPTION, network=SMALL.name)
        yield fill(files.build_network(small))


@pytest.fixture(scope="module")
def whole(network, tmp_path_factory):
    """A model file's bytes, and the places of those that are no weights."""
    path = tmp_path_factory.mktemp("models") / "model.h5"
    files.save_model(network, path, dataclasses.replace(DESCRIPTION, network=SMALL.name))
    content = path.read_bytes()
    structure = np.ones(len(content), bool)

    def leave_weights(_, item):
        if isinstance(item, h5py.Dataset):
            start = item.id.get_offset()
            structure[start : start + item.nbytes] = False

    with h5py.File(path) as file:
        file.visititems(leave_weights)
    return content, np.flatnonzero(structure)


def damage(path, content, places, random):
    """Flip bits, write extremes, copy or cut HDF5's own bytes."""
    data = bytearray(content)
    for _ in range(random.integers(1, 8)):
        place, other = (int(one) for one in random.choice(places, 2))
        way = random.integers(4)
        if way == 0:
            data[place] = random.integers(256)
        elif way == 1:
            data[place] ^= 1 << int(random.integers(8))
        elif way == 2:
            data[place : place + 4] = random.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
        else:
            data[place : place + 8] = data[other : other + 8]
    if random.random() < 0.05:
        del data[int(random.integers(8, len(data))) :]
    path.write_bytes(data)


def swap_attribute(path, content, random):
    """Give an attribute another value, of any kind, or take it away."""
    path.write_bytes(content)
    name = NAMES[random.integers(len(NAMES))]
    with h5py.File(path, "r+") as file:
        value = VALUES[random.integers(len(VALUES))]
        if random.random() < 0.1:
            file.attrs.pop(name, None)
        elif random.random() < 0.1:
            file.attrs["model_config"] = file.attrs["model_config"].replace(": 32", ': "a"')
        else:
            file.attrs[name] = value


def test_damaged_files_give_named_errors_or_networks(tmp_path, network, whole, monkeypatch):
    random = np.random.default_rng(11)
    path = tmp_path / "damaged.h5"
    build, own = files.build_network, (DESCRIPTION.size, DESCRIPTION.embedding_dim)

    def build_once(description):
        asked = (description.size, description.embedding_dim)
        return network if asked == own else build(description)

    # Building takes half a second, and is the same each time.
    monkeypatch.setattr(files, "build_network", build_once)
    outcomes = {"read": 0, "refused": 0}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for turn in range(ROUNDS):
        if turn % 2:
            damage(path, *whole, random)
        else:
            swap_attribute(path, whole[0], random)
        start = time.monotonic()
        try:
            files.load_model(path)
            reason = None
        except files.ModelFileError as error:
            reason = str(error)
        outcomes["refused" if reason else "read"] += 1
        assert reason is None or (path.name in reason and len(reason) < 2000), reason
        assert time.monotonic() - start < 30, f"turn {turn}: a hang"
    assert outcomes["refused"] >= 5, outcomes
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown * (1 if sys.platform == "darwin" else 1024) < 500 * 2**20
