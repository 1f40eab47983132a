"""HDF5 files made to do harm, of any file of plain datasets: for caches and weights."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

# Changes the dataset of a name in an open file.
Craft = Callable[[h5py.File, str], None]


def replace(file: h5py.File, name: str, **options) -> None:
    """Another dataset in place of one: the same values unless `options` say otherwise."""
    values = file[name][()]
    del file[name]
    file.create_dataset(name, **{"data": values, **options})


def chunk(file: h5py.File, name: str) -> None:
    replace(file, name, chunks=True)


def compress(file: h5py.File, name: str) -> None:
    replace(file, name, compression="gzip")


def bomb(file: h5py.File, name: str) -> None:
    """A few bytes that become 2 GB when they are read."""
    shape = file[name].shape
    options = {"shape": (1 << 31, *shape[1:]), "chunks": (1, *shape[1:]), "data": None}
    replace(file, name, dtype=file[name].dtype, **options)


def store_outside(file: h5py.File, name: str) -> None:
    """The bytes of another file, as values."""
    dataset = file[name]
    other = Path(file.filename).with_suffix(".other")
    other.write_bytes(bytes(dataset.nbytes))
    outside = [(str(other), 0, dataset.nbytes)]
    replace(file, name, data=None, shape=dataset.shape, dtype=dataset.dtype, external=outside)


def make_virtual(file: h5py.File, name: str) -> None:
    dataset = file[name]
    layout = h5py.VirtualLayout(dataset.shape, dataset.dtype)
    layout[...] = h5py.VirtualSource("elsewhere.h5", "values", dataset.shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def link_out(file: h5py.File, name: str) -> None:
    """A link into a pipe, which would never open."""
    pipe = Path(file.filename).with_suffix(".pipe")
    os.mkfifo(pipe)
    del file[name]
    file[name] = h5py.ExternalLink(str(pipe), "/values")


def link_nowhere(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.SoftLink("/nowhere")


def link_in_a_circle(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.SoftLink(f"/{name}")


def remove(file: h5py.File, name: str) -> None:
    del file[name]


def make_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


def make_text(file: h5py.File, name: str) -> None:
    replace(file, name, data=np.full(file[name].shape, "text", h5py.string_dtype()))


def make_integers(file: h5py.File, name: str) -> None:
    replace(file, name, data=np.ones(file[name].shape, "int64"))


def make_scalar(file: h5py.File, name: str) -> None:
    replace(file, name, data=np.float32(1))


def make_longer(file: h5py.File, name: str) -> None:
    values = file[name][()]
    replace(file, name, data=np.concatenate([values, values]))


def make_empty(file: h5py.File, name: str) -> None:
    replace(file, name, data=h5py.Empty("f"))


CRAFTS: tuple[Craft, ...] = (
    chunk,
    compress,
    bomb,
    store_outside,
    make_virtual,
    link_out,
    link_nowhere,
    link_in_a_circle,
    remove,
    make_group,
    make_text,
    make_integers,
    make_scalar,
    make_longer,
    make_empty,
)
ATTRIBUTES = (7, -1.5, "text", b"\xff", [1, 2], [[b"a"]], np.zeros((2, 2)), h5py.Empty("f"), True)


def mutations(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`content` with changed bytes, or cut; most of HDF5's own structures lie in its first 4 kB.

    Not changed are the heaps of texts ("GCOL"), whose damage HDF5 1.14 reads without an end.
    """
    random, heap = np.random.default_rng(seed), content.find(b"GCOL")
    for _ in range(count):
        mutated = bytearray(content)
        for _ in range(random.integers(1, 8)):
            place = random.integers(
                min(len(mutated), 4096) if random.random() < 0.8 else len(mutated)
            )
            if not 0 <= heap <= place < heap + 4096:
                mutated[place] = random.integers(256)
        if random.random() < 0.2:
            del mutated[random.integers(len(mutated)) :]
        yield bytes(mutated)
