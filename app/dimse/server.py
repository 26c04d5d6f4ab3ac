"""The listening side of one receiver process: accepts connections, one thread each, within limits."""

import contextlib
import dataclasses
import functools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

from app.archive import Archive
from app.audit.tally import READING_MOST, READING_WINDOW, AuditTally
from app.config import Config
from app.db import Database
from app.dimse.association import AcceptedAssociation
from app.dimse.association_limits import AssociationLimits
from app.dimse.facility_ports import FacilityPorts
from app.dimse.idle_connections import IdleConnections
from app.dimse.listen_socket import ListenSocket
from app.dimse.refusals import Refusals
from app.dimse.services import ReceiverServices
from app.dimse.tls_port import TlsPort
from app.kit.errors import Forbidden, Unauthorized, Unavailable
from app.network.pdu import Associate
from app.network.settings import DicomSettings
from app.network.tls_wire import TlsWire
from app.network.wire import PeerGone, PeerSilent, Wire
from app.nodes import admission, callers
from app.nodes.admission import Admission
from app.nodes.callers import Book
from app.security.actor import Actor
from app.security.gate import Gate
from app.security.secrets import Secrets
from app.settings import load
from app.trust.runtime import Ways
from app.trust.tls import TlsCaller as Certified

log = logging.getLogger(__name__)
# connections beyond the limit of associations that may still request one (and are rejected with "local limit exceeded")
_WAITING_ROOM = 32
_AT_ONCE = 24  # open connections up to which a new one gets its thread before it has sent anything
_KEEP_SETTINGS = 2.0  # seconds


