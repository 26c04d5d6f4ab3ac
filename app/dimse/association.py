"""One association as its acceptor: the state machine of PS3.8 9.2, written as the straight line that it is for us.

Sta2 (wait for A-ASSOCIATE-RQ) -> Sta3 (decide) -> Sta6 (data) -> Sta8 (release) -> Sta13 (wait for the peer to
close). Whatever does not fit the state is answered by A-ABORT; no other association notices."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from app.archive import Archive, Source
from app.dimse.negotiation import answer
from app.kit.errors import Unavailable
from app.kit.logging import new_correlation_id
from app.peers import commands, pdu
from app.peers.admission import Admission
from app.peers.commands import BadCommand
from app.peers.pdu import Associate, BadPdu
from app.peers.receiving import CANNOT_UNDERSTAND, Answer, DataSetReceiver
from app.peers.settings import DicomSettings
from app.peers.wire import AHEAD, PdvReader, PeerGone, PeerSilent, Wire
from app.security.actor import can
from app.security.verbs import Verb

log = logging.getLogger(__name__)
_RQ_LIMIT = 1 << 20  # bytes: 128 contexts with all transfer syntaxes need a third of it
_PERMANENT, _TRANSIENT = 1, 2
_USER, _ACSE, _PRESENTATION = 1, 2, 3


class Rejected(Exception):
    """The association is not taken: A-ASSOCIATE-RJ with these three."""

    def __init__(self, words: str, result: int, source: int, reason: int) -> None:
        super().__init__(words)
        self.answer = (result, source, reason)


@dataclass(slots=True)
class Services:
    """What an association needs of its process."""

    archive: Archive
    settings: Callable[[], DicomSettings]
    admit: Callable[[str, str, str], Admission]  # calling title, called title, address
    take_place: Callable[[], bool]  # a place among the allowed associations; False when all are taken
    leave_place: Callable[[], None]
    stopping: threading.Event


@dataclass(slots=True)
class Counts:
    """What an association did, for its one log line."""

    echoes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    bytes: int = 0
    started: float = field(default_factory=time.monotonic)


class Association:
    """Serves one connection in the calling thread until it is closed."""

    def __init__(self, wire: Wire, address: str, services: Services) -> None:
        self.wire = wire
        self._address = address
        self._services = services
        self._settings = services.settings()
        self._contexts: dict[int, tuple[str, str]] = {}  # id -> abstract and transfer syntax
        self._peer_limit = 0
        self._reader = PdvReader(
            wire, self._settings.max_pdu, self._settings.idle_timeout, self._settings.network_timeout
        )
        self._command = memoryview(bytearray(commands.LIMIT + AHEAD))
        self._counts = Counts()
        self._who = "no association"
        self._has_place = False

    def run(self) -> None:
        """Never raises what a peer can cause."""
        new_correlation_id()
        ending = "closed"
        try:
            self._establish()
            ending = self._serve()
        except Rejected as refused:
            ending = f"rejected: {refused}"
            self._last_words(pdu.encode_reject(*refused.answer))
        except (BadPdu, BadCommand) as fault:
            ending = f"aborted by us: {fault}"
            self.wire.abort(pdu.BY_PROVIDER, getattr(fault, "reason", pdu.INVALID_PARAMETER))
        except PeerSilent:
            ending = "aborted by us: " + ("we stop" if self._services.stopping.is_set() else "silent for too long")
            self.wire.abort(pdu.BY_USER, 0)
        except PeerGone:
            ending = "the connection was dropped"
        except Exception:  # a fault of ours ends this association only
            log.exception("fault in an association")
            ending = "aborted by us: internal fault"
            self.wire.abort(pdu.BY_PROVIDER, pdu.UNSPECIFIED)
        finally:
            self.wire.close()
            if self._has_place:
                self._services.leave_place()
            self._tell(ending)

    # Sta2 and Sta3

    def _establish(self) -> None:
        self.wire.expect(self._settings.artim)
        kind, length = self.wire.header()
        if kind != pdu.ASSOCIATE_RQ:
            known = pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT
            raise BadPdu(f"PDU type {kind} first", pdu.UNEXPECTED_PDU if known else pdu.UNRECOGNIZED_PDU)
        if not 68 <= length <= _RQ_LIMIT:
            raise BadPdu(f"an A-ASSOCIATE-RQ of {length} bytes")
        request = pdu.decode_associate(self.wire.read(length))
        admission = self._check(request)
        results = answer(request, self._settings)
        names = {c.id: c.abstract for c in request.contexts}
        self._contexts = {r.id: (names[r.id], r.transfer) for r in results if r.result == pdu.ACCEPTED}
        self._peer_limit = request.max_length or self._settings.max_pdu
        self._actor = admission.actor(request.calling, self._address)
        source = Source(
            kind="dimse",
            calling_ae=request.calling,
            called_ae=request.called,
            address=self._address,
            actor_name=self._actor.name,
            facility_id=admission.facility_id,
        )
        limit = self._settings.max_object_gib << 30
        self._receiver = DataSetReceiver(self._reader, self._services.archive, source, limit)
        self.wire.send(pdu.encode_accept(request, results, self._settings.max_pdu))

    def _check(self, request: Associate) -> Admission:
        self._who = f"{_printable(request.calling)} to {_printable(request.called)}"
        if not request.version & 1:
            raise Rejected("protocol version", _PERMANENT, _ACSE, 2)
        if request.application_context != pdu.APPLICATION_CONTEXT:
            raise Rejected("application context", _PERMANENT, _USER, 2)
        if self._services.stopping.is_set():
            raise Rejected("we stop", _TRANSIENT, _PRESENTATION, 1)
        try:
            admission = self._services.admit(request.calling, request.called, self._address)
        except Unavailable:
            raise Rejected("the database is away", _TRANSIENT, _PRESENTATION, 1) from None
        if admission.reason:
            raise Rejected(admission.words, _PERMANENT, _USER, admission.reason)
        if not self._services.take_place():
            raise Rejected("all associations are taken", _TRANSIENT, _PRESENTATION, 2)
        self._has_place = True
        return admission

    # Sta6

    def _serve(self) -> str:
        while True:
            if self._services.stopping.is_set():
                raise PeerSilent
            kind, context_id, control, size = self._reader.next()
            if kind == pdu.P_DATA:
                self._message(context_id, control, size)
            elif kind == pdu.RELEASE_RQ and size == 4:
                self.wire.read(4)
                self._last_words(pdu.RELEASE_RP_BYTES)
                return "released"
            elif kind == pdu.ABORT and size == 4:
                return "aborted by the peer"
            else:
                known = pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT
                raise BadPdu(f"PDU type {kind}", pdu.UNEXPECTED_PDU if known else pdu.UNRECOGNIZED_PDU)

    def _message(self, context_id: int, control: int, size: int) -> None:
        command = commands.decode(self._command_set(context_id, control, size))
        if context_id not in self._contexts:
            raise BadPdu("a message on a context that was not accepted", pdu.UNEXPECTED_PARAMETER)
        kind = commands.number(command, commands.COMMAND_FIELD, -1)
        has_data = commands.number(command, commands.DATA_SET_TYPE, commands.NO_DATA_SET) != commands.NO_DATA_SET
        operation = OPERATIONS.get(kind)
        if operation is not None and can(self._actor, operation.verb):
            self._respond(context_id, kind, command, operation.serve(self, context_id, command, has_data))
            return
        if has_data:
            self._receiver.drain(context_id)
        if operation is not None:
            self._respond(context_id, kind, command, Answer(commands.NOT_AUTHORIZED, "Not allowed for this caller"))
        elif kind != commands.C_CANCEL_RQ:  # nothing of ours runs that could be cancelled (PS3.7 9.3.2.3)
            if kind < 0 or kind & 0x8000:
                raise BadPdu("a message that is no request", pdu.UNEXPECTED_PARAMETER)
            self._respond(context_id, kind, command, Answer(commands.UNRECOGNIZED_OPERATION, "Not offered here"))

    def echo(self, context_id: int, command: dict[int, bytes], has_data: bool) -> Answer:
        """C-ECHO (PS3.7 9.3.5)."""
        if has_data:
            self._receiver.drain(context_id)
        self._counts.echoes += 1
        return Answer(commands.SUCCESS)

    def store(self, context_id: int, command: dict[int, bytes], has_data: bool) -> Answer:
        """C-STORE (PS3.7 9.3.1)."""
        if not has_data:
            return Answer(CANNOT_UNDERSTAND, "A C-STORE needs a data set")
        abstract, syntax = self._contexts[context_id]
        done = self._receiver.store(context_id, abstract, syntax, command)
        self._counts.statuses[done.status] += 1
        self._counts.bytes += done.size
        return done

    def _command_set(self, context_id: int, control: int, size: int) -> memoryview:
        """The whole command set, whose first fragment's header has been read."""
        filled = fragments = 0
        while True:
            if not control & 1:
                raise BadPdu("a data set without a command", pdu.UNEXPECTED_PARAMETER)
            fragments += 1
            if filled + size > commands.LIMIT or fragments > 4096:
                raise BadPdu("a command set that does not end", pdu.UNEXPECTED_PARAMETER)
            self.wire.read_into(self._command[filled:], size)
            filled += size
            if control & 2:
                return self._command[:filled]
            kind, found, control, size = self._reader.next()
            if kind != pdu.P_DATA or found != context_id:
                raise BadPdu("a command set is interrupted", pdu.UNEXPECTED_PDU)

    def _respond(self, context_id: int, kind: int, command: dict[int, bytes], done: Answer) -> None:
        elements: dict[int, int | str] = {
            commands.COMMAND_FIELD: kind | 0x8000,
            commands.RESPONDED_TO: commands.number(command, commands.MESSAGE_ID),
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: done.status,
        }
        for element in (commands.SOP_CLASS, commands.SOP_INSTANCE):
            if value := commands.text(command, element)[:64]:
                elements[element] = value
        if done.comment:
            elements[commands.ERROR_COMMENT] = commands.comment(done.comment)
        self.wire.expect(self._settings.network_timeout)
        self.wire.send(self._fragmented(context_id, commands.encode(elements)))

    def _fragmented(self, context_id: int, command: bytes) -> bytes:
        room = max(self._peer_limit - 6, 2) & ~1
        parts = [command[i : i + room] for i in range(0, len(command), room)]
        return b"".join(pdu.p_data(context_id, 3 if part is parts[-1] else 1, part) for part in parts)

    # Sta8 and Sta13

    def _last_words(self, data: bytes) -> None:
        try:
            self.wire.expect(self._settings.artim)
            self.wire.send(data)
        except (PeerGone, PeerSilent):
            return
        self.wire.close_after_peer(min(2.0, self._settings.artim))

    def _tell(self, ending: str) -> None:
        """One line for each association; titles and counts, no UIDs, nothing of a patient."""
        counts = self._counts
        done = ", ".join(f"{n} with {s:04X}" for s, n in sorted(counts.statuses.items())) or "none"
        log.info(
            "association %s from %s: %s; stored %s, %d bytes, echoes %d, %.2f s",
            self._who,
            self._address,
            ending,
            done,
            counts.bytes,
            counts.echoes,
            time.monotonic() - counts.started,
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """A DIMSE request that we serve, and the permission it asks for (SEC-9)."""

    verb: Verb
    serve: Callable[[Association, int, dict[int, bytes], bool], Answer]


OPERATIONS: dict[int, Operation] = {
    commands.C_ECHO_RQ: Operation(Verb.NODE_ECHO, Association.echo),
    commands.C_STORE_RQ: Operation(Verb.STUDY_IMPORT, Association.store),
}


def _printable(title: str) -> str:
    return "".join(c if c.isalnum() or c in " _-." else "?" for c in title[:16]) or "(empty)"
