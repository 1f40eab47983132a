"""The answers to what the page asks for. All that is about photographs lies below `/albums/ID`,
and the id is known to the page alone that began the album.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import BinaryIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from koala_face.foundation.errors import KoalaFaceError
from koala_face.web.archive import stream_zip
from koala_face.web.guard import BodyError, read_body, refuse
from koala_face.web.names import disposition, own_name
from koala_face.web.store import FAILED, READY, WORKING, Entry, GoneError, StorageError, Store
from koala_face.web.style import PREVIEW, THUMBNAIL, Style, parse_style
from koala_face.web.work import ARRIVAL, RESULT, Work

HERE = Path(__file__).parent
# The page by address: nothing else of the machine's files is ever sent.
PAGE = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js", "/icon.svg": "icon.svg"}
# Bytes of one photograph, and of the styles in which all are asked for.
LARGEST, LARGEST_JSON = 2**30, 2**20
PIECE = 2**18


class ResultError(KoalaFaceError):
    """A result that cannot be written, in the words of `Entry.describe`."""


class Answers:
    """The answers to all that the page asks for.

    `coloring` is imported where it is used: it loads TensorFlow, for which the page need not wait.
    """

    def __init__(self, store: Store, work: Work, variants: list[str], idle: float, whole: float):
        self.store, self._work, self._variants = store, work, variants
        self._times = {"idle": idle, "whole": whole}
        self._largest = min(LARGEST, store.limit)
        self._seconds: deque[float] = deque(maxlen=8)
        # The copies that are shown are small, but many pages may ask at once.
        self._showing = asyncio.Semaphore(1)

    def application(self) -> Starlette:
        one = "/albums/{album}/photographs/{photograph}"
        routes = [Route(path, partial(_page, HERE / name)) for path, name in PAGE.items()]
        routes += [
            Route("/albums", self.begin, methods=["POST"]),
            Route("/albums/{album}", self.tell),
            Route("/albums/{album}/photographs", self.receive, methods=["POST"]),
            Route("/albums/{album}/zip", self.choose, methods=["POST"]),
            Route("/albums/{album}/zip", self.send_all, methods=["GET"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(f"{one}/before", partial(self.show, styled=False)),
            Route(f"{one}/after", self.show),
            Route(f"{one}/small", partial(self.show, longest=THUMBNAIL)),
            Route(f"{one}/result", self.send, methods=["GET"]),
            Route(f"{one}/result", self.make, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={KoalaFaceError: _explain})

    async def begin(self, request: Request) -> Response:
        """A new album, and what the page should know of this server."""
        about = {"largest": self._largest, "storage": self.store.limit, "variants": self._variants}
        return JSONResponse({"id": self.store.new_album().id, **about}, 201)

    async def tell(self, request: Request) -> Response:
        """How the album's photographs stand."""
        album, ahead = self.store.album(request.path_params["album"]), self.store.ahead()
        loaded, told = self._work.loaded, {"networks": "loading", "error": None}
        if loaded.done():
            error = loaded.exception()
            told = {"networks": "failed" if error else "ready", "error": error and str(error)}
        told["seconds"] = sum(self._seconds) / len(self._seconds) if self._seconds else None
        fields = ("id", "name", "state", "error", "notes", "size")
        told["photographs"] = [
            {field: getattr(entry, field) for field in fields} | {"ahead": ahead.get(entry.id, 0)}
            for entry in album.entries.values()
        ]
        return JSONResponse(told)

    async def receive(self, request: Request) -> Response:
        """Take a photograph, the body, under the name of the query; it waits for the networks."""
        album = self.store.album(request.path_params["album"])
        entry = self.store.new_entry(own_name(request.query_params.get("name", "")))
        body = read_body(request, self._largest, **self._times)
        try:
            with open(entry.source, "xb") as file:
                async for piece in body:
                    self.store.reserve(entry, len(piece))
                    file.write(piece)
            self.store.add(album, entry)
        except BaseException as error:
            self.store.remove(entry)
            if isinstance(error, StorageError):
                await _discard(body)
            if isinstance(error, OSError):
                raise StorageError(f"The disk cannot hold it: {error.strerror}.") from error
            raise
        arrival = self._work.submit(ARRIVAL, partial(self._arrive, entry))
        arrival.add_done_callback(partial(self._settle, entry))
        return JSONResponse({"id": entry.id, "name": entry.name}, 201)

    async def remove(self, request: Request) -> Response:
        entry = self._entry(request)
        self.store.remove(entry, self.store.album(request.path_params["album"]))
        return Response(status_code=204)

    async def show(self, request: Request, styled: bool = True, longest: int = PREVIEW) -> Response:
        """A reduced copy, coloured in the style of the query or as it came."""
        entry = self._entry(request, READY)
        style = self._style(request) if styled else None
        from koala_face.web import coloring

        colorizers = self._work.loaded.result()
        async with self._showing:
            jpeg = await run_in_threadpool(coloring.show, entry, colorizers, style, longest)
        return Response(jpeg, media_type="image/jpeg")

    async def make(self, request: Request) -> Response:
        """Write the result in the style of the query, so that it can be fetched at once."""
        (await self._result(self._entry(request, READY), self._style(request))).close()
        return Response(status_code=204)

    async def send(self, request: Request) -> Response:
        """The result in the style of the query, under the photograph's own name."""
        entry = self._entry(request, READY)
        file = await self._result(entry, self._style(request))
        headers = {
            "Content-Length": str(file.seek(0, 2)),
            "Content-Disposition": disposition(entry.job.target.name),
        }
        pieces = self._send(entry, file)
        return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")

    async def choose(self, request: Request) -> Response:
        """Keep the styles in which all shall be sent; the body is JSON: a style by id."""
        album = self.store.album(request.path_params["album"])
        body = b"".join([x async for x in read_body(request, LARGEST_JSON, **self._times)])
        try:
            styles = {
                str(id): parse_style(asked, self._variants)
                for id, asked in json.loads(body).items()
            }
        except (ValueError, AttributeError, RecursionError) as error:
            raise BodyError("Expected the photographs' styles as JSON.", 400) from error
        album.styles = styles
        return Response(status_code=204)

    async def send_all(self, request: Request) -> Response:
        """All results as a ZIP, in the styles that were chosen."""
        album = self.store.album(request.path_params["album"])
        plain = parse_style({}, self._variants)
        ready = [entry for entry in album.entries.values() if entry.state == READY]
        if not ready:
            raise GoneError("Expected photographs that are coloured. None is yet.")
        asked = [(entry, album.styles.get(entry.id, plain)) for entry in ready]
        headers = {"Content-Disposition": disposition("coloured.zip")}
        pieces = stream_zip(asked, self._result, self._sent)
        return StreamingResponse(pieces, headers=headers, media_type="application/zip")

    def _entry(self, request: Request, state: str | None = None) -> Entry:
        entry = self.store.entry(request.path_params["album"], request.path_params["photograph"])
        if state not in (None, entry.state):
            raise GoneError(f"Expected a photograph that is {state}. It is {entry.state}.")
        return entry

    def _style(self, request: Request) -> Style:
        return parse_style(request.query_params, self._variants)

    def _arrive(self, entry: Entry, colorizers) -> None:
        """In the thread: colour a photograph for the first time."""
        from koala_face.web import coloring

        entry.state, start = WORKING, time.perf_counter()
        if not entry.removed:
            coloring.prepare(entry, self.store, colorizers)
            entry.state = READY
            self._seconds.append(time.perf_counter() - start)

    def _settle(self, entry: Entry, arrival: Future) -> None:
        """After that: what fails has its reason, such as the networks' that could not be loaded."""
        error = None if arrival.cancelled() else arrival.exception()
        if error is not None:
            entry.state, entry.error = FAILED, entry.describe(error)
        self.store.arrived(entry)
        self._clear(entry)

    async def _result(self, entry: Entry, style: Style) -> BinaryIO:
        """Have the thread write the result, unless it is there already; gives it, opened."""

        def job(colorizers) -> BinaryIO:
            from koala_face.web import coloring

            try:
                if entry.style != style:
                    coloring.write_result(entry, self.store, style, colorizers)
                return entry.result.open("rb")
            except Exception as error:
                raise ResultError(entry.describe(error)) from error
            finally:
                self._clear(entry)

        return await asyncio.wrap_future(self._work.submit(RESULT, job))

    async def _send(self, entry: Entry, file: BinaryIO) -> AsyncIterator[bytes]:
        try:
            file.seek(0)
            while piece := file.read(PIECE):
                yield piece
        finally:
            file.close()
            self._sent(entry)

    def _sent(self, entry: Entry) -> None:
        self._work.submit(RESULT, lambda _: self.store.drop_result(entry))

    def _clear(self, entry: Entry) -> None:
        """In the thread: delete what was written after the photograph was removed."""
        if entry.removed:
            self.store.remove(entry)


async def _page(path: Path, request: Request) -> Response:
    return FileResponse(path)


async def _explain(request: Request, error: Exception) -> Response:
    status = getattr(error, "status", None)
    if status is None:
        status = {GoneError: 404, StorageError: 507}.get(type(error), 400)
    return refuse(status, str(error))


async def _discard(body: AsyncIterator[bytes]) -> None:
    """Read what still comes: a browser that is still sending would not see the answer."""
    try:
        async for _ in body:
            pass
    except Exception:  # the first error is the one to tell
        pass
