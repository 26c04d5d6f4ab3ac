"""The only opener of outgoing DICOM connections: directly or through the proxy (NET-10), plain or by TLS (NET-7).

Every failure is a PeerFault that names the failed step and what to do."""

import socket
import ssl
import time
from dataclasses import dataclass

from app.kit.errors import PeerFault
from app.kit.phrases import Phrase, phrase
from app.network.settings import DicomSettings
from app.network.tls_wire import Distrusted, TlsWire
from app.network.wire import PeerGone, PeerSilent
from app.trust import names, runtime, tls
from app.trust.proxy import open_through


@dataclass(frozen=True, slots=True)
class Peer:
    """Where and as whom to call. The timeouts in seconds and the largest PDU in bytes are the node's own; 0: as the
    settings say. tls_check: what of its certificate must be right (name, ca or fingerprint)."""

    called: str
    calling: str
    host: str
    port: int
    name: str = ""
    connect_timeout: int = 0
    network_timeout: int = 0
    max_pdu: int = 0
    tls: bool = False
    tls_profile: str = ""
    client_certificate: str = ""
    use_proxy: bool = True
    tls_check: str = "name"
    tls_fingerprint: str = ""

    def effective_settings(self, settings: DicomSettings) -> DicomSettings:
        """The settings as they hold for this peer."""
        own = {name: getattr(self, name) for name in ("connect_timeout", "network_timeout") if getattr(self, name)}
        return settings.model_copy(update=own) if own else settings

    def __str__(self) -> str:
        return f"{self.name or self.called} ({self.host}:{self.port})"


def connect(peer: Peer, seconds: float) -> socket.socket:
    """A connection over which DICOM can be spoken, TLS already agreed on; seconds for all of it."""
    due = time.monotonic() + seconds
    here = runtime.current()
    proxy = here.proxy_for(peer.host) if peer.use_proxy else None
    sock = open_through(proxy, peer.host, peer.port, seconds) if proxy is not None else _direct(peer, seconds)
    return _secured(peer, sock, here, max(1.0, due - time.monotonic())) if peer.tls else sock


def describe_route(peer: Peer, sock: socket.socket) -> Phrase:
    """How the peer was reached, for the test of a node."""
    proxy = runtime.current().proxy_for(peer.host) if peer.use_proxy else None
    host, port, secured = peer.host, peer.port, tls.version_of(sock)
    if proxy is not None and secured:
        return phrase(
            "{host} port {port} open, through {proxy}, by {secured}",
            host=host,
            port=port,
            proxy=str(proxy),
            secured=secured,
        )
    if proxy is not None:
        return phrase("{host} port {port} open, through {proxy}", host=host, port=port, proxy=str(proxy))
    if secured:
        return phrase("{host} port {port} open, by {secured}", host=host, port=port, secured=secured)
    return phrase("{host} port {port} open", host=host, port=port)


def _direct(peer: Peer, seconds: float) -> socket.socket:
    """The address is checked after the name is resolved, so that no name leads where none may."""
    due = time.monotonic() + seconds
    try:
        found = names.resolve_addresses(peer.host, peer.port, seconds)[:4]
    except TimeoutError:
        raise PeerFault(
            phrase(
                "The name server did not return the address of {host} within {seconds:g} s.",
                host=peer.host,
                seconds=seconds,
            ),
            hint=phrase("Check the DNS, or enter an IP address."),
        ) from None
    except OSError:
        raise PeerFault(
            phrase("The host name {host} is not known.", host=peer.host), hint="Check its spelling and the DNS."
        ) from None
    fault: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(found):
        parsed = names.address(str(address[0]))
        if parsed is None or names.forbidden_address(parsed):
            raise PeerFault(phrase("{host} leads to an address that cannot be a DICOM node.", host=peer.host))
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(max(0.1, (due - time.monotonic()) / (len(found) - number)))
        try:
            sock.connect(address)
            return sock
        except OSError as raised:
            fault = raised
            sock.close()
    if isinstance(fault, TimeoutError):
        raise PeerFault(
            phrase(
                "{host} port {port} does not answer within {seconds:g} s.",
                host=peer.host,
                port=peer.port,
                seconds=seconds,
            ),
            hint="Is it switched on, and does a firewall let us through?",
        )
    if isinstance(fault, ConnectionRefusedError):
        raise PeerFault(
            phrase("{host} refuses connections on port {port}.", host=peer.host, port=peer.port),
            hint="Is DICOM running there, on this port?",
        )
    words = fault.strerror if fault and fault.strerror else phrase("no address")
    raise PeerFault(
        phrase("{host} port {port} cannot be reached: {words}.", host=peer.host, port=peer.port, words=words)
    )


def _secured(peer: Peer, sock: socket.socket, here: runtime.Ways, seconds: float) -> ssl.SSLSocket:
    """The same connection by TLS; it is closed when that fails."""
    try:
        context = here.client_context(peer.tls_profile, peer.client_certificate, peer.tls_check)
        wire = TlsWire.wrap(sock, context, peer.host.strip("[]").rstrip("."))
    except (ssl.SSLError, ValueError):
        sock.close()
        raise PeerFault(
            phrase("Our certificate for {peer} cannot be used.", peer=str(peer)),
            hint="Look at Settings, Certificates.",
        ) from None
    except OSError:
        sock.close()
        raise PeerFault(phrase("{peer} closed the connection before TLS began.", peer=str(peer))) from None
    except PeerFault:
        sock.close()
        raise
    try:
        wire.handshake(seconds)
        _check_pin(peer, wire)
        if peer.tls_check != "fingerprint":
            wire.check_lists(here.material.revocations, here.material.trusted)
    except Distrusted as fault:
        wire.close()
        raise PeerFault(
            phrase("No TLS with {peer}: {words}.", peer=str(peer), words=fault.words), hint=fault.hint
        ) from None
    except PeerSilent:
        wire.close()
        raise PeerFault(
            phrase(
                "No TLS with {peer}: it did not answer the handshake within {seconds:g} s.",
                peer=str(peer),
                seconds=round(seconds),
            ),
            hint="Does it talk TLS on this port?",
        ) from None
    except (PeerGone, PeerFault) as fault:
        wire.close()
        if isinstance(fault, PeerFault):
            raise
        raise PeerFault(phrase("{peer} closed the connection during the TLS handshake.", peer=str(peer))) from None
    return wire.socket


def _check_pin(peer: Peer, wire: TlsWire) -> None:
    if peer.tls_check != "fingerprint":
        return
    shown = wire.caller()
    if shown is None or not peer.tls_fingerprint or shown.fingerprint != peer.tls_fingerprint:
        raise PeerFault(
            phrase(
                "No TLS with {peer}: its certificate is not the one whose fingerprint is noted at the node.",
                peer=str(peer),
            ),
            hint=phrase(
                "It shows {fingerprint}. Note that one if it is right.", fingerprint=shown.fingerprint if shown else "-"
            ),
        )
