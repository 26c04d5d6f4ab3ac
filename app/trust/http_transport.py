"""How DICOMweb calls reach a server: to addresses that are checked after the name is resolved, or through the proxy
(NET-10); by TLS with the system's authorities and those that are trusted here."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from app.kit import compat
from app.kit.allowance import Allowance, Unsent
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.trust import names, revocation, runtime, tls
from app.trust.proxy import Proxy, open_through
from app.trust.revocation import Distrust

CALL_SECONDS = 180.0  # of a call's allowance, where the caller names none
_TICK = 1.0  # seconds between checks whether sent data still leaves
_SECONDS = 30.0  # where the caller names no time to connect


class _Revoked(httpcore.ConnectError):
    def __init__(self, why: Distrust) -> None:
        self.why = why
        super().__init__(why.words)


class _Slow(httpcore.ReadTimeout):
    """The call's allowance is used up, though the other side goes on."""


class _Stream(httpcore.NetworkStream):
    """A connection within the call's allowance, whose server is held against the lists of revoked certificates before
    anything is sent to it. Reads and writes the socket itself: each piece that moves counts."""

    def __init__(self, stream: httpcore.NetworkStream, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance
        self._socket: socket.socket = stream.get_extra_info("socket")
        self._unsent = Unsent(self._socket)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        silent, found = 0.0, None
        self._unsent.moved()
        while found is None:
            begun, moved = time.monotonic(), 0
            try:
                self._wait(None if timeout is None else timeout - silent)
                found = self._socket.recv(max_bytes)
                moved = len(found)
            except TimeoutError:
                moved = self._unsent.moved()  # it has not received the request yet
            except OSError as fault:
                raise httpcore.ReadError(str(fault)) from fault
            waited = time.monotonic() - begun
            self._allowance.record_wait(waited, moved)
            silent = 0.0 if moved else silent + waited
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view, silent = memoryview(buffer), 0.0
        while view:
            begun, sent = time.monotonic(), 0
            try:
                self._wait(None if timeout is None else timeout - silent)
                sent = self._socket.send(view)
            except TimeoutError:
                pass
            except OSError as fault:
                raise httpcore.WriteError(str(fault)) from fault
            waited = time.monotonic() - begun
            self._allowance.record_wait(waited, sent)
            silent = 0.0 if sent else silent + waited
            view = view[sent:]

    def _wait(self, left: float | None) -> None:
        """Sets how long the next call of the socket may wait. Raises ReadTimeout when the time is used up."""
        if self._allowance.expired:
            raise _Slow
        if left is not None and left <= 0:
            raise httpcore.ReadTimeout
        self._socket.settimeout(max(0.01, min(_TICK, self._allowance.remaining(left))))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout)
        known, shown = runtime.current().material, tls.caller_of(secured.get_extra_info("socket"))
        fault = revocation.revocation_fault(shown.der, known.revocations, known.trusted) if shown is not None else None
        if fault is not None:
            secured.close()
            raise _Revoked(fault)
        return _Stream(secured, self._allowance)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Checked(httpcore.SyncBackend):
    """Opens TCP connections to addresses that are checked after the name is resolved, as `scu.connect` does."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        due = time.monotonic() + (timeout or _SECONDS)
        fault: Exception = httpcore.ConnectError("the host name is not known")
        found = names.resolved(host, port, timeout or _SECONDS)
        for number, address in enumerate(found):
            left = max(0.1, (due - time.monotonic()) / (len(found) - number))
            try:
                made = super().connect_tcp(address, port, left, local_address, socket_options)
                return _Stream(made, self._allowance)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as raised:
                fault = raised
        raise fault


class _Through(httpcore.SyncBackend):
    """Opens them through the proxy, which resolves the names: the proxy client of this package, so that both kinds of
    proxy and of peers fail with the same messages."""

    def __init__(self, proxy: Proxy, allowance: Allowance) -> None:
        self._proxy, self._allowance = proxy, allowance

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        sock = open_through(self._proxy, host, port, timeout or _SECONDS)
        sock.settimeout(None)
        return _Stream(compat.stream_of(sock), self._allowance)


class _Transport(httpx.HTTPTransport):
    """Each call begins with the whole time."""

    def __init__(self, allowance: Allowance, **options: Any) -> None:
        super().__init__(**options)
        self._allowance = allowance

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._allowance.restart()
        return super().handle_request(request)


def transport(
    host: str, use_proxy: bool = True, certificate: str = "", seconds: float = CALL_SECONDS
) -> httpx.HTTPTransport:
    """For calls to this host. Neither redirects nor the environment's proxies change where they go. certificate: the
    name of the own certificate to present on request; seconds: of a call's allowance, which is all that it may wait for
    the other side. Raises PeerFault when the certificate cannot be used."""
    allowance = Allowance(seconds)
    made = _Transport(allowance, trust_env=False, verify=_context(certificate))
    proxy = runtime.current().proxy_for(host) if use_proxy else None
    compat.use_backend(made, _Checked(allowance) if proxy is None else _Through(proxy, allowance))
    return made


def _context(certificate: str) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    here = runtime.current()
    if trusted := here.material.trusted:
        context.load_verify_locations(cadata="".join(trusted))
    identity = here.web_identity(certificate)
    try:
        if identity is not None:
            tls.load_identity(context, identity)
    except (ssl.SSLError, ValueError):
        raise PeerFault(
            phrase("Our certificate {name} cannot be used.", name=certificate), hint="Look at Settings, Certificates."
        ) from None
    return context


def wants_certificate(answer: httpx.Response) -> bool:
    """Whether a refusal is one of a server that looks at certificates only after the handshake (as nginx does), and got
    none or did not accept it. Reads the first bytes of the answer."""
    if answer.status_code != 400 or answer.url.scheme != "https":
        return False
    start = b""
    with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
        for part in answer.iter_bytes():
            start += part
            if len(start) > 4096:
                break
    return b"SSL certificate" in start


def timed_out(fault: BaseException) -> bool:
    """Whether a call failed because the other side went on too slowly."""
    seen: BaseException | None = fault
    while seen is not None and not isinstance(seen, _Slow):
        seen = seen.__cause__
    return seen is not None


def tls_fault(fault: BaseException) -> Distrust | None:
    """The TLS reason of a failed call; None when it was not TLS. With TLS 1.3 a server rejects a client certificate
    only after the handshake, when its answer is read."""
    seen: BaseException | None = fault
    for _ in range(10):
        if seen is None:
            return None
        if isinstance(seen, _Revoked):
            return seen.why
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLEOFError):
            return Distrust(tls.describe_fault(seen, True), tls.fault_hint(seen))
        seen = seen.__cause__ or seen.__context__
    return None