class Receiver:
    """All associations of this process. `serve` blocks until `stop`."""

    def __init__(self, config: Config, database: Database, archive: Archive) -> None:
        self._config = config
        self._database = database
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Wire] = set()
        self.limits = AssociationLimits(self.settings)
        self._idle_connections = IdleConnections(lambda: self.settings().artim, self._stopping)
        self.ways = Ways(config, database)
        self.tls = TlsPort(config, self.ways, self._start_tls, self._stopping)
        self.facilities = FacilityPorts(config, database, self.ways, self._start_at, self._stopping)
        self._book = Book(database)
        self._known: tuple[float, DicomSettings] = (float("-inf"), DicomSettings())
        self._services = ReceiverServices(
            archive,
            database,
            config.aet,
            self.settings,
            self._admit,
            self._identify,
            self.limits,
            self._stopping,
            self._book,
            config,
            AuditTally(database, READING_WINDOW, READING_MOST),
            Refusals(database),
        )
        self._gate: Gate | None = None

    @property
    def associations(self) -> int:
        return self.limits.taken

    def settings(self) -> DicomSettings:
        """The group `dicom`, at most two seconds old; the last known one while the database is away."""
        moment = time.monotonic()
        if moment - self._known[0] > _KEEP_SETTINGS:
            kept = self._known[1]
            with contextlib.suppress(Unavailable), self._database.read() as session:
                kept = load(session, DicomSettings)
            self._known = (moment, kept)
        return self._known[1]

    def _admit(
        self, request: Associate, address: str, caller: Certified | None = None, at: str | None = None
    ) -> Admission:
        """at: the facility whose port was called."""
        calling, called = request.calling, request.called
        with self._database.read() as session:
            found = admission.admit(session, self.settings(), self._config.aet, calling, called, address, caller, at)
        if found.node_id is not None and not found.reason and admission.is_news(found.node_id):
            with contextlib.suppress(Unavailable), self._database.write() as session:
                admission.mark_seen(session, found.node_id)
        if found.node_id is None or found.reason or found.clash:
            kind = callers.UNKNOWN if found.node_id is None and not found.clash else callers.CLASH
            asked = [context.abstract for context in request.contexts]
            self._book.record_call(
                kind, calling, called, address, found.facility_id or at, asked, found.words, found.clash
            )
        if found.clash:
            log.warning("association from %s: %s", address, found.clash)
        return found

    def _identify(self, name: str, password: str, address: str) -> Actor:
        """The user with this password, judged as HTTP Basic is: pauses after failures, no account with a second factor.
        Raises AppError."""
        with self._lock:
            if self._gate is None:  # few associations ask for it, and the keys are read from the disk
                self._gate = Gate(self._database, Secrets(self._config))
        found = self._gate.verify_basic(name, password, address)
        if found is None:
            raise Unauthorized("Incorrect user name or password.")
        if found.must_change_password:
            raise Forbidden("The password must be changed first.")
        return found.seen_from(address).actor

    def serve(self, listener: ListenSocket | socket.socket) -> None:
        """Accepts until `stop`, at this listener, the TLS port and those of facilities. The listener must be bound and
        listening; it is closed at the end."""
        threading.Thread(target=self.tls.serve, name="tls-listener", daemon=True).start()
        threading.Thread(target=self.facilities.serve, name="facility-listener", daemon=True).start()
        threading.Thread(target=self._book.run, name="callers", daemon=True).start()
        listener.settimeout(0.5)
        while not self._stopping.is_set():
            try:
                sock, peer = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._stopping.is_set():
                    break
                log.exception("no connection can be accepted; trying again")  # out of file descriptors
                time.sleep(0.2)
                continue
            self._admit_later(sock, functools.partial(self._start, sock, str(peer[0])))
        listener.close()

    def _is_full(self) -> bool:
        return len(self._open) >= self.settings().max_associations + _WAITING_ROOM

    def _admit_later(self, sock: socket.socket, start: Callable[[], None]) -> None:
        """A thread at once while few are open, which spares a modality a change of threads; else when it asks."""
        if len(self._open) >= _AT_ONCE:
            self._idle_connections.wait(sock, functools.partial(self._begin, sock, start))
        else:
            self._begin(sock, start)

    def _begin(self, sock: socket.socket, start: Callable[[], None]) -> None:
        if self._is_full():
            sock.close()
            return
        try:
            start()
        except RuntimeError:  # no thread can be started just now
            log.exception("a connection cannot be served")
            sock.close()

    def _start(self, sock: socket.socket, address: str, facility_id: str | None = None) -> None:
        try:
            wire = Wire(sock)
        except OSError:  # gone already
            sock.close()
            return
        self._serve(wire, address, facility_id)

    def _start_at(self, sock: socket.socket, address: str, facility_id: str, context: ssl.SSLContext | None) -> None:
        """A caller of a facility's port; context: of its TLS port."""
        if context is None:
            self._admit_later(sock, functools.partial(self._start, sock, address, facility_id))
        else:
            self._admit_later(sock, functools.partial(self._wrap, sock, address, context, facility_id))

    def _start_tls(self, sock: socket.socket, address: str, context: ssl.SSLContext) -> None:
        """A caller of the TLS port. The handshake is its own thread's work."""
        self._admit_later(sock, functools.partial(self._wrap, sock, address, context))

    def _wrap(self, sock: socket.socket, address: str, context: ssl.SSLContext, facility_id: str | None = None) -> None:
        try:
            wire = TlsWire.wrap(sock, context)
        except OSError:
            sock.close()
            return
        self._serve(wire, address, facility_id)

    def _serve(self, wire: Wire, address: str, facility_id: str | None = None) -> None:
        if not self.limits.add_connection(address):
            log.warning("a connection from %s was refused: too many of its address have asked for nothing yet", address)
            wire.close()
            return
        with self._lock:
            self._open.add(wire)
        try:
            threading.Thread(
                target=self._run, args=(wire, address, facility_id), name="association", daemon=True
            ).start()
        except RuntimeError:
            self._ended(wire, address)
            raise

    def _run(self, wire: Wire, address: str, facility_id: str | None) -> None:
        try:
            services: ReceiverServices | None = self._services
            if isinstance(wire, TlsWire):
                services = self._secured(wire, address, facility_id)
            elif facility_id is not None:
                services = dataclasses.replace(self._services, admit=functools.partial(self._admit, at=facility_id))
            if services is not None:
                AcceptedAssociation(wire, address, services).run()
        except Exception:
            log.exception("fault at the edge of an association")
        finally:
            wire.close()
            self._ended(wire, address)

    def _ended(self, wire: Wire, address: str) -> None:
        with self._lock:
            self._open.discard(wire)
        self.limits.remove_connection(address)

    def _secured(self, wire: TlsWire, address: str, facility_id: str | None) -> ReceiverServices | None:
        """The handshake has the time that asking has (ARTIM); who does not come through it leaves one line. The services
        of an association then know who its caller is by its certificate."""
        try:
            wire.handshake(self.settings().artim)
            known = self.ways.material
            wire.check_lists(known.revocations, known.trusted)
            caller = wire.caller()
        except (PeerGone, PeerSilent) as fault:
            words = getattr(fault, "words", "") or ("it left" if isinstance(fault, PeerGone) else "it said nothing")
            log.warning("DICOM TLS: no association with %s: %s", address, words)
            return None
        return dataclasses.replace(self._services, admit=functools.partial(self._admit, caller=caller, at=facility_id))

    def stop(self, seconds: float = 3.5) -> None:
        """No more connections; objects in flight may still end; what has not ended in time is aborted."""
        self._stopping.set()
        until = time.monotonic() + seconds
        with self._lock:
            for wire in self._open:
                wire.cut = min(wire.cut, until - 1.0)
        while self._open and time.monotonic() < until:
            time.sleep(0.02)
        self._book.close()
        self._book.write()
        self._services.looks.close()
        self._services.refusals.close()
        if self._gate is not None:
            self._gate.close()
