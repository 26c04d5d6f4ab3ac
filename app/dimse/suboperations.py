"""Common parts of C-MOVE and C-GET (PS3.4 C.4.2, C.4.3): the objects that are meant, counts, progress, the end."""

import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.archive.models import Instance
from app.archive.retrieving import BadKeys, select_instances
from app.dicom import identifier
from app.dicom.identifier import BadIdentifier
from app.dicom.uids import EXPLICIT_LE
from app.dimse.exchange import Exchange, FinalResponse, OperationRefused, Request
from app.forward import store_lane
from app.kit.errors import Unavailable
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network import commands
from app.network.information_models import MODELS, Service
from app.nodes import disclosure

CANNOT_CALCULATE, CANNOT_PERFORM, COMPLETE_WITH_FAILURES = 0xA701, 0xA702, 0xB000  # PS3.4 Table C.4-2, C.4-3
EACH, EVERY = 25, 1.0  # objects, seconds: a pending response is sent after either, never sooner
_FAILED_LIST = 0x0058  # Failed SOP Instance UID List (0008,0058)
_SHORT = 65534  # bytes of a value whose length field has 16 bits


def select_objects(exchange: Exchange, request: Request, service: Service) -> list[Instance]:
    """The objects that the request means and its caller may have. Raises Refused."""
    model = MODELS.get(request.abstract)
    if model is None or model.service != service:
        raise OperationRefused(commands.SOP_CLASS_NOT_SUPPORTED, "This presentation context is for something else")
    if not request.has_data:
        raise OperationRefused(commands.DOES_NOT_MATCH, "An identifier is needed")
    keys = _keys(exchange.identifier(request.context_id), request.syntax)
    relational = exchange.agreed.flag(request.abstract, 0)
    try:
        with exchange.services.database.read() as session:
            return select_instances(session, exchange.actor, model.levels, keys, relational=relational)
    except BadKeys as fault:
        raise OperationRefused(fault.dimse, fault.detail, (fault.tag,)) from None
    except Unavailable as fault:
        raise OperationRefused(CANNOT_CALCULATE, fault.detail) from None


def record_disclosure(exchange: Exchange, instances: Sequence[Instance], where: str, how: str) -> None:
    """Notes in the trail what is about to leave. Raises Refused where that cannot be written: then nothing may leave."""
    try:
        disclosure.record_start(exchange.services.database, exchange.actor, instances, where, how)
    except Unavailable as fault:
        raise OperationRefused(CANNOT_PERFORM, fault.detail) from None


def _keys(data: bytes, syntax: str) -> Mapping[str, str]:
    try:
        return identifier.decode(data, explicit=syntax == EXPLICIT_LE)
    except BadIdentifier as fault:
        raise OperationRefused(
            commands.UNABLE_TO_PROCESS, phrase("The identifier cannot be read: {fault}", fault=fault)
        ) from None


@dataclass(slots=True)
class SuboperationTally:
    """Sub-operations of one request. failed_uids: what has not arrived; words: the last reason."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warned: int = 0
    bytes: int = 0
    failed_uids: list[str] = field(default_factory=list)
    words: Phrase = NOTHING
    conversions: store_lane.Conversions = field(default_factory=store_lane.Conversions)

    def add_outcome(self, instance: Instance, outcome: store_lane.DeliveryOutcome) -> None:
        """One sub-operation has ended."""
        self.remaining -= 1
        if outcome.state == store_lane.SENT:
            self.completed += 1
        elif outcome.state == store_lane.WARNED:
            self.warned += 1
        else:
            self.failed += 1
            self.failed_uids.append(instance.sop_instance_uid)
            self.words = outcome.comment or phrase("The node answered status {status}", status=_hex(outcome.status))
            return
        self.bytes += instance.bytes
        self.conversions.add(instance, outcome)

    @property
    def done(self) -> int:
        return self.completed + self.failed + self.warned

    def counts(self, remaining: bool) -> dict[int, int]:
        """The numbers of sub-operations, as a response carries them; remaining: it is not the last of all."""
        found = {commands.COMPLETED: self.completed, commands.FAILED: self.failed, commands.WARNING: self.warned}
        if remaining:
            found[commands.REMAINING] = self.remaining
        return {element: min(count, 0xFFFF) for element, count in found.items()}

    def answer(self, request: Request, *, cancelled: bool = False) -> FinalResponse:
        """The last response. Nothing to do is success; nothing done is a failure; what lies between is a warning."""
        if cancelled:
            status = commands.CANCELLED
        elif self.failed and not self.completed and not self.warned:
            status = CANNOT_PERFORM
        else:
            status = COMPLETE_WITH_FAILURES if self.failed or self.warned else commands.SUCCESS
        return FinalResponse(
            status,
            "" if status == commands.SUCCESS else self.words,
            size=self.bytes,
            elements=self.counts(remaining=cancelled),
            identifier=None if status == commands.SUCCESS else failed_list(self.failed_uids, request.syntax),
            objects=self.completed + self.warned,
            warned=self.warned,
            failed=self.failed,
            remark=self.conversions.summary,
        )


def failed_list(uids: list[str], syntax: str) -> bytes:
    """The data set of a response that is neither pending nor success (PS3.4 C.4.2.1.4.2). Explicit VR has space for
    some thousand UIDs; those that find none are left out; the counts include all."""
    value = "\\".join(uids).encode()
    explicit = syntax == EXPLICIT_LE
    if explicit and len(value) > _SHORT:
        value = value[: value.rindex(b"\\", 0, _SHORT)]
    value += b"\0" * (len(value) % 2)
    if explicit:
        return struct.pack("<HH2sH", 0x0008, _FAILED_LIST, b"UI", len(value)) + value
    return struct.pack("<HHI", 0x0008, _FAILED_LIST, len(value)) + value


class Progress:
    """Pending responses of one request: after each second and after each 25 objects, not oftener."""

    def __init__(self, exchange: Exchange, request: Request, tally: SuboperationTally) -> None:
        self._exchange, self._request, self._tally = exchange, request, tally
        self._told, self._at = 0, time.monotonic()

    def send_if_due(self) -> None:
        """Sends one if it is due. Also without news: a caller must not take a slow destination for a dead archive."""
        moment, tally = time.monotonic(), self._tally
        if tally.remaining and (tally.done - self._told >= EACH or moment - self._at >= EVERY):
            self._told, self._at = tally.done, moment
            self._exchange.respond(
                self._request, FinalResponse(commands.PENDING, elements=tally.counts(remaining=True))
            )


def _hex(status: int | None) -> str:
    return "none" if status is None else f"{status:04X}"
