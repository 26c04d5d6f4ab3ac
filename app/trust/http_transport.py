"""How DICOMweb calls reach a server: to addresses that are checked after the name is resolved, or through the proxy
(NET-10); by TLS with the system's authorities and those that are trusted here."""

import contextlib
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from app.kit import compat
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.trust import names, revocation, runtime, tls
from app.trust.proxy import Proxy, open_through
from app.trust.revocation import Distrust

CALL_SECONDS = 180.0  # that a call may wait for the other side, with nothing moving
LEAST_RATE = 8192.0  # bytes a second below which a call ends after that time
_PIECE = 1 << 20
_SECONDS = 30.0  # where the caller names no time to connect


class _Revoked(httpcore.ConnectError):
    def __init__(self, why: Distrust) -> None:
        self.why = why
        super().__init__(why.words)


class Pace:
    """How long one call may wait for the other side in all: a fixed time, and more for each byte that moves. Timeouts of
    single reads do not end a server that sends a byte a minute. Only time spent in the network counts."""

    def __init__(self, seconds: float = CALL_SECONDS, rate: float = LEAST_RATE) -> None:
        self._seconds, self._rate = seconds, rate
        self._spent, self._moved = 0.0, 0

    def begin(self) -> None:
        """A new call."""
        self._spent, self._moved = 0.0, 0

    def left(self, timeout: float | None) -> float:
        """What a read or write may wait. Raises TimeoutError when the call's time is over."""
        left = self._seconds + self._moved / self._rate - self._spent
        if left <= 0:
            raise TimeoutError
        return left if timeout is None else min(timeout, left)

    def spent(self, since: float, moved: int) -> None:
        self._spent += time.monotonic() - since
        self._moved += moved


class _Stream(httpcore.NetworkStream):
    """A connection within the pace, whose server is held against the lists of revoked certificates before anything is
    said to it."""

    def __init__(self, stream: httpcore.NetworkStream, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        begun, found = time.monotonic(), b""
        try:
            found = self._stream.read(max_bytes, self._pace.left(timeout))
        except TimeoutError as fault:
            raise httpcore.ReadTimeout(str(fault)) from fault
        finally:
            self._pace.spent(begun, len(found))
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            begun, piece = time.monotonic(), buffer[start : start + _PIECE]
            try:
                self._stream.write(piece, self._pace.left(timeout))
            except TimeoutError as fault:
                raise httpcore.WriteTimeout(str(fault)) from fault
            finally:
                self._pace.spent(begun, len(piece))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout)
        known, shown = runtime.current().material, tls.caller_of(secured.get_extra_info("socket"))
        fault = revocation.distrust(shown.der, known.revocations, known.trusted) if shown is not None else None
        if fault is not None:
            secured.close()
            raise _Revoked(fault)
        return _Stream(secured, self._pace)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Checked(httpcore.SyncBackend):
    """Opens TCP connections to addresses that are checked after the name is resolved, as `scu.connect` does."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def connect_tcp(self, host: str, port: int, *more: Any, **options: Any) -> httpcore.NetworkStream:
        fault: Exception = httpcore.ConnectError("the host name is not known")
        for address in names.resolved(host, port):
            try:
                return _Stream(super().connect_tcp(address, port, *more, **options), self._pace)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as raised:
                fault = raised
        raise fault


class _Through(httpcore.SyncBackend):
    """Opens them through the proxy, which resolves the names: our own client, so that both kinds of proxy and both kinds
    of peers fail in the same words."""

    def __init__(self, proxy: Proxy, pace: Pace) -> None:
        self._proxy, self._pace = proxy, pace

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
        return _Stream(compat.stream_of(sock), self._pace)


class _Transport(httpx.HTTPTransport):
    """Each call begins with the whole time."""

    def __init__(self, pace: Pace, **options: Any) -> None:
        super().__init__(**options)
        self._pace = pace

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._pace.begin()
        return super().handle_request(request)


def transport(
    host: str, use_proxy: bool = True, certificate: str = "", seconds: float = CALL_SECONDS
) -> httpx.HTTPTransport:
    """For calls to this host. Neither redirects nor the environment's proxies change where they go. certificate: the
    name of ours to show where it is asked for; seconds: that a call may wait for the other side in all. Raises PeerFault
    when the certificate cannot be used."""
    pace = Pace(seconds)
    made = _Transport(pace, trust_env=False, verify=_context(certificate))
    proxy = runtime.current().proxy_for(host) if use_proxy else None
    compat.use_backend(made, _Checked(pace) if proxy is None else _Through(proxy, pace))
    return made


def _context(certificate: str) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    here = runtime.current()
    if trusted := here.material.trusted:
        context.load_verify_locations(cadata="".join(trusted))
    identity = here.web_identity(certificate)
    try:
        if identity is not None:
            tls.use(context, identity)
    except (ssl.SSLError, ValueError):
        raise PeerFault(
            phrase("Our certificate {name} cannot be used.", name=certificate), hint="Look at Settings, Certificates."
        ) from None
    return context


def wants_certificate(answer: httpx.Response) -> bool:
    """Whether a refusal is one of a server that looks at certificates only after the handshake (as nginx does), and saw
    none of ours or not one it takes. Reads the first bytes of the answer."""
    if answer.status_code != 400 or answer.url.scheme != "https":
        return False
    start = b""
    with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
        for part in answer.iter_bytes():
            start += part
            if len(start) > 4096:
                break
    return b"SSL certificate" in start


def tls_fault(fault: BaseException) -> Distrust | None:
    """What TLS says about a call that failed; None when it was not TLS. With TLS 1.3 a server tells what it thinks of our
    certificate only after the handshake, when its answer is read."""
    seen: BaseException | None = fault
    for _ in range(10):
        if seen is None:
            return None
        if isinstance(seen, _Revoked):
            return seen.why
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLEOFError):
            return Distrust(tls.words(seen, True), tls.hint(seen))
        seen = seen.__cause__ or seen.__context__
    return None
