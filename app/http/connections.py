"""Limits of a connection before sign-in: connections per address and in all, bytes, number and time of
request headers, silence in the middle of a request or an answer.

uvicorn has knobs for the time between two requests and none for these (httptools limits nothing), so its protocol is
extended here. A connection that is not at work gives way to a new one of the same address: 2,000 idle ones do not block
others."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.kit.addresses import source_of
from app.kit.allowance import Allowance

log = logging.getLogger(__name__)
HEAD_BYTES = 64 * 1024  # of a request line and its headers, of chunk headers and of trailers
HEAD_FIELDS = 100
HEAD_SECONDS = 20.0  # from the connection, or the first byte of a later request, to the end of its headers
# Seconds in which no byte of a body arrives although the server reads. They are an allowance (kit/allowance.py): a body that
# comes slower than LEAST_RATE uses it up, signed in or not.
BODY_SILENCE = 60.0
WRITE_SILENCE = 120.0  # seconds in which a client takes nothing of its answer
_KEEPALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)  # a vanished peer is noticed in 2 minutes
_REFUSED = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 34\r\nconnection: close\r\n\r\nThe request headers are too large."
)


class HeadTooLarge(Exception):
    """Ends the parser's work on a request; the connection answers 431."""


class Connections:
    """The open connections of this process, by the address they come from."""

    def __init__(self, trusted: str = "") -> None:
        """trusted: the proxies of `trusted_proxies`; all clients come from the proxy's address."""
        self.per_address, self.most = 256, 2000
        self._open: dict[str, dict[asyncio.BaseTransport, GuardedHttp]] = {}
        self._count = 0
        self._trusted = [part.strip() for part in trusted.split(",") if part.strip()]

    def __len__(self) -> int:
        return self._count

    def add(self, source: str, transport: asyncio.BaseTransport, protocol: "GuardedHttp") -> bool:
        """Takes a new connection in, closing an idle one where there are too many; False when all are at work."""
        of_source = self._open.get(source, {})
        if len(of_source) >= self.per_address and not self._is_trusted(source) and not self._close_idle(of_source):
            return False
        if self._count >= self.most and not self._close_idle(max(self._open.values(), key=len)):
            return False
        self._open.setdefault(source, {})[transport] = protocol
        self._count += 1
        return True

    def remove(self, source: str, transport: asyncio.BaseTransport) -> None:
        of_source = self._open.get(source)
        if of_source is not None and of_source.pop(transport, None) is not None:
            self._count -= 1
            if not of_source:
                del self._open[source]

    def _close_idle(self, among: dict[asyncio.BaseTransport, "GuardedHttp"]) -> bool:
        """Closes the oldest idle connection: first of those that have never asked anything."""
        idle = [one for one in among.values() if one.is_idle]
        victim = next((one for one in idle if one.asked == 0), idle[0] if idle else None)
        if victim is None:
            return False
        victim.close_now()
        return True

    def _is_trusted(self, source: str) -> bool:
        for one in self._trusted:
            if one in ("*", source):
                return True
            with contextlib.suppress(ValueError):
                if "/" in one and ipaddress.ip_address(source) in ipaddress.ip_network(one, strict=False):
                    return True
        return False


class GuardedHttp(HttpToolsProtocol):
    """One HTTP connection within the limits. `guarded` makes the class that knows the process's connections."""

    registry: ClassVar[Connections]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.asked = 0  # requests whose headers are complete
        self.source = source_of(self.client[0] if self.client else "")
        self._upgraded = False
        self._fields = self._head = 0  # number and bytes of the header fields
        self._bytes = 0  # what has arrived since the parser got on
        self._in_head = True
        self._silent: asyncio.TimerHandle | None = None
        self._allowance, self._waited_since = Allowance(BODY_SILENCE), 0.0  # of the body, and when this wait began
        self._stalled: tuple[asyncio.TimerHandle, int] | None = None
        if not self.registry.add(self.source, transport, self):
            log.warning("a connection was refused: its address, or all together, have too many at work")
            transport.abort()
            return
        _watch_peer(transport)
        self._set_timer(HEAD_SECONDS, self.close_now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(0, None)
        self._resume_reading()
        self.registry.remove(self.source, self.transport)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Nothing is asked or answered on it just now."""
        return not self._upgraded and (self.cycle is None or self.cycle.response_complete)

    def close_now(self) -> None:
        """Closes it at once; data that an idle peer still sends is ignored."""
        self.registry.remove(self.source, self.transport)
        self.transport.abort()

    def _set_timer(self, seconds: float, otherwise: Callable[[], None] | None) -> None:
        """Calls `otherwise` after `seconds`; replaces the previous timer."""
        if self._silent is not None:
            self._silent.cancel()
        self._silent = self.loop.call_later(seconds, otherwise) if otherwise is not None else None

    # what arrives

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head and self._silent is None:  # the first byte of a later request
            self._set_timer(HEAD_SECONDS, self.close_now)
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > HEAD_BYTES and not self._upgraded and not self.transport.is_closing():
            self._refuse_head()
        elif not self._in_head and self._silent is not None:
            self._record_wait(len(data))

    def _refuse_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_REFUSED)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        if self._is_too_large():
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _is_too_large(self) -> bool:
        return self._fields > HEAD_FIELDS or max(self._head, self._bytes) > HEAD_BYTES

    def _grow(self, size: int) -> None:
        self._head += size
        if self._fields > HEAD_FIELDS or self._head > HEAD_BYTES:
            raise HeadTooLarge

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._fields, self._head = True, 0, 0

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._bytes = False, 0
        self.asked += 1
        self._allowance = Allowance(BODY_SILENCE)
        self._wait_for_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._bytes, self._fields = True, 0, 0
        self._set_timer(0, None)
        super().on_message_complete()

    def _wait_for_body(self) -> None:
        self._waited_since = self.loop.time()
        self._set_timer(self._allowance.remaining(), self._body_is_late)

    def _record_wait(self, moved: int) -> None:
        """The given bytes of the body came after a wait."""
        self._allowance.record_wait(self.loop.time() - self._waited_since, moved)
        if self._allowance.expired:
            self.close_now()
        else:
            self._wait_for_body()

    def _body_is_late(self) -> None:
        if self.flow.read_paused:  # the server itself does not read
            self._wait_for_body()
        else:
            self.close_now()

    # what leaves

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        self._resume_reading()
        super().resume_writing()

    def _watch_writing(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stalled = (self.loop.call_later(WRITE_SILENCE, self._check_writing), left)

    def _check_writing(self) -> None:
        if self._stalled is not None and self.transport.get_write_buffer_size() < self._stalled[1]:
            self._watch_writing()
        else:
            self.close_now()

    def _resume_reading(self) -> None:
        if self._stalled is not None:
            self._stalled[0].cancel()
            self._stalled = None

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._set_timer(0, None)
        super().handle_websocket_upgrade()


class GuardedSocket(WebSocketsSansIOProtocol):
    """The same connection once it has become a WebSocket."""

    registry: ClassVar[Connections]

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self.registry.remove(source_of(self.client[0]), self.transport)
        super().connection_lost(exc)


def _watch_peer(transport: asyncio.BaseTransport) -> None:
    """Half-open connections end: the kernel asks a silent peer whether it is there."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def guarded(connections: Connections) -> dict[str, Any]:
    """The options of uvicorn.Config that put every connection under the limits."""
    kept = {"registry": connections}
    return {"http": type("Http", (GuardedHttp,), kept), "ws": type("Socket", (GuardedSocket,), kept)}
