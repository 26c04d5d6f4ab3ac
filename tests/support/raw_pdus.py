"""PDUs read from a bare socket."""

import socket
import struct

from app.network import pdu


def read_pdu(sock: socket.socket) -> tuple[int, bytes]:
    header = b""
    while len(header) < 6:
        piece = sock.recv(6 - len(header))
        if not piece:
            return 0, b""
        header += piece
    kind, _, length = struct.unpack(">BBI", header)
    body = b""
    while len(body) < length:
        body += sock.recv(length - len(body))
    return kind, body


def is_aborted(sock: socket.socket) -> int:
    """The reason of the A-ABORT that must come next."""
    kind, body = read_pdu(sock)
    assert kind == pdu.ABORT, kind
    return body[3]
