"""A Wire over TLS. What the plain one does by the kernel (its timeouts, sendfile, MSG_MORE, vectors) goes by buffers
here, since every byte passes through the cipher."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Sequence

from app.network.wire import AHEAD, QUICKACK, TICK, PeerGone, Wire
from app.trust import revocation, tls
from app.trust.revocation import Revocation

_FILE_CHUNK = 1 << 17


class Distrusted(PeerGone):
    """The other side is not trusted. words: as part of a sentence; hint: what to do."""

    def __init__(self, words: str, hint: str) -> None:
        self.words, self.hint = words, hint
        super().__init__(words)


class TlsFault(Distrusted):
    """The connection ended with a TLS reason."""

    def __init__(self, fault: OSError, calling: bool) -> None:
        super().__init__(tls.describe_fault(fault, calling), tls.fault_hint(fault))


class TlsWire(Wire):
    """Over an SSLSocket; `handshake` comes before the first byte. calling: this side is the client."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._tls = sock
        self.calling = not sock.server_side
        self._held = b""
        self._met: OSError | ValueError | None = None  # a fault that `stirs` met, for the next read
        super().__init__(sock)

    @classmethod
    def wrap(cls, sock: socket.socket, context: ssl.SSLContext, name: str | None = None) -> "TlsWire":
        """Over a connected socket, which belongs to the wire from now on. name: the called host; None: an incoming
        connection."""
        sock.settimeout(TICK)
        return cls(
            context.wrap_socket(
                sock, server_side=name is None, do_handshake_on_connect=False, server_hostname=name or None
            )
        )

    @property
    def socket(self) -> ssl.SSLSocket:
        return self._tls

    def _tick(self) -> None:
        """Python polls before each call. With the kernel's timeout OpenSSL would be asked again and again inside one
        call of Python's, and no deadline were ever looked at."""
        self.sock.settimeout(TICK)

    def handshake(self, seconds: float) -> None:
        """Raises TlsFault, PeerGone, PeerSilent."""
        self.set_deadline(seconds)
        while True:
            try:
                self._tls.do_handshake()
                return
            except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._received(time.monotonic(), 0)
            except OSError as fault:
                raise TlsFault(fault, self.calling) from None
            except ValueError:  # closed meanwhile
                raise PeerGone from None

    def caller(self) -> tls.TlsCaller | None:
        return tls.caller_of(self._tls)

    def check_lists(self, revocations: Sequence[Revocation], trusted: Sequence[str]) -> None:
        """After the handshake, before any data: raises Distrusted when a list of revoked certificates speaks
        against the other side's."""
        shown = self.caller()
        fault = revocation.revocation_fault(shown.der, revocations, trusted) if shown is not None else None
        if fault is not None:
            raise Distrusted(fault.words, fault.hint)

    def wait_readable(self, seconds: float = 0.0) -> bool:
        """Readable is not enough here: TLS 1.3 sends session tickets after the handshake, and a record may be incomplete.
        Who then reads waits for data that may never come."""
        until = time.monotonic() + seconds
        while super().wait_readable(max(0.0, until - time.monotonic())):
            if self._ahead or self._tls.pending() or self._has_data():
                return True
            if time.monotonic() >= until:
                break
        return False

    def _has_data(self) -> bool:
        """Whether data or the end has come; reads some bytes ahead to find out."""
        try:
            self.sock.settimeout(0.0)
            data = self.sock.recv(AHEAD)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except (OSError, ValueError) as fault:
            self._met = fault
            return True
        finally:
            with contextlib.suppress(OSError):
                self.sock.settimeout(TICK)
        self._ahead += data
        return True  # nothing is the end, which the next read meets again

    def _receive(self, target: memoryview) -> int:
        if self._met is not None:
            raise self._ended(self._met) from None
        while True:
            begun = time.monotonic()
            if QUICKACK is not None:
                with contextlib.suppress(OSError):
                    self.sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)
            try:
                count = self.sock.recv_into(target)
            except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if self.on_tick is not None:
                    self.on_tick()
                self._received(begun, 0)
                continue
            except (OSError, ValueError) as fault:
                raise self._ended(fault) from None
            if count == 0:
                raise PeerGone
            self._received(begun, count)
            return count

    def send(self, data: bytes | bytearray | memoryview, more: bool = False) -> None:
        """more: kept until more data follows, so that a header is not a separate record."""
        if more:
            self._held += data
            return
        if self._held:
            data, self._held = self._held + data, b""
        view = memoryview(data)
        while view:
            begun, sent = time.monotonic(), 0
            try:
                sent = self.sock.send(view)
            except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except (OSError, ValueError) as fault:
                raise self._ended(fault) from None
            view = view[sent:]
            self._written(begun, sent)

    def _ended(self, fault: OSError | ValueError) -> PeerGone:
        """The reason why the connection ended. With TLS 1.3 the server checks a client certificate only after the
        handshake, during the first writes: its alert may be unread before the end of the connection."""
        if isinstance(fault, ssl.SSLEOFError | ConnectionError):
            try:
                self.sock.settimeout(0.5)
                self.sock.recv(1)
            except ssl.SSLError as told:
                fault = told
            except (OSError, ValueError):
                pass
        told_why = isinstance(fault, ssl.SSLError) and not isinstance(fault, ssl.SSLEOFError)
        return TlsFault(fault, self.calling) if told_why and isinstance(fault, OSError) else PeerGone()

    def send_file(self, source: int, offset: int, count: int) -> None:
        while count:
            data = os.pread(source, min(count, _FILE_CHUNK), offset)
            if not data:
                raise EOFError("a stored file is shorter than its index says")
            self.send(data)
            offset, count = offset + len(data), count - len(data)

    def close_after_peer(self, seconds: float, end: bool = True) -> None:
        if end:
            self._notify()
        super().close_after_peer(seconds, end)

    def close(self) -> None:
        self._notify()
        super().close()

    def _notify(self) -> None:
        """Sends close_notify (RFC 8446 6.1), without waiting for the other side's."""
        with contextlib.suppress(OSError, ValueError):
            self.sock.settimeout(0.0)
            self._tls.unwrap()


def open_wire(sock: socket.socket) -> Wire:
    """The wire that fits a connected socket."""
    return TlsWire(sock) if isinstance(sock, ssl.SSLSocket) else Wire(sock)
