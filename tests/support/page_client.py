"""Asks the page's server as a browser does, over a socket for every request."""

import http.client
import json
import socket
from urllib.parse import quote, urlencode, urlsplit

from support.page_server import DEADLINE, wait_for


class Client:
    """Requests of one page, with an album of its own; `address` is the server's."""

    def __init__(self, address, **headers):
        self.host = urlsplit(address).netloc
        self.headers = headers
        self.album = self.json("POST", "/albums")["id"]

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body of the answer."""
        connection = http.client.HTTPConnection(self.host, timeout=DEADLINE)
        try:
            named = {key.replace("_", "-"): x for key, x in {**self.headers, **headers}.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None):
        return json.loads(self.ask(method, path, body)[2])

    def place(self, photograph, last="", **style):
        path = f"/albums/{self.album}/photographs/{photograph}{last}"
        return f"{path}?{urlencode(style)}" if style else path

    def drop(self, name, content):
        """Send a photograph; gives status and answer."""
        path = f"/albums/{self.album}/photographs?name={quote(name, errors='replace')}"
        status, _, body = self.ask("POST", path, content)
        return status, json.loads(body)

    def state(self):
        return self.json("GET", f"/albums/{self.album}")

    def settled(self):
        """The photographs by their names, when none of them waits any more."""

        def look():
            photographs = self.state()["photographs"]
            waiting = [x for x in photographs if x["state"] in ("waiting", "working")]
            return not waiting and [{x["name"]: x for x in photographs}]

        return wait_for(look, "the end of colouring")[0]

    def raw(self, content):
        """What the server answers to these very bytes, until it ends the connection."""
        host, port = self.host.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
            connection.sendall(content)
            return receive_all(connection)


def receive_all(connection):
    """All that comes until the other side ends, however it ends."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received
