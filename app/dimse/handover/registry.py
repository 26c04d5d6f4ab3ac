"""Which SOP classes are served through pynetdicom, and by which functions. Does not import pynetdicom: every association
is compared with it.

A package that serves one registers it once, at import, in each process that receives:

    registry.register(Service("mpps", frozenset({"1.2.840.10008.3.1.2.3.3"}), Verb.STUDY_IMPORT,
                              {"EVT_N_CREATE": create, "EVT_N_SET": change}))

`create(call, event)` gets the caller (Call) and pynetdicom's Event and returns a Reply."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.archive import Archive
from app.config import Config
from app.db import Database
from app.dimse.services import Agreed, ReceiverServices
from app.network.pdu import Associate
from app.network.settings import DicomSettings
from app.security.actor import Actor
from app.security.verbs import Verb

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.events import Event

# pynetdicom's names of the requests that a service can answer. Only a C-FIND is answered more than once.
REQUESTS = frozenset(
    f"EVT_{name}"
    for name in ("C_FIND", "N_ACTION", "N_CREATE", "N_DELETE", "N_EVENT_REPORT", "N_GET", "N_SET")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request. status: DIMSE status (PS3.7 Annex C); data_set: what goes with it (attribute list, action
    reply, identifier); comment: Error Comment. objects, failed, size (bytes): for the transfer log."""

    status: int = 0
    data_set: "Dataset | None" = None
    comment: str = ""
    objects: int = 0
    failed: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """The caller, and the objects needed to serve it. One for each association."""

    agreed: Agreed
    services: ReceiverServices

    @property
    def actor(self) -> Actor:
        """With the caller's permissions; bound to its facility."""
        return self.agreed.actor

    @property
    def facility_id(self) -> str | None:
        """Facility of the objects that the caller sends."""
        return self.agreed.source.facility_id

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def archive(self) -> Archive:
        return self.services.archive

    @property
    def config(self) -> Config:
        return self.services.config

    def settings(self) -> DicomSettings:
        return self.services.settings()


# Answers one request. Raises AppError: answered with its DIMSE status and words.
Answer = Callable[[Call, "Event"], Reply]
# Answers a C-FIND: one Reply for each match (status 0xFF00); a Reply with another status ends it.
AnswerMany = Callable[[Call, "Event"], Iterator[Reply]]


@dataclass(frozen=True, slots=True)
class Service:
    """kind: its name in the transfer log; sop_classes: the abstract syntaxes of its presentation contexts; verb: the
    permission that each request needs; handlers: name of pynetdicom's event -> function, of `REQUESTS`; also: the SOP
    classes that requests on these contexts may name besides the context's own (Meta SOP Classes, UPS)."""

    kind: str
    sop_classes: frozenset[str]
    verb: Verb
    handlers: Mapping[str, Answer | AnswerMany]
    also: frozenset[str] = field(default=frozenset())


_services: dict[str, Service] = {}


def register(service: Service) -> None:
    """Offers its SOP classes from the next association on. Raises ValueError for a class that another one serves and
    for an event that no service can answer."""
    if unknown := set(service.handlers) - REQUESTS:
        raise ValueError(f"not an event of a request: {sorted(unknown)}")
    if taken := [uid for uid in service.sop_classes if uid in _services]:
        raise ValueError(f"already registered: {sorted(taken)}")
    _services.update(dict.fromkeys(service.sop_classes, service))


def unregister(service: Service) -> None:
    """Its SOP classes are refused from the next association on."""
    for uid in service.sop_classes:
        if _services.get(uid) is service:
            del _services[uid]


def sop_classes() -> frozenset[str]:
    """All that are served through pynetdicom."""
    return frozenset(_services)


def service_of(abstract: str) -> Service | None:
    """The service behind the abstract syntax of a presentation context."""
    return _services.get(abstract)


def is_asked_for(request: Associate) -> bool:
    """Whether an association asks for one of these classes, and so is handed over."""
    return bool(_services) and _is_single_class(context.abstract for context in request.contexts)


def _is_single_class(abstracts: Iterable[str]) -> bool:
    return any(abstract in _services for abstract in abstracts)
