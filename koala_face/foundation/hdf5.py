"""HDF5 files that may be anybody's: only plain values are read, and what is wrong has a name."""

import h5py
import numpy as np

# What h5py raises for files that are cut off, altered or made to do harm.
BROKEN = (
    OSError,
    KeyError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    SystemError,
)


def find(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What bears this name in this very file: "fc/kernel:0" leads through a group.

    Raises:
        ValueError: for nothing, and for a link, which may lead anywhere.
    """
    item = group
    for part in name.strip("/").split("/"):
        # Not h5py's own question, which opens the file that an external link leads to.
        if not isinstance(item, h5py.Group) or not item.id.links.exists(part.encode()):
            raise ValueError(f"{name} is not in it")
        if item.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{name} is a link")
        item = item[part]
    return item


def find_plain(group: h5py.Group, name: str) -> h5py.Dataset:
    """The dataset `name`, whose values lie in one piece in this very file.

    So they take no more memory than the file is long.

    Raises:
        ValueError: for a dataset of another kind, or none.
    """
    dataset = find(group, name)
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
    layout = dataset.id.get_create_plist()
    pieces = layout.get_layout() != h5py.h5d.CONTIGUOUS or layout.get_external_count()
    if pieces or dataset.dtype.hasobject or dataset.shape is None:
        raise ValueError(f"{name} is not stored in one piece")
    start, end = dataset.id.get_offset(), dataset.file.id.get_filesize()
    if start is None or start + bytes_of(dataset) > end:
        raise ValueError(f"{name} reaches beyond the end of the file")
    return dataset


def bytes_of(dataset: h5py.Dataset) -> int:
    """The bytes that a dataset's values take, by its shape and type."""
    return int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
