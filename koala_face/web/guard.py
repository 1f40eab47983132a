"""Who may ask: only pages of this server, under names of this machine, with the password.

A page elsewhere can make a browser send requests here, and a name elsewhere can be made to point
here (DNS rebinding): Origin and Host tell, and both are refused.
"""

import asyncio
import base64
import binascii
import hmac
import ipaddress
import logging
import socket
import time
from collections.abc import AsyncIterator

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from koala_face.foundation.errors import KoalaFaceError

log = logging.getLogger(__name__)

# Seconds: without a byte of a body, for a whole body, and without a byte of an answer taken.
IDLE, WHOLE, UNREAD = 20.0, 900.0, 60.0
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    # A connection has one request, so that none can be held open between two.
    "Connection": "close",
}


class BodyError(KoalaFaceError):
    """A body that is too large or too slow; `status` is that of the answer."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Guard:
    """Around the application `app`: refuses strangers, and adds the headers to every answer.

    Args:
        host: the address that is served on.
        password: asked for by HTTP Basic with any name; None for nobody.
    """

    def __init__(self, app: ASGIApp, host: str, password: str | None):
        self._app, self._password = app, password
        self._local = is_loopback(host)
        here = socket.gethostname().lower()
        self._names = {"localhost"} if self._local else {"localhost", here, f"{here}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await asyncio.wait_for(send(message), UNREAD)

        app = self.refusal(Headers(scope=scope)) or self._app
        try:
            await app(scope, receive, send_guarded)
        except (asyncio.TimeoutError, OSError, ClientDisconnect):
            pass  # it takes its answer no longer
        except Exception:
            log.exception("a defect of this program")

    def refusal(self, headers: Headers) -> Response | None:
        """The answer to a request that may not be; None for one that may."""
        host = headers.get("host", "")
        if not self.is_own(host):
            return refuse(403, "Expected the address that the program printed as Host.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}".lower():
            return refuse(403, "Expected a request of this program's own page.")
        if self._password is not None and not self.knows_password(headers):
            asked = {"WWW-Authenticate": 'Basic realm="koala_face", charset="UTF-8"'}
            return refuse(401, "Expected the password that the program was given.", asked)
        return None

    def is_own(self, host: str) -> bool:
        """Whether a Host header names this machine: by an address, or by a name of its own."""
        name, _, port = host.rpartition(":")
        name = (name if name and port.isdecimal() else host).strip("[]").lower()
        try:
            # No stranger's name can hide behind an address.
            return ipaddress.ip_address(name).is_loopback or not self._local
        except ValueError:
            return name in self._names

    def knows_password(self, headers: Headers) -> bool:
        """Whether HTTP Basic gives the password; takes equally long for any wrong one."""
        kind, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            given = b""
        matches = hmac.compare_digest(given, self._password.encode())
        return kind.lower() == "basic" and matches


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(x[4][0].partition("%")[0]).is_loopback for x in found)


async def read_body(
    request: Request, most: int, idle: float = IDLE, whole: float = WHOLE
) -> AsyncIterator[bytes]:
    """The pieces of a request's body, of `most` bytes together.

    Args:
        idle: seconds in which the next piece must come.
        whole: seconds in which all must have come.

    Raises:
        BodyError: it is larger, or slower.
        ClientDisconnect: it ended before its end.
    """
    too_large = BodyError(f"Expected at most {most:,} bytes. Received more.", 413)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    stream, end, received = request.stream(), time.monotonic() + whole, 0
    while True:
        try:
            left = max(0.0, min(idle, end - time.monotonic()))
            piece = await asyncio.wait_for(stream.__anext__(), left)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:
            text = f"Expected the next bytes within {idle:g} s, and all within {whole:g} s."
            raise BodyError(text, 408) from error
        received += len(piece)
        if received > most:
            raise too_large
        yield piece


def refuse(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says what is wrong, as the page reads it."""
    return JSONResponse({"error": text}, status, headers)
