"""An association with us as its requestor: C-ECHO and C-STORE (PS3.7 9.1, PS3.8 9.2 from the other side).

Every failure is a PeerFault that names the failed step and the peer's reason if it sent one."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn

from app.dicom.uids import IMPLICIT_LE
from app.kit.allowance import Allowance
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.network import commands, messages, pdu
from app.network.connect import Peer, connect
from app.network.payload import Pace, Payload
from app.network.pdu import Associate, BadPdu, Context
from app.network.scu_faults import InWords, reject_hint
from app.network.settings import DicomSettings
from app.network.tls_wire import open_wire
from app.network.user_items import UserItems
from app.network.wire import PdvReader, PeerGone, PeerSilent

__all__ = ["VERIFICATION", "Association", "Peer", "Response", "connect"]

VERIFICATION = "1.2.840.10008.1.1"
_OUR_LIMIT = 131072  # what a C-GET brings comes in such pieces
_SEND_LIMIT = 1 << 20  # also when the peer takes PDUs of any length
_IDENTIFIER_LIMIT = 1 << 20  # bytes of one answer's identifier; real ones have some hundred
_HEED = 5.0  # seconds a peer has to end after a C-CANCEL

# Serves a C-STORE request inside a C-GET: context id, command set, whether a data set follows -> the response's elements.
Serve = Callable[[int, dict[int, bytes], bool], Mapping[int, int | str]]


@dataclass(frozen=True, slots=True)
class Response:
    """The peer's answer to one request: DIMSE status and its own words; where there are several, also the whole
    command set and the identifier (empty when it was broken beyond reading)."""

    status: int
    comment: str = ""
    command: Mapping[int, bytes] = field(default_factory=dict)
    identifier: bytes | None = None

    @property
    def pending(self) -> bool:
        return self.status in (commands.PENDING, commands.PENDING_UNSUPPORTED_KEYS)


class Association:
    """Open it with `with Association(peer, contexts, settings) as association:`; it is released at the end, and
    aborted when the block raises."""

    def __init__(
        self, peer: Peer, contexts: Sequence[Context], settings: DicomSettings, user: UserItems | None = None
    ) -> None:
        """user: roles and what else is negotiated beside the contexts."""
        self.peer = peer
        self._user = user
        self.user = UserItems()  # what the peer answered to that
        self._settings = peer.effective_settings(settings)
        self._our_limit = peer.max_pdu or _OUR_LIMIT
        self._contexts = contexts
        self.accepted: dict[int, str] = {}  # context id -> transfer syntax
        self.refused: dict[int, int] = {}  # context id -> result (PS3.8 Table 9-18)
        self.implementation = ""
        self._message_id = 0
        self._patience: float = self._settings.network_timeout
        self._allowance = Allowance(self._patience)
        self._limit = _SEND_LIMIT
        self._open = False
        self._templates: dict[str, bytearray] = {}

    @property
    def timeout(self) -> float:
        """Seconds that the peer has for an answer."""
        return self._settings.network_timeout

    def __enter__(self) -> "Association":
        """Connects and asks, unless `open` has done so."""
        return self if self._open else self.open(connect(self.peer, self._settings.connect_timeout))

    def open(self, sock: socket.socket) -> "Association":
        """Requests the association over an open connection. Closes it and raises PeerFault when refused."""
        self.wire = open_wire(sock)
        self.wire.allowance = self._allowance
        self._allowance.restart()
        try:
            with self._in_words(phrase("the association")):
                self._request()
        except BaseException:
            self.wire.close()
            raise
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if kind is None:
            self._release()
        else:
            self.abort()

    def abort(self) -> None:
        self.wire.abort(pdu.BY_USER, 0, linger=0.5)

    def peer_closed(self) -> bool:
        """Whether the peer has sent data or closed the connection between requests: then no request goes through any
        more."""
        return self.wire.wait_readable()

    def _request(self) -> None:
        peer, timeout = self.peer, self._settings.network_timeout
        self.wire.set_deadline(timeout)
        self.wire.send(pdu.encode_request(peer.called, peer.calling, self._contexts, self._our_limit, self._user))
        self._allowance.restart()
        kind, length = self.wire.header()
        if kind == pdu.ASSOCIATE_RJ and length == 4:
            _, result, source, reason = self.wire.read(4)
            words = pdu.REJECT_REASONS.get(
                (source, reason), phrase("for reason {source}.{reason}", source=source, reason=reason)
            )
            hint = reject_hint(peer, source, reason)
            if result == 2:  # transient (PS3.8 Table 9-21)
                raise PeerFault(
                    phrase("{peer} rejected the association for now: {words}.", peer=str(peer), words=words), hint=hint
                )
            raise PeerFault(phrase("{peer} rejected the association: {words}.", peer=str(peer), words=words), hint=hint)
        if kind != pdu.ASSOCIATE_AC or not 68 <= length <= _SEND_LIMIT:
            self._unexpected(kind, length)
        self._read_accept(pdu.decode_associate(self.wire.read(length)))
        self._reader = PdvReader(self.wire, self._our_limit, timeout, timeout)
        self._payload = Payload(self.wire, self._limit, timeout)

    @property
    def sent(self) -> int:
        """Bytes of data sets that have left; any thread may look."""
        payload = getattr(self, "_payload", None)
        return payload.sent if payload is not None else 0

    def _read_accept(self, accepted: Associate) -> None:
        proposed = {c.id: c for c in self._contexts}
        for one in accepted.results:
            if one.result == pdu.ACCEPTED and one.id in proposed and one.transfer in proposed[one.id].transfer:
                self.accepted[one.id] = one.transfer
            else:
                self.refused[one.id] = one.result
        self.user = accepted.user
        self.implementation = accepted.implementation_version or accepted.implementation_uid
        self._bear_with_peer()
        self.max_length = accepted.max_length  # 0: it takes PDUs of any length
        self._limit = min(accepted.max_length or _SEND_LIMIT, self.peer.max_pdu or _SEND_LIMIT)
        if self._limit < 128:
            raise BadPdu(f"a maximum PDU length of {self._limit}")

    def _bear_with_peer(self) -> None:
        """GDCM reads the objects of all contexts as Implicit VR once it has accepted one of them so: then only those
        are used (seen in 3.0.21; its program ends on an Explicit VR object)."""
        if self.implementation.startswith("GDCM") and IMPLICIT_LE in self.accepted.values():
            self.accepted = {n: syntax for n, syntax in self.accepted.items() if syntax == IMPLICIT_LE}

    def _unexpected(self, kind: int, length: int) -> NoReturn:
        if kind == pdu.ABORT and length == 4:
            _, _, source, reason = self.wire.read(4)
            if source != pdu.BY_PROVIDER:
                raise PeerFault(phrase("{peer} aborted the association.", peer=str(self.peer)))
            words = pdu.ABORT_REASONS.get(reason, phrase("for reason {reason}", reason=reason))
            raise PeerFault(phrase("{peer} aborted the association {words}.", peer=str(self.peer), words=words))
        raise BadPdu(f"PDU type {kind}", pdu.UNEXPECTED_PDU)

    def _in_words(self, what: str) -> InWords:
        return InWords(self.peer, what, lambda: self._patience, self.abort)

    def echo(self) -> Response:
        """C-ECHO. Raises PeerFault when no Verification context was accepted."""
        usable = [c.id for c in self._contexts if c.abstract == VERIFICATION and c.id in self.accepted]
        if not usable:
            raise PeerFault(phrase("{peer} takes the association but not Verification (C-ECHO).", peer=str(self.peer)))
        context_id = usable[0]
        self._message_id = self._message_id % 65535 + 1
        command = commands.encode(
            {
                commands.SOP_CLASS: VERIFICATION,
                commands.COMMAND_FIELD: commands.C_ECHO_RQ,
                commands.MESSAGE_ID: self._message_id,
                commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            }
        )
        with self._in_words(phrase("the echo")):
            self._begin()
            for fragment in self._fragments(context_id, command):
                self.wire.send(fragment)
            return self._response(commands.C_ECHO_RSP)

    def store(
        self,
        context_id: int,
        sop_class: str,
        sop_instance: str,
        data: BinaryIO,
        length: int,
        plain_file: bool = False,
        *,
        originator: tuple[str, int] | None = None,
        pace: Pace | None = None,
    ) -> Response:
        """C-STORE of `length` bytes of `data` from its position, encoded in the context's transfer syntax.
        plain_file: data is a file on the disk whose bytes are the object's, so the kernel may send it by itself.
        originator: title and message id of the C-MOVE that asked for it. pace: see Payload.send."""
        self._message_id = self._message_id % 65535 + 1
        command = self._store_command(context_id, sop_class, sop_instance, originator)
        with self._in_words(phrase("sending")):
            self._begin()
            try:
                self.wire.send(command, more=True)
                self._payload.send(context_id, data, length, plain_file, pace)
            except PeerGone:
                self._last_words()
                raise
            return self._response(commands.C_STORE_RSP)

    def request(
        self,
        context_id: int,
        command: Mapping[int, int | str],
        identifier: bytes | None = None,
        *,
        serve: Serve | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Response]:
        """A request with any number of answers (C-FIND, C-MOVE, C-GET; PS3.7 9.1.2 to 9.1.4): yields each as it comes,
        the final one last. command: its field and what belongs to it; message id and data set type are added.
        serve: answers the C-STORE requests that come in between. stop: asked about once a second; when it returns True
        a C-CANCEL is sent, and a peer that does not react within some seconds is aborted.

        Raises PeerFault; what was yielded before is good."""
        self._message_id = message_id = self._message_id % 65535 + 1
        kind = commands.NO_DATA_SET if identifier is None else 0x0102
        whole = {**command, commands.MESSAGE_ID: message_id, commands.DATA_SET_TYPE: kind}
        cancel = _Cancel(self, context_id, message_id, stop)
        what = (
            phrase("the query") if command.get(commands.COMMAND_FIELD) == commands.C_FIND_RQ else phrase("retrieving")
        )
        with self._in_words(what):
            self._begin()
            data = b"".join(self._fragments(context_id, commands.encode(whole)))
            self.wire.send(data + b"".join(self._fragments(context_id, identifier or b"", 0)))
        self.wire.on_tick = cancel.check
        ended = False
        try:
            while True:
                with self._in_words(what):
                    cancel.check()
                    answer = self._next_answer(context_id, message_id, serve)
                if answer is None:
                    continue
                if not answer.pending:
                    ended = True
                yield answer
                if ended:
                    return
        except _Unheeded:
            self.abort()
            yield Response(commands.CANCELLED, "It did not heed our C-CANCEL")
        except GeneratorExit:  # the rest is not read, so this association cannot be used any more
            if not ended:
                self.abort()
            raise
        finally:
            self.wire.on_tick = None

    def _next_answer(self, context_id: int, message_id: int, serve: Serve | None) -> Response | None:
        """The next answer to the open request; None after something else that was served."""
        self._reader.expect_message()
        try:
            found, command = messages.read_command(self._reader)
            kind = commands.number(command, commands.COMMAND_FIELD)
            has_data = commands.number(command, commands.DATA_SET_TYPE, commands.NO_DATA_SET) != commands.NO_DATA_SET
            if kind == commands.C_STORE_RQ and serve is not None and found in self.accepted:
                elements = serve(found, command, has_data)
                self.wire.set_deadline(self._settings.network_timeout)
                self.wire.send(b"".join(self._fragments(found, commands.encode(elements))))
                return None
            if not kind & 0x8000 or commands.number(command, commands.RESPONDED_TO) != message_id:
                raise BadPdu("an answer to another message", pdu.UNEXPECTED_PARAMETER)
            data = messages.read_data_set(self._reader, found, _IDENTIFIER_LIMIT) or b"" if has_data else None
        except messages.OtherPdu as other:
            self._unexpected(other.kind, other.length)
        status = commands.number(command, commands.STATUS, 0x0110)
        return Response(status, commands.text(command, commands.ERROR_COMMENT)[:64], command, data)

    def wait_for(self, seconds: float) -> None:
        """From now on the peer may be silent for so long, instead of the setting's time."""
        self._patience = self._allowance.seconds = seconds
        self._reader.set_silence_limit(seconds)

    def _begin(self) -> None:
        """A request begins: it and its answer have the response timeout in all, and more as bytes move."""
        self.wire.set_deadline(self._settings.network_timeout)
        self._allowance.restart()

    def _last_words(self) -> None:
        """The peer closed the connection during a write: its last message may still be unread. Raises PeerFault with an
        abort's reason."""
        self.wire.set_deadline(0.2)
        with suppress(PeerGone, PeerSilent, BadPdu):
            kind, length = self.wire.header()
            if kind == pdu.ABORT:
                self._unexpected(kind, length)

    def _store_command(
        self, context_id: int, sop_class: str, sop_instance: str, originator: tuple[str, int] | None
    ) -> bytes:
        """The request's PDU. Up to the SOP Instance UID it is the same for a SOP class but for the message id."""
        template = self._templates.get(sop_class)
        if template is None:
            template = self._templates[sop_class] = commands.store_template(sop_class)
        command = commands.store_request(template, self._message_id, sop_instance, originator)
        if len(command) <= self._limit - 6:
            return pdu.p_data(context_id, 3, command)
        return b"".join(self._fragments(context_id, command))

    def _fragments(self, context_id: int, data: bytes, command: int = 1) -> Iterator[bytes]:
        """A command set, or (command=0) a data set, as P-DATA; nothing for nothing."""
        room = (self._limit - 6) & ~1
        for at in range(0, len(data), room):
            yield pdu.p_data(context_id, command | (2 if at + room >= len(data) else 0), data[at : at + room])

    def _response(self, wanted: int) -> Response:
        """The answer to the request just sent. Answers to others are a breach: only one request is open at a time."""
        self._allowance.restart()
        try:
            _, answer = messages.read_command(self._reader)
        except messages.OtherPdu as other:
            self._unexpected(other.kind, other.length)
        if commands.number(answer, commands.COMMAND_FIELD) != wanted:
            raise BadPdu("an answer to another request", pdu.UNEXPECTED_PARAMETER)
        if commands.number(answer, commands.RESPONDED_TO) != self._message_id:
            raise BadPdu("an answer to another message", pdu.UNEXPECTED_PARAMETER)
        status = commands.number(answer, commands.STATUS, 0x0110)
        return Response(status, commands.text(answer, commands.ERROR_COMMENT)[:64])

    def _release(self) -> None:
        """A-RELEASE; errors after it are harmless, since every object has its answer."""
        try:
            self.wire.set_deadline(self._settings.artim)
            self.wire.send(pdu.RELEASE_RQ_BYTES)
            self.wire.header()
        except (PeerGone, PeerSilent):
            pass
        finally:
            self.wire.close()


class _Unheeded(Exception):
    """The peer continues after a C-CANCEL."""


class _Cancel:
    """Sends one C-CANCEL-RQ (PS3.7 9.3.2.3) once `stop` returns True, and gives the peer some seconds to end."""

    def __init__(
        self, association: Association, context_id: int, message_id: int, stop: Callable[[], bool] | None
    ) -> None:
        self._association, self._context_id, self._message_id = association, context_id, message_id
        self._stop = stop
        self._until = float("inf")

    def check(self) -> None:
        if time.monotonic() > self._until:
            raise _Unheeded
        if self._stop is None or self._until != float("inf") or not self._stop():
            return
        self._until = time.monotonic() + _HEED
        elements = {
            commands.COMMAND_FIELD: commands.C_CANCEL_RQ,
            commands.RESPONDED_TO: self._message_id,
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
        }
        self._association.wire.send(b"".join(self._association._fragments(self._context_id, commands.encode(elements))))
