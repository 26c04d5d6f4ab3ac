"""Receives C-STORE, as an SCP and inside an outgoing C-GET (PS3.4 B.2.3, C.4.3.2, PS3.7 9.1.1).

The data set streams into an object store, which is `app.archive.Archive`, as it comes; success is answered only after
`ingest` has returned, that is after file and index are on the disk."""

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from app.dicom.uids import is_safe
from app.kit.errors import AppError, Unavailable
from app.kit.phrases import phrase
from app.network import commands, pdu
from app.network.commands import SOP_CLASS, SOP_INSTANCE
from app.network.file_meta import preamble_and_meta, sop_uids
from app.network.pdu import BadPdu
from app.network.wire import AHEAD

log = logging.getLogger(__name__)

OUT_OF_RESOURCES, CANNOT_UNDERSTAND, WRONG_CLASS = 0xA700, 0xC000, 0xB007
_AWAY = "Filmroom cannot write to its store just now"
_BUFFER = 1 << 20  # bytes: a CT image goes to the disk in one write
_HEAD = 512  # bytes before them: space for preamble and file meta information, so that it stays one
_EMPTY_LIMIT = 1000  # PDVs without a byte in a row: a peer that never ends


class IncomingObject(Protocol):
    """An object that is being received."""

    def write(self, data: memoryview, *, last: bool = False) -> None:
        """Appends. last: nothing follows. Raises OSError or AppError."""


