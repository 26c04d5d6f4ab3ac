"""Large bodies, both ways: pieces made in threads and sent as they are, and multipart requests read as they arrive."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.kit.errors import AppError, BadRequest
from app.kit.multipart import Begin, Data, End, Reader, boundary_of
from app.kit.numbers import parse_integer

BATCH = 4 << 20  # bytes read ahead in one go of a thread: reading overlaps sending without a thread switch per frame
MOST_PIECES = 4096  # in one batch: pieces of a few bytes would take seconds, and far more memory than bytes, to fill it
T = TypeVar("T")


class _Pump:
    """Takes pieces from a blocking iterator, a batch at a time, always one batch ahead."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.ended = False

    def next_batch(self) -> list[bytes]:
        batch, size = [], 0
        for piece in self._pieces:
            batch.append(piece)
            size += len(piece)
            if size >= BATCH or len(batch) >= MOST_PIECES:
                return batch
        self.ended = True
        return batch

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


async def pump(pieces: Iterator[bytes], ready: list[bytes] | None = None) -> AsyncIterator[bytes]:
    """The pieces of a blocking iterator, read in threads. The iterator is closed whatever happens.

    ready: pieces taken before, to be sent first."""
    pump = _Pump(pieces)
    ahead: asyncio.Future[list[bytes]] | None = None
    try:
        ahead = asyncio.ensure_future(run_in_threadpool(pump.next_batch))
        for piece in ready or ():
            yield piece
        while batch := await ahead:
            ahead = asyncio.ensure_future(run_in_threadpool(pump.next_batch))
            for piece in batch:
                yield piece
    finally:
        if ahead is not None:
            with contextlib.suppress(BaseException):  # the thread cannot be stopped: wait, then free what it held
                await asyncio.shield(ahead)
        await run_in_threadpool(pump.close)


class Whole(Response):
    """An answer whose pieces are all there: they are sent as they are, never joined, and without a thread."""

    def __init__(self, pieces: list[bytes], status: int, headers: dict[str, str], media_type: str) -> None:
        length = {"Content-Length": str(sum(map(len, pieces)))}
        super().__init__(None, status, length | headers, media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def streamed(
    pieces: Iterator[bytes], media_type: str, headers: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    """An answer from a blocking iterator. The first batch is made before the answer begins, so that a fault in it is
    still answered as a fault; where it holds everything, its length is sent."""
    begun = _Pump(pieces)
    first = await run_in_threadpool(begun.next_batch)
    if begun.ended:
        return Whole(first, status, dict(headers or {}), media_type)
    return StreamingResponse(pump(pieces, first), status, dict(headers or {}), media_type)


async def read_multipart(request: Request) -> AsyncIterator[list[Begin | Data | End]]:
    """The events of a multipart body, a list per chunk that came. Raises BadRequest when it is cut off or none."""
    reader = Reader(boundary_of(request.headers.get("content-type", "")))
    async for chunk in read_body(request):
        events = list(reader.feed(chunk))
        if events:
            yield events
    reader.close()


async def read_body(request: Request, size: int = 1 << 20) -> AsyncIterator[bytes]:
    """The body in pieces of about `size` bytes: a thread switch per network read would cost more than the disk."""
    pieces: list[bytes] = []
    held = 0
    try:
        async for chunk in request.stream():
            pieces.append(chunk)
            held += len(chunk)
            if held >= size:
                yield b"".join(pieces)
                pieces, held = [], 0
    except ClientDisconnect as fault:
        raise BadRequest("The connection was closed before the request was complete.") from fault
    if held:
        yield b"".join(pieces)


_DIGITS = re.compile("[0-9]+")
_FARTHEST = 10**18 - 1  # bytes


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """(first, last) of the one range asked for; None when the whole is to be sent: no range, several, or not bytes
    (RFC 9110 14.2 lets a server ignore those). Raises RangeNotSatisfiable when it lies behind the end."""
    unit, _, ask = header.partition("=")
    first, dash, last = ask.strip().partition("-")
    if unit.strip() != "bytes" or not dash or "," in ask or not _DIGITS.fullmatch(first + last) or size == 0:
        return None
    # a number too long to be read lies behind the end of anything
    start, stop = (parse_integer(text, high=_FARTHEST) if text else None for text in (first, last))
    if not first:
        begin, end = max(0, size - (_FARTHEST if stop is None else stop)), size - 1
        if stop == 0:
            raise RangeNotSatisfiable("The range is empty.", size=size)
    else:
        begin, end = _FARTHEST if start is None else start, size - 1 if stop is None else min(stop, size - 1)
    if begin >= size:
        raise RangeNotSatisfiable("The range starts after the end of the file.", size=size)
    return (begin, end) if begin <= end else None


class RangeNotSatisfiable(AppError):
    code, status = "range-not-satisfiable", 416


async def ranged(
    request: Request,
    region: Callable[[int, int], Iterator[bytes]],
    size: int,
    media_type: str,
    headers: Mapping[str, str],
) -> Response:
    """A body of known size, or the part of it that a Range header asks for. region(first, length) reads it."""
    found = byte_range(request.headers.get("range", ""), size) if "range" in request.headers else None
    if found and "if-range" in request.headers and request.headers["if-range"] != headers.get("ETag"):
        found = None
    answer = {**headers, "Accept-Ranges": "bytes"}
    if found is None:
        return await streamed(region(0, size), media_type, {**answer, "Content-Length": str(size)})
    first, last = found
    answer |= {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(last - first + 1)}
    return await streamed(region(first, last - first + 1), media_type, answer, 206)
