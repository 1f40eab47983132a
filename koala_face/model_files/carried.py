"""The descriptor file that a model carries, byte for byte, where its descriptor is a tuned one.

So a model works where that file is not, and with no other of the same name.
"""

import hashlib

import h5py
import numpy as np

from koala_face.foundation.hdf5 import find_plain

CARRIED = "koala_face_descriptor"
SHA256 = "koala_face_descriptor_sha256"
LARGEST_BYTES = 2**26


def write_carried(file: h5py.File, content: bytes) -> None:
    """Write a descriptor file, and its hash as an attribute, into an open model file."""
    file.create_dataset(CARRIED, data=np.frombuffer(content, "uint8"))
    file.attrs[SHA256] = hashlib.sha256(content).hexdigest()


def read_carried(file: h5py.File) -> bytes | None:
    """The descriptor file in an open model file; None where it carries none.

    Raises:
        ValueError: for one that is not whole, not the one that is named, or not plainly stored.
    """
    if not file.id.links.exists(CARRIED.encode()) and SHA256 not in file.attrs:
        return None
    dataset = find_plain(file, CARRIED)
    if dataset.dtype != np.uint8 or dataset.ndim != 1 or len(dataset) > LARGEST_BYTES:
        raise ValueError(f"{CARRIED} is no descriptor file of {LARGEST_BYTES} bytes at most")
    content = dataset[()].tobytes()
    found, named = hashlib.sha256(content).hexdigest(), file.attrs.get(SHA256)
    if found != named:
        raise ValueError(f"{CARRIED} has the SHA-256 {found}, not that in {SHA256}, {named}")
    return content
