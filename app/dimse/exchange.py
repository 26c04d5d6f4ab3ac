"""The DIMSE messages of an established association (PS3.7 6.3, 9, 10): commands and data sets in and out.

What an operation is given. It reads its data set once (`identifier`, or its own way from `reader`), may send pending
answers in batches (`pending`), looks whether it was cancelled, may send requests of its own (`request`) and returns
the last Answer, which the association sends."""

import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.dimse.record import Deeds
from app.dimse.services import Agreed, ReceiverServices
from app.kit.phrases import phrase
from app.network import commands, pdu
from app.network.pdu import BadPdu
from app.network.receiving import DataSetReceiver
from app.network.settings import DicomSettings
from app.network.wire import AHEAD, Aborted, PdvReader, Wire

IDENTIFIER_LIMIT = 1 << 20  # bytes: a query that lists 10,000 UIDs has 650,000
BATCH = 1 << 16  # bytes of pending answers that are sent at once
_EMPTY_LIMIT = 1000  # PDVs without a byte in a row: a peer that never ends
_KEPT_RESPONSES = 64

Elements = Mapping[int, int | str | bytes]


@dataclass(slots=True)
class Request:
    """A message that asks us for something. kind: its Command Field; abstract and syntax: of its context."""

    context_id: int
    kind: int
    command: dict[int, bytes]
    has_data: bool
    abstract: str
    syntax: str

    @property
    def message_id(self) -> int:
        return commands.number(self.command, commands.MESSAGE_ID)


@dataclass(frozen=True, slots=True)
class FinalResponse:
    """The last response of an operation. comment: Error Comment; offending: tags for Offending Element; elements: more
    of the command set (counts of sub-operations, event type); identifier: an encoded data set that goes with it.
    objects, warned, failed, size: what the operation did, for the transfer log (size: bytes of data sets); remark: text
    for that log."""

    status: int
    comment: str = ""
    size: int = 0
    offending: tuple[int, ...] = ()
    elements: Elements | None = None
    identifier: bytes | None = None
    objects: int = 0
    warned: int = 0
    failed: int = 0
    remark: str = ""


class OperationRefused(Exception):
    """An operation ends with this answer."""

    def __init__(self, status: int, comment: str, offending: tuple[int, ...] = ()) -> None:
        super().__init__(comment)
        self.answer = FinalResponse(status, comment, offending=offending)


