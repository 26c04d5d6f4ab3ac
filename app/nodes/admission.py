"""Admission of callers, and the facility of their objects (DESIGN part 2, NET-3, NET-8)."""

import socket
import time
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.kit.clock import now
from app.kit.errors import Forbidden
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network.settings import Callers, DicomSettings
from app.nodes import liveness, options
from app.nodes import queries as node_queries
from app.nodes.models import Node
from app.nodes.options import NodeOptions
from app.security import facilities
from app.security.actor import Actor, may_see
from app.security.settings import SecuritySettings
from app.security.verbs import Verb
from app.settings import load
from app.trust import names
from app.trust import queries as certificate_queries
from app.trust.tls import TlsCaller

CALLING_UNKNOWN, CALLED_UNKNOWN = 3, 7  # diagnostics of an A-ASSOCIATE-RJ from the service user (PS3.8 Table 9-21)

# Permissions of every admitted caller, and further ones of known callers (DESIGN part 2): be answered queries, have
# objects sent to nodes, and take them itself.
CALLER_VERBS = frozenset((Verb.NODE_ECHO, Verb.STUDY_IMPORT))
QUERY_VERBS = frozenset((Verb.STUDY_SEARCH, Verb.STUDY_SEND, Verb.STUDY_EXPORT))

_resolved: dict[str, tuple[float, frozenset[str]]] = {}


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a caller. reason 0: come in; otherwise the diagnostic of the rejection, with a text for the log.
    verbs: what the caller may do here; facility_id: whose what it sends will be, and whose studies it finds;
    sees_all: it is bound to no facility and finds all; titled: the facility whose title or port it called;
    clash: what does not fit together in it, in words: the title, the port and the node are of different facilities;
    elsewhere: a node of one facility is at the title or port of another, where it may only store."""

    reason: int = 0
    words: Phrase = NOTHING
    facility_id: str | None = None
    node_id: str | None = None
    node_name: str = ""
    verbs: frozenset[Verb] = frozenset()
    sees_all: bool = False
    titled: str | None = None
    options: NodeOptions = options.DEFAULTS
    clash: Phrase = NOTHING
    elsewhere: bool = False

    def actor(self, calling: str, address: str) -> Actor:
        """The caller as verbs take it."""
        return Actor(
            name=self.node_name or calling,
            kind="node",
            verbs=self.verbs,
            facility_id=self.facility_id,
            sees_all=self.sees_all,
            address=address,
        )

    def actor_of(self, user: Actor) -> Actor:
        """A user who proved itself over this association: its own rights, at a facility's title those studies only,
        and an echo. Raises Forbidden for the title of a facility that is not the user's."""
        user = replace(user, verbs=user.verbs | {Verb.NODE_ECHO})
        if self.titled is None:
            return user
        if not may_see(user, self.titled):
            raise Forbidden("This title belongs to another facility.")
        return replace(user, facility_id=self.titled, sees_all=False)


def admit(
    session: Session,
    settings: DicomSettings,
    own_title: str,
    calling: str,
    called: str,
    address: str,
    caller: TlsCaller | None = None,
    at: str | None = None,
) -> Admission:
    """Decides about one caller. A known node is known by its title and its address together: titles are not secret.
    caller: who it is by the certificate that it showed on the TLS port; at: the facility whose port it came to, where
    any title will do. The called title wins over the port, both over the node's own facility."""
    titled = node_queries.facility_titled(session, called)
    addressed = titled is not None or at is not None or called == own_title or called in settings.also_called
    same_title = node_queries.nodes_titled(session, calling)
    known = next((n for n in same_title if is_at(n.host, address)), None)
    if settings.check_called_title and not addressed:
        words = phrase("the called AE title does not belong to this station")
        own = (known.id, known.name) if known is not None else (None, "")
        return Admission(CALLED_UNKNOWN, words, None, *own)
    clash = _between(session, titled, at) if titled and at and titled != at else NOTHING
    place = titled or at
    if known is not None:
        return _known(session, known, caller, place, clash)
    verbs = CALLER_VERBS if _among(settings.unknown_callers, address) else frozenset()
    if _among(settings.query_callers, address):
        verbs |= QUERY_VERBS | {Verb.NODE_ECHO}
    if verbs:
        whose = place or facilities.home_id(session)
        return Admission(facility_id=whose, verbs=verbs, sees_all=not _isolated(session), titled=place, clash=clash)
    if same_title:
        return Admission(CALLING_UNKNOWN, phrase("a node of this title is known, but at another address"))
    return Admission(CALLING_UNKNOWN, phrase("the caller is not a known node"))


