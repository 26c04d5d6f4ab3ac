"""Which names this server answers to. A page of another site can make a browser send requests to this server under a
name whose address it changes to this server's (DNS rebinding); so a Host that is neither this machine's nor set is
refused."""

import ipaddress
import socket
import time
from functools import lru_cache

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from app import settings
from app.http.services import Services
from app.http.settings import WebSettings
from app.kit.addresses import is_own
from app.kit.errors import AppError, Unavailable
from app.kit.phrases import phrase

_FRESH = 2.0  # seconds for which the setting is believed without asking the database
ANY = "*"


class Misdirected(AppError):
    """The request was meant for another server (RFC 9110 15.5.20)."""

    code, status = "misdirected", 421


@lru_cache(maxsize=1)
def own_names() -> frozenset[str]:
    """Host names of this machine."""
    name = socket.gethostname().lower().rstrip(".")
    short = name.partition(".")[0]
    return frozenset({"localhost", name, short, f"{short}.local"} - {""})


def host_of(header: str) -> str:
    """The name or address of a Host header: without port, brackets and final dot, in small letters."""
    host = header.partition("]")[0].lstrip("[") if header.startswith("[") else header.partition(":")[0]
    return host.lower().rstrip(".")


def is_this_machine(host: str, server: str) -> bool:
    """Whether a name or address is this machine's by itself. server: the address the connection came to."""
    if host == server:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host in own_names()
    return is_own(host)


class Hosts:
    """The names of one installation: this machine's, those of `host_names` in the configuration, and the setting's."""

    def __init__(self, services: Services) -> None:
        self._services = services
        boot = services.config.host_names.split(",")
        self._boot = frozenset(name.strip().lower() for name in [*boot, services.config.host] if name.strip())
        self._set: frozenset[str] = frozenset()
        self._asked = -_FRESH

    async def check(self, connection: HTTPConnection) -> None:
        """Raises Misdirected for a Host that is not this server's. The header's form has been checked."""
        host = host_of(connection.headers.get("host", ""))
        server = connection.scope.get("server") or ("", None)
        if (
            is_this_machine(host, str(server[0]))
            or not self._boot.isdisjoint((host, ANY))
            or host in await self._names()
        ):
            return
        raise Misdirected(
            phrase("This server is not configured for the host name {host}.", host=host),
            hint="An administrator can add it under Settings, Security, Web server, or with --host-names.",
        )

    async def _names(self) -> frozenset[str]:
        moment = time.monotonic()
        if moment - self._asked >= _FRESH:
            self._asked = moment
            self._set = await run_in_threadpool(self._read)
        return self._set

    def _read(self) -> frozenset[str]:
        try:
            with self._services.database.read() as session:
                return frozenset(name.lower() for name in settings.load(session, WebSettings).host_names)
        except Unavailable:
            return self._set