class Exchange:
    """One association's messages; used by its thread alone."""

    def __init__(
        self, wire: Wire, reader: PdvReader, agreed: Agreed, services: ReceiverServices, settings: DicomSettings
    ) -> None:
        self.wire = wire
        self.reader = reader
        self.agreed = agreed
        self.services = services
        self.settings = settings
        self.actor = agreed.actor
        self.deeds = Deeds()
        self.store_lane: DataSetReceiver | None = None  # one buffer for all objects of the association
        self._buffer = memoryview(bytearray(commands.LIMIT + AHEAD))
        self._unread = 0  # context of a data set that has not been read yet
        self._running = -1  # message id of the request that is being served
        self._cancelled = False
        self._responses: dict[int, tuple[dict[int, bytes], int]] = {}
        self._expected: dict[int, Callable[[dict[int, bytes]], None]] = {}
        self._put_off: list[tuple[float, Callable[[], None]]] = []
        self._next_id = 0

    # in

    def read_message(self, context_id: int, control: int, size: int) -> Request:
        """The message that begins with this PDV (its header has been read). Raises BadPdu, BadCommand."""
        command = commands.decode(self._command_set(context_id, control, size))
        if context_id not in self.agreed.contexts:
            raise BadPdu("a message on a context that was not accepted", pdu.UNEXPECTED_PARAMETER)
        has_data = commands.number(command, commands.DATA_SET_TYPE, commands.NO_DATA_SET) != commands.NO_DATA_SET
        kind = commands.number(command, commands.COMMAND_FIELD, -1)
        abstract, syntax = self.agreed.contexts[context_id]
        self._unread = context_id if has_data else 0
        return Request(context_id, kind, command, has_data, abstract, syntax)

    def begin_request(self, request: Request) -> None:
        """From now on this request is served: a C-CANCEL of its message id is meant for it."""
        self._running, self._cancelled = request.message_id, False

    def _command_set(self, context_id: int, control: int, size: int) -> memoryview:
        filled = fragments = 0
        while True:
            if not control & 1:
                raise BadPdu("a data set without a command", pdu.UNEXPECTED_PARAMETER)
            fragments += 1
            if filled + size > commands.LIMIT or fragments > 4096:
                raise BadPdu("a command set that does not end", pdu.UNEXPECTED_PARAMETER)
            self.wire.read_into(self._buffer[filled:], size)
            filled += size
            if control & 2:
                return self._buffer[:filled]
            kind, found, control, size = self.reader.read_pdv()
            if kind != pdu.P_DATA or found != context_id:
                raise BadPdu("a command set is interrupted", pdu.UNEXPECTED_PDU)

    def identifier(self, context_id: int, limit: int = IDENTIFIER_LIMIT) -> bytes:
        """The whole data set of the request, encoded. Raises Refused when it is longer than `limit` (it is read away)."""
        parts: list[bytes] = []
        total = empty = 0
        last = False
        while not last:
            size, last = self.reader.fragment(context_id)
            total += size
            empty = 0 if size else empty + 1
            if empty > _EMPTY_LIMIT:
                raise BadPdu("fragments without content, again and again", pdu.UNEXPECTED_PARAMETER)
            if total <= limit:
                parts.append(self.wire.read(size))
            else:
                parts.clear()
                self._skip(size)
        self._unread = 0
        if total > limit:
            raise OperationRefused(
                commands.OUT_OF_RESOURCES, phrase("The identifier is longer than {limit} bytes", limit=limit)
            )
        return b"".join(parts)

    def finish_data_set(self) -> None:
        """For an operation that reads its data set its own way."""
        self._unread = 0

    def discard_data_set(self) -> None:
        """Reads and discards an unread data set."""
        if not self._unread:
            return
        empty, last = 0, False
        while not last:
            size, last = self.reader.fragment(self._unread)
            empty = 0 if size else empty + 1
            if empty > _EMPTY_LIMIT:
                raise BadPdu("fragments without content, again and again", pdu.UNEXPECTED_PARAMETER)
            self._skip(size)
        self._unread = 0

    def _skip(self, size: int) -> None:
        while size:
            step = min(size, commands.LIMIT)
            self.wire.read_into(self._buffer, step)
            size -= step

    def cancelled(self, message_id: int) -> bool:
        """Whether a C-CANCEL-RQ for this request has come; does not wait for one. Raises Aborted, BadPdu."""
        while not self._cancelled and self.reader.wait_for_pdv():
            self._interruption()
        return self._cancelled and message_id == self._running

    def _interruption(self) -> None:
        """Reads one message that comes while a request is served: a C-CANCEL, or a response to a sub-operation or event
        report."""
        kind, context_id, control, size = self.reader.read_pdv(self.settings.network_timeout)
        if kind == pdu.ABORT:
            raise Aborted
        if kind != pdu.P_DATA:
            raise BadPdu(f"PDU type {kind} while a request is served", pdu.UNEXPECTED_PDU)
        message = self.read_message(context_id, control, size)
        if message.kind == commands.C_CANCEL_RQ:
            self.discard_data_set()
            self._cancelled |= commands.number(message.command, commands.RESPONDED_TO, -1) == self._running
        elif message.kind >= 0x8000:
            if len(self._responses) >= _KEPT_RESPONSES:
                raise BadPdu("responses to nothing that was asked", pdu.UNEXPECTED_PARAMETER)
            self.discard_data_set()
            if not self.deliver_response(message):
                self._responses[commands.number(message.command, commands.RESPONDED_TO, -1)] = (
                    message.command,
                    context_id,
                )
        else:  # one operation at a time was negotiated (PS3.7 D.3.3.3)
            raise BadPdu("a request while another one is served", pdu.UNEXPECTED_PARAMETER)

    # out

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """All of it, within the network timeout."""
        self.wire.set_deadline(self.settings.network_timeout)
        self.wire.send(data)

    def respond(self, request: Request, answer: FinalResponse) -> None:
        """One response, with its data set if it has one."""
        elements: dict[int, int | str | bytes] = {
            commands.COMMAND_FIELD: request.kind | 0x8000,
            commands.RESPONDED_TO: request.message_id,
            commands.DATA_SET_TYPE: commands.NO_DATA_SET if answer.identifier is None else 1,
            commands.STATUS: answer.status,
        }
        for element, asked in (
            (commands.SOP_CLASS, commands.REQUESTED_CLASS),
            (commands.SOP_INSTANCE, commands.REQUESTED_INSTANCE),
        ):
            if value := (commands.text(request.command, element) or commands.text(request.command, asked))[:64]:
                elements[element] = value
        if answer.comment:
            elements[commands.ERROR_COMMENT] = commands.comment(answer.comment)
        if answer.offending:
            elements[commands.OFFENDING_ELEMENT] = commands.tags(answer.offending)
        if answer.elements:
            elements.update(answer.elements)
        data = self.fragmented(request.context_id, commands.encode(elements), 1)
        if answer.identifier is not None:
            data += self.fragmented(request.context_id, answer.identifier, 0)
        self.send(data)

    def fragmented(self, context_id: int, value: bytes, control: int) -> bytes:
        """P-DATA of a whole command set (control 1) or data set (0), no PDU larger than the peer takes."""
        room = self.fragment_size
        if len(value) <= room:
            return pdu.p_data(context_id, control | 2, value)
        parts = [value[i : i + room] for i in range(0, len(value), room)]
        return b"".join(pdu.p_data(context_id, control | (2 if p is parts[-1] else 0), p) for p in parts)

    @property
    def fragment_size(self) -> int:
        """Bytes of a message that fit into one PDU of the peer."""
        return max(self.agreed.peer_limit - 6, 2) & ~1

    def pending(self, request: Request, status: int = commands.PENDING) -> "Pending":
        """Many responses with this status, each with a data set, sent in batches."""
        return Pending(self, request, status)

    def request(
        self, context_id: int, elements: Elements, data_set: bytes | None = None, *, data_follows: bool = False
    ) -> int:
        """Sends a request over this association (a sub-operation, an event report); its message id.
        `elements` need no message id and no data set type. data_follows: the caller sends the data set itself."""
        self._next_id = self._next_id % 0xFFFF + 1
        command = dict(elements) | {
            commands.MESSAGE_ID: self._next_id,
            commands.DATA_SET_TYPE: commands.NO_DATA_SET if data_set is None and not data_follows else 1,
        }
        data = self.fragmented(context_id, commands.encode(command), 1)
        if data_set is not None:
            data += self.fragmented(context_id, data_set, 0)
        self.wire.set_deadline(self.settings.network_timeout)
        self.wire.send(data, more=data_follows)
        return self._next_id

    def on_response(self, message_id: int, then: Callable[[dict[int, bytes]], None]) -> None:
        """Calls `then` with the response to a request of this side whenever it comes; the caller does not wait for
        it."""
        self._expected[message_id] = then

    def deliver_response(self, said: Request) -> bool:
        """Hands a response to who expects it; False when none is waiting."""
        then = self._expected.pop(commands.number(said.command, commands.RESPONDED_TO, -1), None)
        if then is not None:
            then(said.command)
        return then is not None

    def put_off(self, seconds: float, task: Callable[[], None]) -> None:
        """Runs the task between two messages, after `seconds`, while the peer is silent."""
        self._put_off.append((time.monotonic() + seconds, task))

    def run_deferred(self) -> None:
        """Does what was put off and is due; returns when nothing is left of it, or the peer has begun to send
        something."""
        while self._put_off:
            moment, task = self._put_off[0]
            if self.reader.wait_for_pdv(max(0.0, moment - time.monotonic())):
                return
            del self._put_off[0]
            task()

    def response_to(self, message_id: int) -> dict[int, bytes]:
        """Waits for the command set of the response to a request of this side; a C-CANCEL that comes first is noted.
        Raises PeerSilent, PeerGone, BadPdu."""
        while message_id not in self._responses:
            self._interruption()
        return self._responses.pop(message_id)[0]