class StoreOutcome(Protocol):
    """Result of storing an object. status: stored, duplicate, conflict or refused."""

    @property
    def status(self) -> str: ...
    @property
    def sop_class_uid(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def comment(self) -> str: ...


class ByteSource(Protocol):
    """Where the bytes of a data set come from: a Wire."""

    def read_into(self, target: memoryview, count: int, /) -> None:
        """Fills target[:count]; target has AHEAD bytes more, which may be overwritten."""


class FragmentSource(Protocol):
    """The fragments of data sets: a PdvReader. Raises what its connection raises."""

    @property
    def wire(self) -> ByteSource: ...
    def fragment(self, context_id: int, /) -> tuple[int, bool]:
        """Length of the next fragment, whose bytes the caller reads from `wire`, and whether it is the last."""
        ...


class ObjectStore(Protocol):
    """Destination of received objects. source: where an object comes from, in the store's own terms."""

    def receive(self, source: Any, /) -> Any: ...
    def ingest(self, incoming: Any, /) -> StoreOutcome: ...
    def discard(self, incoming: Any, /) -> None: ...


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """Status and Error Comment of a C-STORE-RSP; size: bytes of the data set, 0 unless it was stored."""

    status: int
    comment: str = ""
    size: int = 0


class _Sink:
    """Where a data set goes: into `incoming` behind a file meta group, or nowhere once something is wrong."""

    def __init__(
        self, incoming: IncomingObject | None, limit: int, syntax: str, sop_class: str, sop_instance: str
    ) -> None:
        self.incoming = incoming
        self.limit = limit
        self.size = 0
        self.fault: Exception | None = None
        self._meta = (sop_class, sop_instance, syntax)

    def write(self, store: memoryview, length: int, last: bool = False) -> None:
        """Takes `length` bytes from behind the head of the buffer. last: the data set ends with them."""
        first, self.size = self.size == 0, self.size + length
        if self.incoming is None or self.fault is not None or self.size > self.limit:
            return
        begin = _HEAD
        if first:  # the file follows its data set, also when the request differs
            sop_class, sop_instance, syntax = self._meta
            own_class, own_instance = sop_uids(store[_HEAD : _HEAD + length], syntax)
            meta = preamble_and_meta(own_class or sop_class, own_instance or sop_instance, syntax)
            begin -= len(meta)
            store[begin:_HEAD] = meta
        try:
            self.incoming.write(store[begin : _HEAD + length], last=last)
        except (OSError, AppError) as fault:
            self.fault = fault


class DataSetReceiver:
    """Takes the data sets of one association, one after the other, through one buffer."""

    def __init__(self, reader: FragmentSource, store: ObjectStore, source: object, limit: int) -> None:
        self._reader = reader
        self._store = store
        self._source = source
        self._limit = limit
        self._buffer = bytearray(_HEAD + _BUFFER + AHEAD)
        self._view = memoryview(self._buffer)

    def store(self, context_id: int, abstract: str, syntax: str, command: dict[int, bytes]) -> StoreResponse:
        """Reads the data set that follows the command, whatever its outcome, and returns the answer."""
        sop_class, sop_instance = commands.text(command, SOP_CLASS), commands.text(command, SOP_INSTANCE)
        if sop_class != abstract:
            self.drain(context_id)
            return StoreResponse(commands.SOP_CLASS_NOT_SUPPORTED, "SOP class is not that of the presentation context")
        if not is_safe(sop_instance):
            self.drain(context_id)
            return StoreResponse(commands.INVALID_SOP_INSTANCE, "Affected SOP Instance UID is not a valid UID")
        try:
            incoming = self._store.receive(self._source)
        except (OSError, AppError) as fault:
            log.warning("no object can be received", exc_info=fault)
            self.drain(context_id)
            return StoreResponse(OUT_OF_RESOURCES, fault.detail if isinstance(fault, AppError) else _AWAY)
        sink = _Sink(incoming, self._limit, syntax, sop_class, sop_instance)
        try:
            self._receive(context_id, sink)
        except BaseException:  # the association broke: nothing of the object stays
            self._store.discard(incoming)
            raise
        if sink.fault is None and sink.size <= self._limit:
            return self._ingest(incoming, sop_class, sop_instance, sink.size)
        self._store.discard(incoming)
        if sink.fault is not None:
            log.error("an object could not be written", exc_info=sink.fault)
            return StoreResponse(OUT_OF_RESOURCES, sink.fault.detail if isinstance(sink.fault, AppError) else _AWAY)
        return StoreResponse(OUT_OF_RESOURCES, phrase("The object is larger than {most} GiB", most=self._limit >> 30))

    def drain(self, context_id: int) -> None:
        """Reads and discards a data set."""
        self._receive(context_id, _Sink(None, 0, "", "", ""))

    def _ingest(self, incoming: IncomingObject, sop_class: str, sop_instance: str, size: int) -> StoreResponse:
        try:
            outcome = self._store.ingest(incoming)
        except Unavailable as fault:
            return StoreResponse(OUT_OF_RESOURCES, fault.detail)
        except OSError:
            log.exception("an object could not be stored")
            return StoreResponse(OUT_OF_RESOURCES, _AWAY)
        except AppError as fault:
            return StoreResponse(fault.dimse, fault.detail)
        return answer_for(outcome, sop_class, sop_instance, size)

    def _receive(self, context_id: int, sink: _Sink) -> None:
        view, wire = self._view, self._reader.wire
        filled = empty = 0
        last = False
        while not last:
            size, last = self._reader.fragment(context_id)
            empty = 0 if size else empty + 1
            if empty > _EMPTY_LIMIT:
                raise BadPdu("fragments without content, again and again", pdu.UNEXPECTED_PARAMETER)
            while size:
                if filled == _BUFFER:
                    sink.write(view, filled)
                    filled = 0
                take = min(_BUFFER - filled, size)
                wire.read_into(view[_HEAD + filled :], take)
                filled, size = filled + take, size - take
        sink.write(view, filled, last=True)


def answer_for(outcome: StoreOutcome, sop_class: str, sop_instance: str, size: int) -> StoreResponse:
    """The C-STORE response for the archive's decision (PS3.4 Table B.2-1)."""
    if outcome.status == "refused":
        return StoreResponse(CANNOT_UNDERSTAND, outcome.reason or "Refused")
    if outcome.status == "conflict":
        return StoreResponse(commands.SUCCESS, outcome.comment, size)
    if outcome.sop_class_uid != sop_class:
        return StoreResponse(WRONG_CLASS, "Stored; the data set has another SOP class than the request", size)
    if outcome.sop_instance_uid != sop_instance:
        return StoreResponse(WRONG_CLASS, "Stored; the data set has another SOP Instance UID", size)
    return StoreResponse(commands.SUCCESS, "", size)
