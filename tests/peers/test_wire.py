"""Both ends of ours send without Nagle's algorithm (DESIGN 3.4): each object would cost 40 ms otherwise."""

import socket

import pytest

from app.kit.allowance import Allowance, Unsent
from app.network.pdu import Context
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from app.network.wire import PeerSilent, Wire
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


@pytest.mark.parametrize(("rate", "ends"), [(100, True), (10_000, False)])
def test_an_answer_is_waited_for_while_the_request_leaves_fast_enough(
    monkeypatch: pytest.MonkeyPatch, rate: int, ends: bool
) -> None:
    """The wait for an answer costs no allowance: a peer that takes what lies in our kernel a byte now and then has no more
    time than one that takes nothing."""
    monkeypatch.setattr(Unsent, "moved", lambda unsent: rate)  # asked once a second
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(socket.create_connection(listener.getsockname()))
        theirs, _ = listener.accept()
    with theirs, wire.sock:
        ticks = iter(range(9))
        wire.on_tick = lambda: theirs.send(b"answer") if next(ticks) == 1 else None
        wire.allowance = Allowance(0.3)
        wire.set_deadline(0.3)
        wire.allowance.pause()
        if ends:
            with pytest.raises(PeerSilent):
                wire.read(6)
        else:
            assert wire.read(6) == b"answer"
