"""Whole DIMSE messages off a connection: command sets and the data sets that follow them (PS3.7 6.3, PS3.8 Annex E)."""

from app.network import commands, pdu
from app.network.pdu import BadPdu
from app.network.wire import AHEAD, PdvReader

_FRAGMENTS = 4096  # of one command set or identifier: peers that send a byte each


class OtherPdu(Exception):
    """Instead of P-DATA another PDU came: an abort, or a breach. Its body is unread."""

    def __init__(self, kind: int, length: int) -> None:
        super().__init__(f"PDU type {kind}")
        self.kind, self.length = kind, length


def _collect(reader: PdvReader, command: bool, context_id: int | None, limit: int) -> tuple[int, bytearray, bool]:
    """(context id, bytes, whether all of them fitted); what goes beyond the limit is read away."""
    body, whole, fragments = bytearray(), True, 0
    while True:
        kind, found, control, size = reader.read_pdv()
        if kind != pdu.P_DATA:
            raise OtherPdu(kind, size)
        if context_id is None:
            context_id = found
        if found != context_id or bool(control & 1) != command:
            raise BadPdu("a fragment of another message", pdu.UNEXPECTED_PARAMETER)
        fragments += 1
        if fragments > _FRAGMENTS:
            raise BadPdu("a message that does not end", pdu.UNEXPECTED_PARAMETER)
        store = memoryview(bytearray(size + AHEAD))
        reader.wire.read_into(store, size)
        if len(body) + size <= limit:
            body += store[:size]
        else:
            whole = False
        if control & 2:
            return context_id, body, whole


def read_command(reader: PdvReader) -> tuple[int, dict[int, bytes]]:
    """(context id, command set). Raises OtherPdu, BadPdu, BadCommand, PeerGone, PeerSilent."""
    context_id, body, whole = _collect(reader, True, None, commands.LIMIT)
    if not whole:
        raise BadPdu("a command set that does not end", pdu.UNEXPECTED_PARAMETER)
    return context_id, commands.decode(body)


def read_data_set(reader: PdvReader, context_id: int, limit: int) -> bytes | None:
    """The data set that follows a command on this context; None when it is larger than the limit in bytes."""
    _, body, whole = _collect(reader, False, context_id, limit)
    return bytes(body) if whole else None
