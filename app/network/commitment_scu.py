"""Storage Commitment over an association opened here (PS3.4 Annex J, PS3.7 10.1.1 and 10.1.4): N-ACTION as its SCU,
N-EVENT-REPORT as its SCP, and the reports that a node sends over the association of the request."""

import time
from collections.abc import Callable

from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.network import commands, messages, pdu
from app.network.commitment_data import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    LIMIT,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST_COMMITMENT,
    BadReferences,
    References,
    decode,
    encode,
)
from app.network.pdu import BadPdu, Context
from app.network.scu import Association, Peer, Response
from app.network.settings import DicomSettings
from app.network.user_items import RoleSelection, UserItems
from app.network.wire import PeerSilent

_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]

_REPORTS = 1000  # of others that a node may send before it answers the request, or reports about it
OnReport = Callable[[References], int]  # handles a report and returns the status of the answer


def event_of(report: References) -> int:
    """The Event Type ID of the report (PS3.4 Table J.3-2)."""
    return FAILURES_EXIST if report.failed else ALL_COMMITTED


def event_command(report: References) -> dict[int, int | str]:
    """The command set of an N-EVENT-REPORT request about it; message id and data set type are the sender's."""
    return {
        commands.SOP_CLASS: PUSH_MODEL,
        commands.COMMAND_FIELD: commands.N_EVENT_REPORT_RQ,
        commands.SOP_INSTANCE: PUSH_MODEL_INSTANCE,
        commands.EVENT_TYPE: event_of(report),
    }


class _Enough(Exception):
    """The awaited report has arrived over another association."""


class CommitmentAssociation(Association):
    """An association with one context, Storage Commitment Push Model; a context manager as Association is.

    reporting: this side is the SCP and reports; else it is the SCU and requests. A node that does not answer the role
    is taken by its word that it took the context: many know no role selection."""

    def __init__(
        self, peer: Peer, settings: DicomSettings, *, reporting: bool, on_report: OnReport | None = None
    ) -> None:
        user = UserItems(roles={PUSH_MODEL: RoleSelection(scu=False, scp=True)}) if reporting else None
        super().__init__(peer, [Context(1, PUSH_MODEL, _SYNTAXES)], settings, user)
        self._on_report = on_report

    def __enter__(self) -> "CommitmentAssociation":
        super().__enter__()
        return self

    @property
    def _syntax(self) -> str:
        syntax = self.accepted.get(1)
        if syntax is None:
            raise PeerFault(phrase("{peer} does not offer storage commitment.", peer=str(self.peer)))
        return syntax

    def request_commitment(self, references: References) -> Response:
        """N-ACTION: the request. Its response only shows whether the node will report."""
        command: dict[int, int | str] = {
            commands.REQUESTED_CLASS: PUSH_MODEL,
            commands.COMMAND_FIELD: commands.N_ACTION_RQ,
            commands.REQUESTED_INSTANCE: PUSH_MODEL_INSTANCE,
            commands.ACTION_TYPE: REQUEST_COMMITMENT,
        }
        return self._exchange(command, encode(references, self._syntax))

    def send_report(self, report: References) -> Response:
        """N-EVENT-REPORT: the report of this station."""
        return self._exchange(event_command(report), encode(report, self._syntax))

    def await_report(self, seconds: float, came: Callable[[], bool]) -> None:
        """Stays for a report over this association, at most so long; ends earlier when `came` (called about once a
        second) returns that it came over another one, or when the node ends the association."""

        def poll() -> None:
            if came():
                raise _Enough

        until = time.monotonic() + seconds
        self.wire.on_tick = poll
        self._allowance.seconds = seconds
        self._allowance.restart()
        try:
            for _ in range(_REPORTS):
                if came() or (left := until - time.monotonic()) <= 0:
                    return
                self._reader.set_silence_limit(left)
                self._served()
        except (_Enough, PeerSilent, PeerFault):
            pass  # a report that did not come here comes over an association of the node's own
        finally:
            self.wire.on_tick = None

    def _exchange(self, command: dict[int, int | str], data: bytes) -> Response:
        self._message_id = self._message_id % 65535 + 1
        whole = {**command, commands.MESSAGE_ID: self._message_id, commands.DATA_SET_TYPE: 1}
        with self._in_words(phrase("storage commitment")):
            self._begin()
            self.wire.send(b"".join(self._fragments(1, commands.encode(whole))))
            self.wire.send(b"".join(self._fragments(1, data, 0)))
            self._allowance.restart()
            for _ in range(_REPORTS):
                answer = self._served()
                if answer is not None:
                    return answer
            raise BadPdu("reports instead of an answer, again and again", pdu.UNEXPECTED_PARAMETER)

    def _served(self) -> Response | None:
        """Reads one message: the response to the request, or a report of the node, which is answered (then None)."""
        with self._in_words(phrase("storage commitment")):
            try:
                context_id, command = messages.read_command(self._reader)
                kind = commands.number(command, commands.COMMAND_FIELD)
                has_data = (
                    commands.number(command, commands.DATA_SET_TYPE, commands.NO_DATA_SET) != commands.NO_DATA_SET
                )
                data = messages.read_data_set(self._reader, context_id, LIMIT) if has_data else b""
            except messages.OtherPdu as other:
                self._unexpected(other.kind, other.length)
            if kind == commands.N_EVENT_REPORT_RQ:
                self._answer_report(context_id, command, data)
                return None
            status = commands.number(command, commands.STATUS, 0x0110)
            return Response(status, commands.text(command, commands.ERROR_COMMENT)[:64], command)

    def _answer_report(self, context_id: int, command: dict[int, bytes], data: bytes | None) -> None:
        status = commands.UNRECOGNIZED_OPERATION
        if self._on_report is not None and data is not None:
            try:
                status = self._on_report(decode(data, self._syntax))
            except BadReferences:
                status = commands.INVALID_ARGUMENT
        elements: dict[int, int | str] = {
            commands.SOP_CLASS: PUSH_MODEL,
            commands.COMMAND_FIELD: commands.N_EVENT_REPORT_RQ | 0x8000,
            commands.RESPONDED_TO: commands.number(command, commands.MESSAGE_ID),
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: status,
            commands.SOP_INSTANCE: PUSH_MODEL_INSTANCE,
            commands.EVENT_TYPE: commands.number(command, commands.EVENT_TYPE),
        }
        self.wire.set_deadline(self._settings.network_timeout)
        self.wire.send(b"".join(self._fragments(context_id, commands.encode(elements))))
