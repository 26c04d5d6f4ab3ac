"""The ways in and out of this installation: certificates, trusted authorities and the proxy, as a process uses them.

Read from the database at most every two seconds, so that changes hold for the next connection without a restart. Code
that opens outgoing connections calls `current()`; each role sets the installation once, at its start (`configure`)."""

import contextlib
import ipaddress
import logging
import ssl
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache

from sqlalchemy.orm import Session

from app.config import Config
from app.db import Database
from app.kit import folders
from app.kit.errors import PeerFault, Unavailable
from app.kit.phrases import phrase
from app.security.secrets import Secrets
from app.settings import load
from app.trust import names, queries, tls
from app.trust.proxy import Proxy
from app.trust.revocation import Revocation
from app.trust.settings import ProxySettings, TlsSettings
from app.trust.tls import TlsIdentity

log = logging.getLogger(__name__)
PROXY_PASSWORD = "proxy.password"  # noqa: S105 the name of the row
_KEEP = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Material:
    """Stored certificates and lists. identities: name -> an own certificate with its encrypted key; active: the name of
    the one that callers are shown; trusted: PEM of all that is trusted; revocations: lists of revoked certificates with
    who signed them."""

    tls: TlsSettings = field(default_factory=TlsSettings)
    identities: dict[str, tuple[str, str]] = field(default_factory=dict)
    active: str = ""
    trusted: tuple[str, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    proxy: ProxySettings = field(default_factory=ProxySettings)
    proxy_password: str = ""


def read(session: Session) -> Material:
    """Secrets stay sealed."""
    own: dict[str, tuple[str, str]] = {}
    trusted: dict[str, str] = {}
    lists: list[tuple[str, str]] = []  # and the fingerprint of who signed it
    active = ""
    for row in queries.all_certificates(session):
        if row.kind == "own":
            own[row.name] = (row.chain, row.sealed_key or "")
            active = row.name if row.active else active
        elif row.kind == "crl":
            lists += [(row.chain, signer) for signer in row.names[:1]]
        else:
            trusted[row.fingerprint] = row.chain
    sealed = queries.secret(session, PROXY_PASSWORD)
    return Material(
        load(session, TlsSettings),
        own,
        active,
        tuple(trusted.values()),
        tuple((one, trusted[signer]) for one, signer in lists if signer in trusted),
        load(session, ProxySettings),
        sealed.sealed if sealed else "",
    )


class Ways:
    """Of one installation, for the threads of one process."""

    def __init__(self, config: Config | None = None, database: Database | None = None) -> None:
        self._config, self._database = config, database
        self._lock = threading.Lock()
        self._known: tuple[float, Material] = (float("-inf"), Material())
        self._secrets: Secrets | None = None

    @property
    def material(self) -> Material:
        """At most two seconds old; the last known one while the database is away."""
        with self._lock:
            moment = time.monotonic()
            if self._database is not None and moment - self._known[0] > _KEEP:
                kept = self._known[1]
                with contextlib.suppress(Unavailable), self._database.read() as session:
                    kept = read(session)
                self._known = (moment, kept)
            return self._known[1]

    def invalidate(self) -> None:
        """The next look reads anew."""
        with self._lock:
            self._known = (float("-inf"), self._known[1])

    def _unseal(self, sealed: str) -> str:
        assert self._config is not None
        with self._lock:
            self._secrets = self._secrets or Secrets(self._config)
        return self._secrets.unseal(sealed)

    def _identity(self, material: Material, name: str) -> TlsIdentity | None:
        found = material.identities.get(name)
        return None if found is None else TlsIdentity(found[0], self._unseal(found[1]))

    def server_context(self, everywhere: bool = False) -> ssl.SSLContext | None:
        """Server context of the TLS port; None while TLS is switched off or has no certificate. everywhere: for the
        port of a facility, which has its own switch. Raises ssl.SSLError or ValueError when the certificate cannot be
        used."""
        known = self.material
        if not (known.tls.enabled or everywhere) or known.active not in known.identities:
            return None
        chain, sealed = known.identities[known.active]
        return self._server(known.tls.profile, chain, sealed, known.trusted, known.tls.client_certificates)

    @lru_cache(maxsize=2)  # noqa: B019 few instances, one a process
    def _server(self, profile: str, chain: str, sealed: str, trusted: tuple[str, ...], clients: str) -> ssl.SSLContext:
        return tls.server_context(profile, TlsIdentity(chain, self._unseal(sealed)), trusted, clients)

    def web_identity(self, certificate: str) -> TlsIdentity | None:
        """Client certificate for DICOMweb servers that request one: the one of this name; empty: none. Raises
        PeerFault."""
        if not certificate:
            return None
        found = self._identity(self.material, certificate)
        if found is None:
            raise PeerFault(
                phrase("Own certificate {name} not found.", name=certificate),
                hint="Choose another one at the node.",
            )
        return found

    def client_context(self, profile: str, certificate: str, check: str) -> ssl.SSLContext:
        """For calling out. certificate: the name of the own certificate to present, empty for the active one; check as
        in tls. Raises PeerFault."""
        known = self.material
        name = certificate or known.active
        if certificate and certificate not in known.identities:
            raise PeerFault(
                phrase("Own certificate {name} not found.", name=certificate),
                hint="Choose another one at the node.",
            )
        chain, sealed = known.identities.get(name, ("", ""))
        return self._client(profile or known.tls.profile, chain, sealed, known.trusted, check)

    @lru_cache(maxsize=32)  # noqa: B019 few instances, one a process
    def _client(self, profile: str, chain: str, sealed: str, trusted: tuple[str, ...], check: str) -> ssl.SSLContext:
        identity = TlsIdentity(chain, self._unseal(sealed)) if chain else None
        return tls.client_context(profile, identity, trusted, check)

    def proxy_for(self, host: str) -> Proxy | None:
        """The proxy that a call to the host goes through; None: it goes directly."""
        known = self.material
        if not known.proxy.url or is_excepted(host, known.proxy.exceptions):
            return None
        password = self._unseal(known.proxy_password) if known.proxy_password else ""
        return Proxy.of(known.proxy.url, known.proxy.username, password)


def is_excepted(host: str, exceptions: list[str]) -> bool:
    """Whether the host is called without the proxy: named, in a named domain (.example or *.example), or, as an address,
    in a network. Names are not resolved for it: with a proxy only the proxy may know them."""
    plain = host.strip("[]").rstrip(".").lower()
    found = names.address(plain)
    for one in exceptions:
        if found is not None and names.is_network(one):
            network = ipaddress.ip_network(one, strict=False)
            if found.version == network.version and found in network:
                return True
        bare = one.lower().removeprefix("*")
        if plain == bare.removeprefix(".") or (bare.startswith(".") and plain.endswith(bare)):
            return True
    return False


_current = Ways()


def configure(config: Config, database: Database) -> None:
    """From now on this process calls out as this installation."""
    global _current
    _current = Ways(config, database)
    folders.protect([config.data, config.store, config.logs], config.key_file)


def current() -> Ways:
    return _current
