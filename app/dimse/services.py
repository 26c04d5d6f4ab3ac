"""Objects of the process that an association needs, and the result of its negotiation."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from app.archive import Archive, Source
from app.audit.tally import AuditTally
from app.config import Config
from app.db import Database
from app.dimse.association_limits import AssociationLimits
from app.dimse.refusals import Refusals
from app.network.pdu import Associate, ContextResult, RoleSelection
from app.network.settings import DicomSettings
from app.nodes.admission import Admission
from app.nodes.callers import Book
from app.security.actor import Actor


@dataclass(slots=True)
class ReceiverServices:
    """Objects of the process that an association needs."""

    archive: Archive
    database: Database
    own_title: str
    settings: Callable[[], DicomSettings]
    admit: Callable[[Associate, str], Admission]  # what is asked, address
    identify: Callable[[str, str, str], Actor]  # name, password, address; raises AppError
    limits: AssociationLimits
    stopping: threading.Event
    book: Book
    config: Config
    looks: AuditTally  # the lists that callers were answered
    refusals: Refusals


@dataclass(frozen=True, slots=True)
class Handed:
    """The pending answer of an association that pynetdicom serves: its request, the result of each proposed context,
    and the response to a user identity (None: none was asked for)."""

    request: Associate
    results: list[ContextResult]
    confirmed: bytes | None


@dataclass(slots=True)
class Agreed:
    """An established association. contexts: id -> abstract and transfer syntax, of those accepted;
    peer_limit: the largest PDU the peer takes; roles: what the requestor may be by SOP class; extended: the application
    information of the answer by SOP class; handed: set where pynetdicom answers and serves the association
    (app.dimse.handover)."""

    calling: str
    called: str
    address: str
    admission: Admission
    actor: Actor
    source: Source
    contexts: dict[int, tuple[str, str]]
    peer_limit: int
    roles: dict[str, RoleSelection] = field(default_factory=dict)
    extended: dict[str, bytes] = field(default_factory=dict)
    handed: Handed | None = None

    def flag(self, abstract: str, position: int) -> bool:
        """Whether a bit of the extended negotiation of a SOP class was agreed (PS3.4 C.5)."""
        return self.extended.get(abstract, b"")[position : position + 1] == b"\1"

    def encoding_contexts(self) -> dict[int, tuple[str, str]]:
        """The contexts on which this side may send objects: those whose requestor takes the SCP role (C-GET, PS3.4
        C.5.3)."""
        return {n: pair for n, pair in self.contexts.items() if (r := self.roles.get(pair[0])) is not None and r.scp}


def printable(title: str, most: int = 16) -> str:
    """A title that a peer gave, for the log and for other programs."""
    return "".join(c if c.isalnum() or c in " _-." else "?" for c in title[:most]) or "(empty)"