def _known(session: Session, node: Node, caller: TlsCaller | None, place: str | None, clash: Phrase) -> Admission:
    """A node may use the services of its options. At another facility's title or port it may store there, and search
    nowhere: a title alone must not give access to another facility's studies."""
    set_to = options.node_options(node)
    elsewhere = place is not None and node.facility_id is not None and place != node.facility_id
    if elsewhere and place is not None and node.facility_id is not None:
        clash = phrase(
            "The node belongs to {own} but called {other}: its objects belong to {other}, and it must not query there.",
            own=node_queries.facility_name(session, node.facility_id),
            other=node_queries.facility_name(session, place),
        )
    verbs = frozenset({Verb.NODE_ECHO})
    verbs |= {Verb.STUDY_IMPORT} if set_to.accept else set()
    verbs |= QUERY_VERBS if set_to.may_query and not elsewhere else set()
    refused = NOTHING if node.enabled else phrase("the node is switched off")
    refused = refused or (NOTHING if len(verbs) > 1 else phrase("the node is set neither to send nor to search here"))
    if refused := refused or _lacks(session, node, caller):
        return Admission(CALLING_UNKNOWN, refused, None, node.id, node.name)
    bound = place or node.facility_id
    return Admission(
        facility_id=bound or facilities.home_id(session),
        node_id=node.id,
        node_name=node.name,
        verbs=verbs,
        sees_all=bound is None or not _isolated(session),
        titled=place,
        options=set_to,
        clash=clash,
        elsewhere=elsewhere,
    )


def _between(session: Session, titled: str, at: str) -> Phrase:
    return phrase(
        "It called the AE title of {titled} at the port of {at}: its objects belong to {titled}.",
        titled=node_queries.facility_name(session, titled),
        at=node_queries.facility_name(session, at),
    )


def _isolated(session: Session) -> bool:
    return load(session, SecuritySettings).facility_isolation


def _among(callers: Callers, address: str) -> bool:
    return callers == "all" or (callers == "private" and names.is_near(address))


def _lacks(session: Session, node: Node, caller: TlsCaller | None) -> Phrase:
    """The missing TLS requirement of a calling node (its option tls_caller); empty: nothing."""
    set_to = options.node_options(node)
    if not set_to.tls_caller:
        return NOTHING
    if caller is None:
        return phrase("it must call by TLS with a certificate, and showed none")
    if set_to.tls_caller == "fingerprint" and caller.fingerprint != set_to.tls_fingerprint:
        return phrase("its certificate is not the one noted at the node")
    if set_to.tls_caller == "authority":
        signer = certificate_queries.trusted(session, set_to.tls_authority)
        if signer is None or not caller.is_signed_by(signer.chain):
            return phrase("its certificate is not of the authority noted at the node")
    return NOTHING


def is_at(host: str, address: str) -> bool:
    """Whether the host has this address. Names are looked up at most once a minute."""
    wanted = names.address(address)
    given = names.address(host)
    if given is not None or wanted is None:
        return given == wanted
    moment = time.monotonic()
    kept = _resolved.get(host)
    if kept is None or moment - kept[0] > 60:
        try:
            found = frozenset(str(names.address(str(i[4][0]))) for i in socket.getaddrinfo(host, None))
        except OSError:
            found = frozenset()
        kept = _resolved[host] = (moment, found)
    return str(wanted) in kept[1]


_told: dict[str, float] = {}


def is_news(node_id: str) -> bool:
    """Whether this process has not noted the node's call within the last minute; spares the write lock."""
    moment = time.monotonic()
    if moment - _told.get(node_id, float("-inf")) < 60:
        return False
    _told[node_id] = moment
    return True


def mark_seen(session: Session, node_id: str) -> None:
    """Notes that a node called: it lives, so what waits for it is tried."""
    node = session.get(Node, node_id)
    if node is not None:
        node.last_seen_at = now()
        liveness.record_proof(session, node, "called")
