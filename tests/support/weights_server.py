"""A published file of weights and an HTTP server for it, for the tests of `weights`."""

import contextlib
import hashlib
import http.server
import socket
import struct
import threading
import time
from types import MappingProxyType

import h5py
import numpy as np

from koala_face.backbones.weight_files import WeightsFile

TAG = '"the-first-edition"'


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`, and cuts the connection `stops` bytes after the start of an answer.

    `pause` follows each 64 kB; `shift` moves the part that a partial answer claims to be;
    `heeds_if_range` is False for a server that gives any file's rest; `says` are headers that a
    partial answer has instead of the usual ones, None for a header left out; without `tells_length`
    an answer ends where the connection does; `resets` ends it rudely; `reason` is given for 404.
    """

    content = b""
    tag = TAG
    stops = None
    shift = 0
    pause = 0.0
    heeds_if_range = True
    says = MappingProxyType({})
    tells_length = True
    resets = False
    reason = "Not Found"
    sent = 0
    ranges = ()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if self.path != "/weights.h5":
            return self.send_error(404, server.reason)
        wanted = self.headers.get("Range")
        server.ranges += (wanted,)
        start = 0
        same = self.headers.get("If-Range") == server.tag
        if wanted and (same or not server.heeds_if_range):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        headers = {"ETag": server.tag}
        if server.tells_length:
            headers["Content-Length"] = str(len(body))
        if start:
            end = len(server.content)
            headers["Content-Range"] = f"bytes {start + server.shift}-{end - 1}/{end}"
            headers |= server.says
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in range(0, len(body[: server.stops]), 1 << 16):
                self.wfile.write(body[: server.stops][piece : piece + (1 << 16)])
                server.sent += 1 << 16
                time.sleep(server.pause)
        if server.resets:
            # No seconds to linger: the other side gets a reset instead of an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(content):
    """Serve `content` as /weights.h5 on this machine."""
    with Server(("127.0.0.1", 0), Handler) as running:
        running.content = content
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


def saved_weights(folder) -> bytes:
    """A file as Keras saves weights, 400 kB: one layer `fc`, (100, 1000) and (1000,)."""
    path = folder / "made.h5"
    kernel = np.random.default_rng(0).standard_normal((100, 1000)).astype("float32")
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"fc", b"fc/relu"]
        layer = file.create_group("fc")
        layer.attrs["weight_names"] = [b"fc/kernel:0", b"fc/bias:0"]
        layer["fc/kernel:0"] = kernel
        layer["fc/bias:0"] = np.zeros(1000, "float32")
    return path.read_bytes()


def published_file(server) -> WeightsFile:
    """A published file without a published hash, as VGG-Face's, served by `server`."""
    return WeightsFile(
        backbone="vggface",
        name="weights.h5",
        address=f"http://127.0.0.1:{server.server_port}/weights.h5",
        about="400 kB",
        folder="models/vggface",
        shapes={"fc": [(100, 1000), (1000,)]},
    )


def hash_of(content, algorithm: str) -> str:
    """In hexadecimal."""
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
