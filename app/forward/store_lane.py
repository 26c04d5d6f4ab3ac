"""The sending lane: stored objects to one peer by C-STORE, used by transfers, the C-MOVE SCP and self-tests.

`deliver` for one list of objects; `Lane` where the association is to stay open for the next one."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from app.archive import Archive, content
from app.archive.models import Instance
from app.dicom.registry import name
from app.kit.errors import CannotConvert, NotFound, PeerFault
from app.kit.phrases import NOTHING, Phrase, of_fault, phrase, verbatim
from app.network.contexts import LIMIT, Proposal, Way, context_order, propose, why_not
from app.network.scu import Association, Peer, Response
from app.network.settings import DicomSettings

SENT, WARNED, REFUSED, BUSY = "sent", "warned", "failed", "busy"


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """Outcome of one object. state: SENT, WARNED (taken, with a warning), REFUSED (this object will not be taken,
    others may) or BUSY (out of resources: later it may). status: the peer's DIMSE status, None where it was not asked.
    comment: the peer's text, or a message; transfer_syntax: in which it left."""

    state: str
    status: int | None = None
    comment: Phrase = NOTHING
    transfer_syntax: str = ""


class Enough(Exception):
    """Raised by on_answer or check: the rest is not wanted; the association is released, not aborted."""


OnAnswer = Callable[[Instance, DeliveryOutcome], None]
Check = Callable[[], None]


def interpret_status(answer: Response) -> str:
    """The outcome of an instance by its C-STORE status (PS3.4 Table B.2-1, PS3.7 Annex C)."""
    if answer.status == 0x0000:
        return SENT
    if answer.status & 0xF000 == 0xB000 or answer.status in (0x0001, 0x0107, 0x0116):
        return WARNED
    return BUSY if answer.status & 0xFF00 == 0xA700 else REFUSED


@contextmanager
def open_encoded(archive: Archive, instance: Instance, syntax: str) -> Iterator[tuple[BinaryIO, int, bool]]:
    """The object's data set in this transfer syntax: a file at its first byte, its length in bytes, and
    whether the kernel may send it straight from the file. Raises CannotConvert; NotFound when the file is gone."""
    if syntax != instance.transfer_syntax_uid:
        from app.forward import transcode  # here: numpy and the codecs are loaded when something must be converted

        with transcode.data_set(archive, instance, syntax) as (converted, length):
            yield converted, length, True
        return
    with content.open_object(archive, instance) as file:
        plain = type(file).__module__ == "_io"
        if plain and os.fstat(file.fileno()).st_size < instance.bytes:
            raise NotFound("Its file is shorter than the index says.", hint="Run the integrity check.")
        file.seek(instance.data_set_offset)
        yield file, instance.bytes - instance.data_set_offset, plain


class BandwidthLimit:
    """Limits the rate in KiB per second (0: no limit), as an even stream. Waits inside `pace`."""

    def __init__(self, kib: float = 0) -> None:
        self.kib = kib
        self._free_at = 0.0

    def pace(self, count: int) -> None:
        """Waits until `count` more bytes may leave; unused time is not saved up."""
        if self.kib <= 0:
            return
        moment = time.monotonic()
        start = max(self._free_at, moment)
        self._free_at = start + count / (self.kib * 1024)
        if start > moment:
            time.sleep(start - moment)


