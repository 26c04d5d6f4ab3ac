"""Who may open an association with us, and whose facility what arrives belongs to (DESIGN part 2, NET-3, NET-8)."""

import socket
import time
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.clock import now
from app.peers import names, options, queries
from app.peers.models import Node
from app.peers.settings import DicomSettings
from app.security import facilities
from app.security.actor import Actor
from app.security.verbs import Verb

CALLING_UNKNOWN, CALLED_UNKNOWN = 3, 7  # diagnostics of an A-ASSOCIATE-RJ from the service user (PS3.8 Table 9-21)

# What a caller that came in may do: be answered, and store. Queries and retrievals will ask for a known node.
CALLER_VERBS = frozenset((Verb.NODE_ECHO, Verb.STUDY_IMPORT))

_resolved: dict[str, tuple[float, frozenset[str]]] = {}


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a caller. reason 0: come in; otherwise the diagnostic of our rejection, with words for the log.
    verbs: what the caller may do here; facility_id: whose what it sends will be."""

    reason: int = 0
    words: str = ""
    facility_id: str | None = None
    node_id: str | None = None
    node_name: str = ""
    verbs: frozenset[Verb] = frozenset()

    def actor(self, calling: str, address: str) -> Actor:
        """The caller as verbs take it."""
        name = self.node_name or calling
        return Actor(name=name, kind="node", verbs=self.verbs, facility_id=self.facility_id, address=address)


def admit(
    session: Session, settings: DicomSettings, own_title: str, calling: str, called: str, address: str
) -> Admission:
    """Decides about one caller. A known node is known by its title and its address together: titles are no secrets."""
    titled_facility = queries.facility_titled(session, called)
    ours = titled_facility is not None or called == own_title or called in settings.also_called
    home = facilities.home_id(session)
    if settings.check_called_title and not ours:
        return Admission(CALLED_UNKNOWN, "it called a title that is not ours")
    titled = queries.nodes_titled(session, calling)
    known = next((n for n in titled if _is_at(n.host, address)), None)
    if known is not None:
        if not known.enabled or not options.of(known).accept:
            return Admission(
                CALLING_UNKNOWN, "the node is switched off, or set not to send", None, known.id, known.name
            )
        return Admission(0, "", titled_facility or known.facility_id or home, known.id, known.name, CALLER_VERBS)
    near = names.is_near(address)
    if settings.unknown_callers == "all" or (settings.unknown_callers == "private" and near):
        return Admission(facility_id=titled_facility or home, verbs=CALLER_VERBS)
    if titled:
        return Admission(CALLING_UNKNOWN, "a node of this title is known, but at another address")
    return Admission(CALLING_UNKNOWN, "it is no known node")


def _is_at(host: str, address: str) -> bool:
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


def seen(session: Session, node_id: str) -> None:
    """Notes that a node called."""
    node = session.get(Node, node_id)
    if node is not None:
        node.last_seen_at = now()
