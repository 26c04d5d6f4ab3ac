"""Sta2 and Sta3 of PS3.8 9.2: an A-ASSOCIATE-RQ is read, judged and answered."""

from app.archive import Source
from app.dimse.handover import registry
from app.dimse.negotiation import negotiate, user_items
from app.dimse.services import Agreed, Handed, ReceiverServices, printable
from app.kit.errors import AppError, TooMany, Unavailable
from app.network import pdu
from app.network.information_models import VERIFICATION
from app.network.pdu import Associate, BadPdu, ContextResult, UserIdentity
from app.network.settings import DicomSettings
from app.network.user_items import USERNAME, USERNAME_AND_PASSCODE
from app.network.wire import Wire
from app.nodes.admission import Admission
from app.security.actor import Actor

_RQ_LIMIT = 1 << 20  # bytes: 128 contexts with all transfer syntaxes need a third of it
_TLS_HANDSHAKE = 0x16  # the first byte of a ClientHello (RFC 8446 5.1)
_PERMANENT, _TRANSIENT = 1, 2
_USER, _ACSE, _PRESENTATION = 1, 2, 3
_NO_REASON = 1
_TOKENS = {3: "Kerberos", 4: "SAML", 5: "JWT"}


class Rejected(Exception):
    """The association is not taken: A-ASSOCIATE-RJ with these three (PS3.8 Table 9-21)."""

    def __init__(self, words: str, result: int, source: int, reason: int) -> None:
        super().__init__(words)
        self.answer = (result, source, reason)


def handed_results(request: Associate, settings: DicomSettings) -> list[ContextResult]:
    """The results of an association that is handed over: the classes of the registry, Verification and storage. The
    first one in a process loads pynetdicom."""
    from app.dimse.handover.acceptor import usable

    results = negotiate(request, settings, registry.sop_classes() | {VERIFICATION})
    return usable(results, {context.id: context.abstract for context in request.contexts})


class Establishing:
    """The beginning of one association. who: the titles, for the log, and titles: calling and called, once they are
    known; user: what to log of the user identity; has_slot: it holds one of the association slots; known: as a node."""

    def __init__(self, wire: Wire, address: str, services: ReceiverServices, settings: DicomSettings) -> None:
        self.who = "no association"
        self.titles: tuple[str, str] | None = None
        self.user = ""
        self.has_slot = False
        self.known = False
        self._wire = wire
        self._address = address
        self._services = services
        self._settings = settings

    def run(self) -> Agreed:
        """Answers A-ASSOCIATE-AC, unless the association is to be handed over (`Agreed.handed`): then pynetdicom does.
        Raises Rejected (the A-ASSOCIATE-RJ is the caller's), BadPdu, PeerGone, PeerSilent."""
        request = self._read()
        self.who = f"{printable(request.calling)} to {printable(request.called)}"
        self.titles = (printable(request.calling), printable(request.called))
        admission = self._admit(request)
        self._reserve_slot()
        is_handed = registry.is_asked_for(request)
        results = handed_results(request, self._settings) if is_handed else negotiate(request, self._settings)
        answer_items = user_items(request, results)
        actor = admission.actor(request.calling, self._address)
        if request.user.identity is not None:
            actor, answer_items.confirmed = self._identify(request.user.identity, admission, actor)
        names = {c.id: c.abstract for c in request.contexts}
        agreed = Agreed(
            request.calling,
            request.called,
            self._address,
            admission,
            actor,
            self._source(request, admission, actor),
            {r.id: (names[r.id], r.transfer) for r in results if r.result == pdu.ACCEPTED},
            request.max_length or self._settings.max_pdu,
            answer_items.roles,
            answer_items.extended,
            Handed(request, results, answer_items.confirmed) if is_handed else None,
        )
        if not is_handed:
            self._wire.send(pdu.encode_accept(request, results, self._settings.max_pdu, answer_items))
        return agreed

    def _read(self) -> Associate:
        self._wire.set_deadline(self._settings.artim)
        kind, length = self._wire.header()
        if kind != pdu.ASSOCIATE_RQ:
            known = pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT
            if kind == _TLS_HANDSHAKE:
                raise BadPdu("it talks TLS on a port without it", pdu.UNRECOGNIZED_PDU)
            raise BadPdu(f"PDU type {kind} first", pdu.UNEXPECTED_PDU if known else pdu.UNRECOGNIZED_PDU)
        if not 68 <= length <= _RQ_LIMIT:
            raise BadPdu(f"an A-ASSOCIATE-RQ of {length} bytes")
        return pdu.decode_associate(self._wire.read(length))

    def _admit(self, request: Associate) -> Admission:
        if not request.version & 1:
            raise Rejected("protocol version", _PERMANENT, _ACSE, 2)
        if request.application_context != pdu.APPLICATION_CONTEXT:
            raise Rejected("application context", _PERMANENT, _USER, 2)
        if self._services.stopping.is_set():
            raise Rejected("we stop", _TRANSIENT, _PRESENTATION, 1)
        try:
            admission = self._services.admit(request, self._address)
        except Unavailable:
            raise Rejected("the database is away", _TRANSIENT, _PRESENTATION, 1) from None
        self.known = admission.node_id is not None
        if admission.reason:
            raise Rejected(admission.words, _PERMANENT, _USER, admission.reason)
        return admission

    def _reserve_slot(self) -> None:
        if not self._services.limits.reserve_slot(self._address, self.known):
            raise Rejected("all associations are taken", _TRANSIENT, _PRESENTATION, 2)
        self.has_slot = True

    def _identify(self, said: UserIdentity, admission: Admission, actor: Actor) -> tuple[Actor, bytes | None]:
        """Identifies the actor and the response to a user identity (PS3.7 D.3.3.7, PS3.15 B.4 and B.5). A name alone
        proves nothing: it is logged and does not change permissions."""
        confirmed = b"" if said.confirm else None
        if said.kind == USERNAME:
            self.user = f" (calls itself user {printable(said.primary.decode('utf-8', 'replace'), 64)})"
            return actor, confirmed
        if said.kind != USERNAME_AND_PASSCODE:
            what = _TOKENS.get(said.kind, f"type {said.kind}")
            if said.confirm:
                raise Rejected(f"user identity by {what} is not supported here", _PERMANENT, _USER, _NO_REASON)
            return actor, None
        name, password = said.primary.decode("utf-8", "replace"), said.secondary.decode("utf-8", "replace")
        try:
            user = admission.actor_of(self._services.identify(name, password, self._address))
        except Unavailable:
            raise Rejected("the database is away", _TRANSIENT, _PRESENTATION, 1) from None
        except TooMany:
            raise Rejected("too many failed sign-ins; wait a while", _TRANSIENT, _USER, _NO_REASON) from None
        except AppError as fault:
            raise Rejected(f"the user was not let in: {fault.detail}", _PERMANENT, _USER, _NO_REASON) from None
        self.user = f" (user {printable(user.name, 64)})"
        return user, confirmed

    def _source(self, request: Associate, admission: Admission, actor: Actor) -> Source:
        """Where objects of this association come from. A user's facility wins over the node's, a called title over both."""
        own = actor.facility_id if actor.kind == "user" else None
        return Source(
            kind="dimse",
            calling_ae=request.calling,
            called_ae=request.called,
            address=self._address,
            actor_name=actor.name,
            facility_id=admission.titled or own or admission.facility_id,
            node_id=admission.node_id or "",
            sees_all=actor.kind == "user" and actor.sees_all,
            elsewhere=admission.elsewhere and actor.kind != "user",  # users at a title were asked for its facility
        )
