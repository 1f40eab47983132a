"""Run folders with mutated files: only named errors come out."""

import random

import pytest
from support.made_states import make_state

from koala_face.foundation.errors import KoalaFaceError
from koala_face.training.portrait_list import Listed, check_list, write_list
from koala_face.training.run_folder import HISTORY_COLUMNS, RunFolder

ROUNDS = 500
SETTINGS = {"seed": 3, "size": 256, "data": "helen/train", "layer": None}
PORTRAITS = [Listed("train", "ab" * 32, f"{n}.jpg") for n in range(5)]


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Cut, overwrite, double or replace a part."""
    data = bytearray(content)
    kind = chance.choice(("cut", "flip", "garbage", "double", "token", "empty", "zeros"))
    start, stop = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    if kind == "cut":
        del data[start:stop]
    elif kind == "flip":
        for _ in range(chance.choice((1, 4, 40))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "garbage":
        data[start:stop] = chance.randbytes(stop - start)
    elif kind == "double":
        data[start:start] = data[start:stop]
    elif kind == "token":
        data[start : start + 1] = chance.choice((b"nan", b"1e999", b"[" * 3000, b'"', b"\0", b"-"))
    elif kind == "zeros":
        data[start:stop] = bytes(stop - start)
    return b"" if kind == "empty" else bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("fuzzed"))
    run.write_settings(SETTINGS)
    run.write_history([dict.fromkeys(HISTORY_COLUMNS, 0.5) | {"epoch": n} for n in (1, 2, 3)])
    write_list(run.portraits_file, PORTRAITS)
    state = make_state(run.state_folder, 1.0)
    state.save()
    state.save()
    return run


def read_run(run):
    """All that a resumed run reads before it begins."""
    run.check(SETTINGS, resume=True)
    check_list(run.portraits_file, PORTRAITS)
    make_state(run.state_folder).restore()


@pytest.mark.parametrize("pattern", ["settings.json", "history.csv", "portraits.csv", "state/*2.*"])
def test_only_named_errors_come_out(folder, pattern):
    files = sorted(folder.path.glob(pattern))
    whole = {file: file.read_bytes() for file in files}
    chance, refused = random.Random(pattern), 0
    for _ in range(ROUNDS):
        file = chance.choice(files)
        file.write_bytes(mutate(whole[file], chance))
        try:
            read_run(folder)
        except KoalaFaceError:
            refused += 1
        finally:
            file.write_bytes(whole[file])
    read_run(folder)
    assert refused or pattern.startswith("state")
