"""A sender that waits for delayed acknowledgements is noticed and told; others are not."""

import pytest
from pydicom.uid import generate_uid

from app.dimse.pace import Pace
from app.network import wire
from app.nodes import callers, service
from app.nodes import queries as node_queries
from app.nodes.service import NodeValues
from app.security.actor import SYSTEM
from tests.support.dimse import Station
from tests.support.sender import Sender, make_ct


@pytest.mark.parametrize(
    ("gap", "objects", "delay"),
    [(0.040, 21, 40), (0.050, 30, 50), (0.002, 30, None), (0.200, 30, None), (0.034, 30, None), (0.061, 30, None)],
)
def test_the_median_decides(gap: float, objects: int, delay: int | None) -> None:
    pace, moment = Pace(), 100.0
    for n in range(objects):
        begun = moment + (gap if n % 7 else 0.5)  # now and then it thinks for long
        pace.record_object(begun, begun + 0.001)
        moment = begun + 0.001
    assert pace.is_known and pace.delay_ms == delay


def test_too_few_objects_and_other_requests_say_nothing() -> None:
    pace = Pace()
    for n in range(20):
        pace.record_object(n * 0.041, n * 0.041 + 0.001)
    assert not pace.is_known
    pace = Pace()
    for n in range(60):
        pace.record_object(n * 0.041, n * 0.041 + 0.001)
        pace.interrupt()
    assert not pace.is_known


class Naive(Sender):
    """A sender as many modalities have it: Nagle on, and a command written in two pieces. The second waits for the
    acknowledgement of the first, which the receiver's kernel delays by 40 ms."""

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        self.socket.sendall(pieces[0])
        self.socket.sendall(b"".join(pieces[1:]))


def _sent(here: Station, kind: type[Sender], calling: str, objects: int = 24) -> None:
    study, series = generate_uid(), generate_uid()
    sender = kind(here.port, calling=calling, nodelay=False)
    for number in range(objects):
        assert sender.send(make_ct(study, series, number, size=32))[0] == 0
    sender.release()
    here.calm()
    here.receiver._book.write()


def _delay(here: Station, name: str) -> int | None:
    with here.database.read() as session:
        return node_queries.node(session, SYSTEM, name).ack_gap_ms


def test_a_sender_with_nagle_is_told_on_its_node_and_forgiven(
    receiver: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledgements are left to the kernel here, as on systems that cannot be asked for them at once; with TCPQUICKACK
    the same sender is quick, and the word about it goes away."""
    with receiver.database.write() as session:
        service.create_node(session, SYSTEM, NodeValues("ct", "CT1", "127.0.0.1", 104))
    quick = wire.QUICKACK
    monkeypatch.setattr(wire, "QUICKACK", None)
    _sent(receiver, Naive, "CT1")
    found = _delay(receiver, "ct")
    assert found is not None and 35 <= found <= 60
    _sent(receiver, Naive, "STRANGER")
    with receiver.database.read() as session:
        (stranger,) = [c for c in callers.list_callers(session, SYSTEM) if c.title == "STRANGER"]
    assert stranger.ack_gap_ms is not None and 35 <= stranger.ack_gap_ms <= 60
    monkeypatch.setattr(wire, "QUICKACK", quick)
    _sent(receiver, Naive, "CT1")
    assert _delay(receiver, "ct") is None
