"""One association as its acceptor: the state machine of PS3.8 9.2, written as the straight line that it is for us.

Sta2 (wait for A-ASSOCIATE-RQ) -> Sta3 (decide) -> Sta6 (data) -> Sta8 (release) -> Sta13 (wait for the peer to
close). Whatever does not fit the state is answered by A-ABORT; no other association notices."""

import logging
import time

from app.audit.tally import AuditedAction
from app.dimse.establish import Establishing, Rejected
from app.dimse.exchange import Exchange, FinalResponse, OperationRefused, Request
from app.dimse.operations import OPERATIONS, ServedOperation
from app.dimse.pace import Pace
from app.dimse.record import Deeds
from app.dimse.refusals import Refusal
from app.dimse.services import Agreed, ReceiverServices
from app.kit.errors import AppError
from app.kit.logging import new_correlation_id
from app.kit.phrases import as_phrase
from app.network import commands, pdu
from app.network.commands import BadCommand
from app.network.pdu import BadPdu
from app.network.wire import Aborted, PdvReader, PeerGone, PeerSilent, Wire
from app.nodes.admission import QUERY_VERBS
from app.security.actor import can

log = logging.getLogger(__name__)


class AcceptedAssociation:
    """Serves one connection in the calling thread until it is closed."""

    def __init__(self, wire: Wire, address: str, services: ReceiverServices) -> None:
        self.wire = wire
        self._address = address
        self._services = services
        self._settings = services.settings()
        self._beginning = Establishing(wire, address, services, self._settings)
        self._agreed: Agreed | None = None
        self._deeds = Deeds()
        self._pace = Pace()

    def run(self) -> None:
        """Never raises what a peer can cause."""
        new_correlation_id()
        ending = "closed"
        try:
            self._agreed = self._beginning.run()
            if self._agreed.handed is not None:
                ending = self._run_handed_over(self._agreed)
            else:
                ending = self._serve(self._open(self._agreed))
        except Rejected as refused:
            ending = f"rejected: {refused}"
            self._last_words(pdu.encode_reject(*refused.answer))
        except (BadPdu, BadCommand) as fault:
            ending = f"aborted by us: {fault}"
            self.wire.abort(pdu.BY_PROVIDER, getattr(fault, "reason", pdu.INVALID_PARAMETER))
        except PeerSilent:
            ending = "aborted by us: " + ("we stop" if self._services.stopping.is_set() else "silent for too long")
            self.wire.abort(pdu.BY_USER, 0)
        except Aborted:
            ending = "aborted by the peer"
        except PeerGone:
            ending = "the connection was dropped"
        except Exception:  # an internal error ends this association only
            log.exception("fault in an association")
            ending = "aborted by us: internal fault"
            self.wire.abort(pdu.BY_PROVIDER, pdu.UNSPECIFIED)
        finally:
            self.wire.close()
            if self._beginning.has_slot:
                self._services.limits.release_slot(self._address, self._beginning.known)
            self._log_summary(ending)

    def _open(self, agreed: Agreed) -> Exchange:
        settings = self._settings
        silence = settings.silence_limit(self._beginning.known)
        reader = PdvReader(self.wire, settings.max_pdu, silence, settings.network_timeout)
        exchange = Exchange(self.wire, reader, agreed, self._services, settings)
        self._deeds = exchange.deeds
        return exchange

    def _run_handed_over(self, agreed: Agreed) -> str:
        """pynetdicom is loaded by the first association that needs it."""
        from app.dimse.handover import acceptor

        return acceptor.serve(self.wire, agreed, self._services, self._settings, self._deeds)

    # Sta6

    def _serve(self, exchange: Exchange) -> str:
        while True:
            if self._services.stopping.is_set():
                raise PeerSilent
            exchange.run_deferred()
            kind, context_id, control, size = exchange.reader.read_pdv()
            if kind == pdu.P_DATA:
                self._message(exchange, exchange.read_message(context_id, control, size))
            elif kind == pdu.RELEASE_RQ and size == 4:
                self.wire.read(4)
                self._last_words(pdu.RELEASE_RP_BYTES)
                return "released"
            elif kind == pdu.ABORT and size == 4:
                return "aborted by the peer"
            else:
                known = pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT
                raise BadPdu(f"PDU type {kind}", pdu.UNEXPECTED_PDU if known else pdu.UNRECOGNIZED_PDU)

    def _message(self, exchange: Exchange, request: Request) -> None:
        operation = OPERATIONS.get(request.kind)
        if operation is not None:
            begun = time.monotonic()
            answer = self._answer(exchange, operation, request)
            exchange.discard_data_set()
            exchange.respond(request, answer)
            ended = time.monotonic()
            seconds = ended - begun
            if request.kind == commands.C_STORE_RQ:
                self._pace.record_object(begun, ended)
            else:
                self._pace.interrupt()
            deed = exchange.deeds.add(operation.kind, answer.status, seconds, as_phrase(answer.comment), answer.size)
            deed.objects += answer.objects
            deed.warned += answer.warned
            deed.failed += answer.failed
            deed.words = deed.words or as_phrase(answer.remark)
            return
        exchange.discard_data_set()
        if request.kind == commands.C_CANCEL_RQ:  # the request it was meant for has ended (PS3.7 9.3.2.3)
            return
        if request.kind & 0x8000 and exchange.deliver_response(request):
            return
        if request.kind < 0 or request.kind & 0x8000:
            raise BadPdu("a message that is no request", pdu.UNEXPECTED_PARAMETER)
        exchange.respond(request, FinalResponse(commands.UNRECOGNIZED_OPERATION, "Not offered here"))

    def _answer(self, exchange: Exchange, operation: ServedOperation, request: Request) -> FinalResponse:
        if not can(exchange.actor, operation.verb):
            unknown = operation.verb in QUERY_VERBS and exchange.agreed.admission.node_id is None
            if operation.verb in QUERY_VERBS:
                self._trace_denial(exchange, operation)
            words = "Only for known nodes: make this title one" if unknown else "Not allowed for this caller"
            return FinalResponse(commands.NOT_AUTHORIZED, words)
        exchange.begin_request(request)
        try:
            return operation.serve(exchange, request)
        except OperationRefused as refused:
            return refused.answer
        except AppError as fault:
            return FinalResponse(fault.dimse, fault.detail)

    def _trace_denial(self, exchange: Exchange, operation: ServedOperation) -> None:
        """One entry in the audit trail for the refused questions of one kind from one caller (a stranger: one address)
        within some minutes."""
        actor = exchange.actor
        exchange.services.looks.count(
            AuditedAction(
                actor.name,
                str(operation.verb),
                "denied",
                thing="list",
                thing_id=f"C-{operation.kind.upper()}",
                facility_id=actor.facility_id,
                address=actor.address,
                actor_kind=actor.kind,
                who_id=actor.user_id or exchange.agreed.admission.node_id or "",
            )
        )

    # Sta8 and Sta13

    def _last_words(self, data: bytes) -> None:
        try:
            self.wire.set_deadline(self._settings.artim)
            self.wire.send(data)
        except (PeerGone, PeerSilent):
            return
        self.wire.close_after_peer(min(2.0, self._settings.artim), end=False)

    def _log_summary(self, ending: str) -> None:
        """One log line for each association; titles and counts, no UIDs, nothing of a patient. And the transfer log."""
        beginning, agreed, database, deeds = self._beginning, self._agreed, self._services.database, self._deeds
        seconds = time.monotonic() - deeds.begun
        who = f"{beginning.who} from {self._address}{beginning.user}"
        log.info("association %s: %s; %s, %.2f s", who, ending, deeds, seconds)
        if agreed is not None:
            deeds.log_operations(database, agreed)
            self._record_pace(agreed)
        elif beginning.titles is not None:
            refusal = Refusal(*beginning.titles, self._address, as_phrase(ending))
            self._services.refusals.record(refusal, known=beginning.known)

    def _record_pace(self, agreed: Agreed) -> None:
        """A sender that waits for delayed acknowledgements is reported at its node."""
        if self._pace.is_known:
            node_id = agreed.admission.node_id
            self._services.book.record_gap(node_id, agreed.calling, agreed.address, self._pace.delay_ms)