class Pending:
    """Pending responses to one request: all have the same command set, so it is encoded once."""

    def __init__(self, exchange: Exchange, request: Request, status: int) -> None:
        self._exchange = exchange
        self._context_id = request.context_id
        elements: dict[int, int | str | bytes] = {
            commands.SOP_CLASS: commands.text(request.command, commands.SOP_CLASS)[:64] or request.abstract,
            commands.COMMAND_FIELD: request.kind | 0x8000,
            commands.RESPONDED_TO: request.message_id,
            commands.DATA_SET_TYPE: 1,
            commands.STATUS: status,
        }
        self._head = exchange.fragmented(request.context_id, commands.encode(elements), 1)
        self._room = exchange.fragment_size
        self._batch = bytearray()
        self.count = 0
        self.bytes = 0

    def add(self, identifier: bytes) -> bool:
        """One response. True when a batch has just been sent: a good moment to look for a C-CANCEL."""
        batch = self._batch
        batch += self._head
        size = len(identifier)
        if size <= self._room:
            batch += _DATA_HEAD(pdu.P_DATA, 0, size + 6, size + 2, self._context_id, 2)
            batch += identifier
        else:
            batch += self._exchange.fragmented(self._context_id, identifier, 0)
        self.count += 1
        self.bytes += size
        if len(batch) < BATCH:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        if self._batch:
            self._exchange.send(self._batch)
            self._batch = bytearray()


_DATA_HEAD = struct.Struct(">BBIIBB").pack
