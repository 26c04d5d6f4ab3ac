"""How DICOMweb calls reach a server: to addresses that are checked after the name is resolved, or through the proxy
(NET-10); by TLS with the system's authorities and those that are trusted here."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
from httpcore._backends.sync import SyncStream

from app.peers import names, ways
from app.peers.proxy import Proxy, open_through

_SECONDS = 30.0  # where the caller names no time to connect


class _Checked(httpcore.SyncBackend):
    """Opens TCP connections to addresses that are checked after the name is resolved, as `scu.connect` does."""

    def connect_tcp(self, host: str, port: int, *more: Any, **options: Any) -> httpcore.NetworkStream:
        fault: Exception = httpcore.ConnectError("the host name is not known")
        for address in names.resolved(host, port):
            try:
                return super().connect_tcp(address, port, *more, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as raised:
                fault = raised
        raise fault


class _Through(httpcore.SyncBackend):
    """Opens them through the proxy, which resolves the names: our own client, so that both kinds of proxy and both kinds
    of peers fail in the same words."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

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
        return SyncStream(sock)


def transport(host: str, use_proxy: bool = True) -> httpx.HTTPTransport:
    """For calls to this host. Neither redirects nor the environment's proxies change where they go."""
    made = httpx.HTTPTransport(trust_env=False, verify=_trust())
    proxy = ways.current().proxy_for(host) if use_proxy else None
    made._pool._network_backend = _Checked() if proxy is None else _Through(proxy)
    return made


def _trust() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if trusted := ways.current().material.trusted:
        context.load_verify_locations(cadata="".join(trusted))
    return context
