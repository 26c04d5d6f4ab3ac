"""Both ends of ours send without Nagle's algorithm (DESIGN 3.4): each object would cost 40 ms otherwise."""

import socket

import pytest

from app.network.pdu import Context
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from app.network.wire import Wire
from tests.support.dimse import Station


def _is_quick(wire: Wire) -> bool:
    return bool(wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.peer
def test_neither_end_waits_to_fill_a_segment(receiver: Station) -> None:
    contexts = [Context(1, "1.2.840.10008.1.1", ["1.2.840.10008.1.2"])]
    peer = Peer("FILMROOM", "TEST", "127.0.0.1", receiver.port)
    with Association(peer, contexts, DicomSettings()) as association:
        assert association.echo().status == 0
        assert _is_quick(association.wire)
        accepted = list(receiver.receiver._open)
        assert accepted and all(map(_is_quick, accepted))
