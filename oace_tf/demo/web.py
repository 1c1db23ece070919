"""Web application: photographs in, masks and pictures out, for a browser on this machine.

Nothing is loaded from anywhere else: the page's Content-Security-Policy forbids it. Other pages in
the same browser cannot reach it: the host name is checked against DNS rebinding, and a request
from another origin is refused.
"""
from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import numpy as np
from anyio import to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oace_tf import pictures
from oace_tf.demo import samples
from oace_tf.demo.cutouts import CutoutOptions
from oace_tf.demo.engine import Engine, encode
from oace_tf.demo.marks import parse_request, parse_strokes
from oace_tf.demo.photos import Photo, Shelf, read_photo
from oace_tf.errors import UsageError

MAX_UPLOAD_BYTES = 256 * 2**20
MAX_PENDING_BYTES = 2 * MAX_UPLOAD_BYTES  # of all bodies that are on their way together
OPENED_AT_ONCE = 2  # photographs that are decoded together: each may take a gigabyte
STALL = 30.0  # seconds that a body may pause
PAGE = Path(__file__).resolve().parent / "page"
_FILES = tuple(sorted(path.name for path in PAGE.iterdir() if path.name != "index.html"))
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests by other names and from other pages; sets the headers of every answer."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403."""
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        why = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        app = self._app if why is None else _error(why, 403)
        await app(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._hosts is not None and _host_name(host) not in self._hosts:
            return "this page answers to its own address only"
        if origin is not None and origin.partition("//")[2] != host:
            return "requests from other pages are refused"
        return None


class Pages:
    """What the routes answer."""

    def __init__(self, engine: Engine, facts: dict[str, Any]) -> None:
        self._engine = engine
        self._facts = facts
        self._shelf = Shelf()
        self._bodies = Bodies(MAX_UPLOAD_BYTES, MAX_PENDING_BYTES)
        self._opening = anyio.CapacityLimiter(OPENED_AT_ONCE)

    def index(self, request: Request) -> Response:
        """Return the page."""
        return FileResponse(PAGE / "index.html", media_type="text/html")

    def file(self, request: Request) -> Response:
        """Return one of the page's files."""
        name = request.path_params["name"]
        if name not in _FILES:
            raise HTTPException(404)
        return FileResponse(PAGE / name)

    def facts(self, request: Request) -> Response:
        """Return what the page says of the files and of the samples."""
        shown = ("file", "title", "photographer", "licence", "source")
        return JSONResponse({**self._facts, "max_bytes": MAX_UPLOAD_BYTES, "samples": [
            {key: getattr(sample, key) for key in shown} for sample in samples.list_samples()]})

    def sample(self, request: Request) -> Response:
        """Return a sample's file, for its small picture."""
        return Response(_sample(request), media_type="image/jpeg")

    async def open_sample(self, request: Request) -> Response:
        """Open a sample."""
        return await to_thread.run_sync(self._open, _sample(request), request.path_params["name"],
                                        limiter=self._opening)

    async def open_upload(self, request: Request) -> Response:
        """Open the photograph in the request's body."""
        given = unquote(request.headers.get("x-file-name", "")).replace("\\", "/")
        name = PurePosixPath(given).name
        async with self._bodies.body(request) as data:
            return await to_thread.run_sync(self._open, data, name or "the photograph",
                                            limiter=self._opening)

    def preview(self, request: Request) -> Response:
        """Return the photograph for the screen."""
        return Response(encode(".jpg", self._photo(request).preview), media_type="image/jpeg")

    async def mask(self, request: Request) -> Response:
        """Return mask, time and several answers of the int8 file."""
        photo, (marks, values) = self._photo(request), parse_request(await self._small(request))
        options = CutoutOptions.of(values)
        answer = await run_in_threadpool(self._engine.answer, photo, marks, options.refine)
        return JSONResponse({
            "mask": _mask_url(answer.mask), "share": float(answer.mask.mean()),
            "ms": round(answer.milliseconds, 1), "taken": answer.taken,
            "alternatives": [{"mask": _mask_url(mask), "score": score}
                             for mask, score in zip(answer.alternatives, answer.scores)]})

    async def glance(self, request: Request) -> Response:
        """Return the small mask of what a tap under the pointer would give."""
        photo, (marks, _) = self._photo(request), parse_request(await self._small(request))
        answer = await run_in_threadpool(self._engine.glance, photo, marks)
        return JSONResponse({"mask": _mask_url(answer.mask), "ms": round(answer.milliseconds, 1)})

    async def details(self, request: Request) -> Response:
        """Return the OACE picture and what the float file says."""
        photo, (marks, _) = self._photo(request), parse_request(await self._small(request))
        answer = await run_in_threadpool(self._engine.details, photo, marks)
        return JSONResponse({
            "oace": None if answer.oace is None else _data_url(answer.oace),
            "oace_note": answer.oace_note, "float_note": answer.float_note,
            "float_ms": None if answer.float_ms is None else round(answer.float_ms, 1),
            "agreement": answer.agreement})

    async def cutout(self, request: Request) -> Response:
        """Return the cutout, as large as the photograph or as the object."""
        photo, (marks, values) = self._photo(request), parse_request(await self._small(request))
        data = await run_in_threadpool(self._engine.cutout, photo, marks,
                                       CutoutOptions.of(values))
        return Response(data, media_type="image/png")

    async def regions(self, request: Request) -> Response:
        """Return several objects as a small picture of labels, and what its numbers mean."""
        photo, (strokes, values) = self._photo(request), parse_strokes(await self._small(request))
        regions = await run_in_threadpool(self._engine.regions, photo, strokes,
                                          CutoutOptions.of(values).refine)
        counts = np.bincount(regions.labels.ravel(), minlength=len(regions.legend))
        return JSONResponse({
            "labels": _data_url(regions.labels), "legend": regions.legend,
            "shares": (counts / regions.labels.size).tolist(),
            "ms": round(regions.milliseconds, 1)})

    async def labels(self, request: Request) -> Response:
        """Return the picture of labels as large as the photograph."""
        photo, (strokes, values) = self._photo(request), parse_strokes(await self._small(request))
        regions = await run_in_threadpool(self._engine.regions, photo, strokes,
                                          CutoutOptions.of(values).refine, True)
        return Response(encode(".png", regions.labels), media_type="image/png")

    async def _small(self, request: Request) -> bytes:
        async with self._bodies.body(request) as data:
            return data

    def _open(self, data: bytes, name: str) -> Response:
        photo = read_photo(data, name)
        height, width = photo.image.shape[:2]
        return JSONResponse({
            "key": self._shelf.put(photo), "name": name, "width": width, "height": height,
            "preview_width": photo.preview.shape[1], "preview_height": photo.preview.shape[0],
            "note": photo.note})

    def _photo(self, request: Request) -> Photo:
        try:
            return self._shelf.get(request.path_params["key"])
        except KeyError:
            raise HTTPException(410, "this photograph is not kept any more; open it "
                                "again") from None


def make_app(engine: Engine, facts: dict[str, Any], hosts: Sequence[str] | None) -> Starlette:
    """Return the application.

    Args:
      engine: the files at work.
      facts: what the page says of them, JSON.
      hosts: the host names that it answers to; None for any.
    """
    pages = Pages(engine, facts)
    routes = [
        Route("/", pages.index),
        Route("/facts", pages.facts),
        Route("/samples/{name}", pages.sample),
        Route("/photos", pages.open_upload, methods=["POST"]),
        Route("/photos/samples/{name}", pages.open_sample, methods=["POST"]),
        Route("/photos/{key}/preview", pages.preview),
        Route("/photos/{key}/mask", pages.mask, methods=["POST"]),
        Route("/photos/{key}/details", pages.details, methods=["POST"]),
        Route("/photos/{key}/glance", pages.glance, methods=["POST"]),
        Route("/photos/{key}/cutout", pages.cutout, methods=["POST"]),
        Route("/photos/{key}/regions", pages.regions, methods=["POST"]),
        Route("/photos/{key}/labels", pages.labels, methods=["POST"]),
        Route("/{name}", pages.file),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={UsageError: _usage_error, HTTPException: _http_error})


def _sample(request: Request) -> bytes:
    try:
        return samples.read_sample(request.path_params["name"])
    except KeyError:
        raise HTTPException(404, "there is no such sample") from None


class Bodies:
    """The bodies of requests that are on their way: all together stay below a size.

    Args:
      most: bytes of one body.
      most_pending: bytes of all of them, those whose photographs are being read included.
      stall: seconds that a body may pause.
    """

    def __init__(self, most: int, most_pending: int, stall: float = STALL) -> None:
        self._most, self._most_pending, self._stall = most, most_pending, stall
        self._pending = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request; it counts as pending until the block ends.

        Raises:
          HTTPException: 413 where it is too large, 503 where too much is on its way already, 408
            where it pauses.
        """
        data = bytearray()
        stream = request.stream()
        try:
            while True:
                try:
                    with anyio.fail_after(self._stall):
                        part = await anext(stream, None)
                except TimeoutError:
                    raise HTTPException(408, "the upload came to a halt; try again") from None
                except ClientDisconnect:  # nobody reads the answer
                    raise HTTPException(400, "the connection was cut") from None
                if part is None:
                    break
                data += part
                self._pending += len(part)
                if len(data) > self._most:
                    raise HTTPException(413, f"the file is larger than {self._most // 2**20} MB; "
                                             "make it smaller")
                if self._pending > self._most_pending:
                    raise HTTPException(503, "too many photographs arrive at once; try again in "
                                             "a moment")
            yield bytes(data)
        finally:
            self._pending -= len(data)


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # such as an open bracket
        return None


def _mask_url(mask: Any) -> str:
    """Return a mask, (h, w) bool, as a picture that is opaque on the object."""
    return _data_url(pictures.cutout(np.zeros((*mask.shape, 3), np.uint8), mask))


def _data_url(image: Any) -> str:
    return "data:image/png;base64," + base64.b64encode(encode(".png", image)).decode("ascii")


def _usage_error(request: Request, error: Exception) -> Response:
    return _error(str(error), 400)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.detail, error.status_code)


def _error(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status)