class Lane:
    """One association to one peer, opened when there is something to send and kept for what comes next.

    Contexts are chosen for what is to be sent and what went before; something else opens a new association."""

    def __init__(
        self,
        archive: Archive,
        peer: Peer,
        settings: DicomSettings,
        *,
        preferred: str = "stored",
        originator: tuple[str, int] | None = None,
        throttle: BandwidthLimit | None = None,
    ) -> None:
        self.peer = peer
        self._archive, self._settings = archive, settings
        self._preferred, self._originator = preferred, originator
        self._throttle = throttle
        self._association: Association | None = None
        self._proposal = Proposal()
        self._known: set[tuple[str, str]] = set()
        self.in_flight: list[Instance] = []  # what was on its way when a PeerFault was raised
        self._sent_before = 0

    @property
    def sent(self) -> int:
        """Bytes that have left over all its associations; any thread may look."""
        association = self._association
        return self._sent_before + (association.sent if association is not None else 0)

    def _release(self) -> Association | None:
        association, self._association = self._association, None
        self._sent_before += association.sent if association is not None else 0
        return association

    def prepare(self, instances: Sequence[Instance]) -> None:
        """Announces the objects to come: the next association proposes for it too, as far as its contexts reach."""
        self._known |= {(i.sop_class_uid, i.transfer_syntax_uid) for i in instances}

    def __enter__(self) -> "Lane":
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if kind is None or issubclass(kind, Enough):
            self.close()
        else:
            self.abort()

    def close(self) -> None:
        """Releases the association, if one is open."""
        association = self._release()
        if association is not None:
            association.__exit__(None, None, None)

    def abort(self) -> None:
        association = self._release()
        if association is not None:
            association.abort()

    def send(self, instances: Sequence[Instance], on_answer: OnAnswer, check: Check | None = None) -> None:
        """Sends them in their order as far as contexts allow; on_answer hears of each exactly once. check runs before
        each object and may raise what it likes. Raises PeerFault when the peer cannot be reached or breaks off: objects
        without an outcome have not arrived, except the one in flight, whose state is unknown."""
        waiting = list(instances)
        while waiting:
            self._ready({(i.sop_class_uid, i.transfer_syntax_uid) for i in waiting})
            covers = self._proposal.covers
            later = [i for i in waiting if not covers(i.sop_class_uid, i.transfer_syntax_uid)]
            for instance in waiting:
                if covers(instance.sop_class_uid, instance.transfer_syntax_uid):
                    if check is not None:
                        check()
                    on_answer(instance, self._send_one(instance))
            waiting = later

    def _ready(self, pairs: set[tuple[str, str]]) -> None:
        """Has an association that takes at least one of the pairs: the open one, or a new one."""
        self.in_flight = []
        if self._association is not None and self._association.peer_closed():
            self.abort()
        if self._association is not None and any(self._proposal.covers(*pair) for pair in pairs):
            return
        self.close()
        both = propose(pairs | self._known, self._preferred)
        proposals = both if len(both) == 1 else propose(pairs, self._preferred)
        if len(both) > 1:
            self._known = set()
        self._known |= {p for p in pairs if proposals[0].covers(*p)}
        self._proposal = proposals[0]
        assert len(self._proposal.contexts) <= LIMIT
        association = Association(self.peer, self._proposal.contexts, self._settings)
        association.__enter__()
        self._association = association

    def _send_one(self, instance: Instance) -> DeliveryOutcome:
        association = self._association
        assert association is not None
        stored, fault = instance.transfer_syntax_uid, NOTHING
        pixels = instance.pixel_offset is not None
        for way in context_order(self._proposal, association.accepted, instance.sop_class_uid, stored, pixels):
            try:
                with open_encoded(self._archive, instance, way.transfer_syntax) as (data, length, plain):
                    return self._store(association, way, instance, data, length, plain)
            except CannotConvert as words:
                fault = of_fault(words)
            except NotFound as gone:
                return DeliveryOutcome(REFUSED, None, gone.detail)
        return DeliveryOutcome(
            REFUSED, None, fault or why_not(self._proposal, association.refused, instance.sop_class_uid, stored)
        )

    def _store(
        self, association: Association, way: Way, instance: Instance, data: Any, length: int, plain: bool
    ) -> DeliveryOutcome:
        self.in_flight = [instance]
        answer = association.store(
            way.context_id,
            instance.sop_class_uid,
            instance.sop_instance_uid,
            data,
            length,
            plain,
            originator=self._originator,
            pace=self._throttle.pace if self._throttle is not None and self._throttle.kib > 0 else None,
        )
        self.in_flight = []
        return DeliveryOutcome(interpret_status(answer), answer.status, verbatim(answer.comment), way.transfer_syntax)


def deliver(
    archive: Archive,
    peer: Peer,
    settings: DicomSettings,
    instances: Sequence[Instance],
    on_answer: OnAnswer,
    *,
    check: Check | None = None,
    originator: tuple[str, int] | None = None,
    preferred: str = "stored",
    bandwidth_kib: float = 0,
    max_pdu: int = 0,
) -> None:
    """Sends stored objects to a peer by C-STORE over as many associations, one after another, as their contexts need.

    on_answer(instance, outcome) hears of each object once, as soon as the peer has answered; it or check (called
    before each object) may raise Enough to leave off in peace. preferred: the node option `transfer_syntax`;
    bandwidth_kib: KiB a second, 0 without limit; max_pdu: the longest PDU to send, 0 for the peer's limit;
    originator: title and message id of the C-MOVE that asked. Raises PeerFault: the state of the object in flight is
    unknown, and objects without an outcome were not sent."""
    if max_pdu:
        peer = replace(peer, max_pdu=max_pdu)
    throttle = BandwidthLimit(bandwidth_kib)
    lane = Lane(archive, peer, settings, preferred=preferred, originator=originator, throttle=throttle)
    with suppress(Enough), lane:
        lane.send(instances, on_answer, check)


@dataclass(slots=True)
class Conversions:
    """Objects that were transcoded, for the transfer log."""

    count: int = 0
    _how: tuple[str, str] = ("", "")

    def add(self, instance: Instance, outcome: DeliveryOutcome) -> None:
        if outcome.state in (SENT, WARNED) and describe_conversion(instance, outcome):
            self.count += 1
            self._how = instance.transfer_syntax_uid, outcome.transfer_syntax

    @property
    def summary(self) -> Phrase:
        """ "" where nothing was converted."""
        if not self.count:
            return NOTHING
        stored, sent = map(name, self._how)
        return phrase("{count:n} converted, from {stored} to {sent}.", count=self.count, stored=stored, sent=sent)


def describe_conversion(instance: Instance, outcome: DeliveryOutcome) -> Phrase:
    """Words for an object that left in another syntax than it is stored in; "" where it did not."""
    if not outcome.transfer_syntax or outcome.transfer_syntax == instance.transfer_syntax_uid:
        return NOTHING
    return phrase(
        "Sent as {sent}; stored as {stored}.",
        sent=name(outcome.transfer_syntax),
        stored=name(instance.transfer_syntax_uid),
    )


__all__ = [
    "BUSY",
    "REFUSED",
    "SENT",
    "WARNED",
    "BandwidthLimit",
    "Conversions",
    "DeliveryOutcome",
    "Enough",
    "Lane",
    "PeerFault",
    "deliver",
    "describe_conversion",
    "interpret_status",
    "open_encoded",
]
