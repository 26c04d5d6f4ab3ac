"""Peers that never answer, lie about counts, send broken identifiers, answer without end, or reset in the middle: what
came before stays, the words say what happened, and nobody waits for ever. The liars are made with pynetdicom, or of
bare sockets where pynetdicom is too honest."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from app.archive import Source
from app.db import Database
from app.kit.errors import PeerFault
from app.network.find_scu import Finder
from app.network.probe import probe
from app.network.retrieve_scu import Counts, Getter, Mover, RetrieveWatch
from app.network.scu import Peer
from app.network.settings import DicomSettings
from app.retrieve import retrievals
from app.retrieve.retrievals import RetrievalOrder
from app.retrieve.retrieve_jobs import retrieve_objects
from app.worker import Worker
from tests.support.client import actor
from tests.support.dimse import Station
from tests.support.pacs import make_study
from tests.support.query_retrieve import add_archive, retrieval_shown, work_one

SETTINGS = DicomSettings(network_timeout=3, connect_timeout=3, idle_timeout=5)
FIND, MOVE, GET = (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
)


@contextmanager
def liar(*handlers: tuple[Any, Callable[..., Any]]) -> Iterator[Peer]:
    """A pynetdicom SCP of queries and retrievals with these handlers."""
    ae = AE(ae_title="LIAR")
    for uid in (FIND, MOVE, GET, "1.2.840.10008.1.1"):
        ae.add_supported_context(uid)
    ae.add_supported_context(CTImageStorage, ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    try:
        yield Peer("LIAR", "FILMROOM", "127.0.0.1", server.socket.getsockname()[1])
    finally:
        server.shutdown()


def _study(number: int, **more: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.StudyInstanceUID = "STUDY", f"1.2.3.{number}"
    for key, value in more.items():
        setattr(ds, key, value)
    return ds


def _find(peer: Peer, limit: int = 500, **how: Any) -> tuple[list[str], Finder]:
    with Finder(peer, SETTINGS, **how) as finder:
        found = [answer["StudyInstanceUID"] for answer in finder.find("STUDY", {"PatientName": "*"}, limit)]
    return found, finder


def test_broken_answers_lose_no_good_ones() -> None:
    def answers(event: Any) -> Iterator[tuple[int, Any]]:
        yield 0xFF00, _study(1, PatientName="Good^One")
        nothing = _study(0, PatientName="About^Nothing")
        del nothing.StudyInstanceUID
        yield 0xFF00, nothing
        broken = _study(2)
        broken.PatientName = "Good^Two"
        yield 0xFF01, broken
        yield 0x0000, None

    with liar((evt.EVT_C_FIND, answers)) as peer:
        found, finder = _find(peer)
    assert found == ["1.2.3.1", "1.2.3.2"] and finder.broken == 1 and not finder.limited


def test_a_failure_after_answers_keeps_them_and_tells_its_words() -> None:
    def answers(event: Any) -> Iterator[tuple[Any, Any]]:
        yield 0xFF00, _study(1)
        failed = Dataset()
        failed.Status, failed.ErrorComment = 0xA700, "The tape robot sleeps"
        yield failed, None

    found = []
    words = r"out of resources.*tape robot"
    with (
        liar((evt.EVT_C_FIND, answers)) as peer,
        pytest.raises(PeerFault, match=words),
        Finder(peer, SETTINGS) as finder,
    ):
        for answer in finder.find("STUDY", {}):
            found.append(answer["StudyInstanceUID"])
    assert found == ["1.2.3.1"]


def test_answers_without_end_are_cancelled_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = 0

    def heeding(event: Any) -> Iterator[tuple[int, Any]]:
        nonlocal sent
        while not event.is_cancelled:
            sent += 1
            yield 0xFF00, _study(sent)
        yield 0xFE00, None

    monkeypatch.setattr("app.network.scu._HEED", 60.0)  # pynetdicom on a busy machine may take its time to hear of it
    with liar((evt.EVT_C_FIND, heeding)) as peer:
        found, finder = _find(peer, limit=20)
    assert len(found) == 20 and finder.limited and sent < 100_000
    monkeypatch.undo()

    def deaf(event: Any) -> Iterator[tuple[int, Any]]:
        for number in range(1_000_000):
            yield 0xFF00, _study(number)

    with (
        liar((evt.EVT_C_FIND, deaf)) as peer,
        pytest.raises(PeerFault, match="continues to respond"),
        Finder(peer, SETTINGS) as finder,
    ):
        assert len(list(finder.find("STUDY", {}, 20))) == 20


def test_a_peer_that_says_nothing_more_is_left() -> None:
    gone = threading.Event()

    def silent(event: Any) -> Iterator[tuple[int, Any]]:
        yield 0xFF00, _study(1)
        gone.wait(120)
        yield 0x0000, None

    with liar((evt.EVT_C_FIND, silent)) as peer:
        with pytest.raises(PeerFault, match=r"did not answer within 3 s"):
            _find(peer)
        # and one that is asked to stop does so within the time it has to heed a C-CANCEL
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        with Finder(peer, DicomSettings(network_timeout=60), stop=stop.is_set) as finder:
            assert len(list(finder.find("STUDY", {}))) == 1
        assert not gone.is_set(), "the peer is silent still"
        gone.set()


@contextmanager
def bare(serve: Callable[[socket.socket], None]) -> Iterator[Peer]:
    """A listener that speaks bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            try:
                serve(sock)
            except OSError:
                pass
            finally:
                sock.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Peer("BARE", "FILMROOM", "127.0.0.1", listener.getsockname()[1])
    finally:
        listener.close()


def _accept(sock: socket.socket) -> None:
    """Takes the association: every context, implicit little endian."""
    from app.network import pdu

    head = sock.recv(6, socket.MSG_WAITALL)
    body = sock.recv(int.from_bytes(head[2:6], "big"), socket.MSG_WAITALL)
    asked = pdu.decode_associate(body)
    results = [pdu.ContextResult(c.id, 0, "1.2.840.10008.1.2") for c in asked.contexts]
    sock.sendall(pdu.encode_accept(asked, results, 16384))
    sock.recv(4096)


def _answer(message: int, status: int, data: bool, field: int = 0x8020) -> bytes:
    from app.network import commands, pdu

    elements: dict[int, int | str] = {
        0x0100: field,
        0x0120: message,
        0x0800: 0x0102 if data else 0x0101,
        0x0900: status,
    }
    return pdu.p_data(1, 3, commands.encode(elements))


def test_identifiers_that_are_no_data_sets_and_answers_to_others() -> None:
    from app.network import pdu

    good = b"\x20\x00\x0d\x00\x04\x00\x00\x00" + b"1.2\0"
    bad = [b"\x20\x00\x0d\x00\xff\xff\xff\x7f1.2", b"?", b"\xfe\xff\x0d\xe0\0\0\0\0", bytes(range(256)) * 20]

    def serve(sock: socket.socket) -> None:
        _accept(sock)
        for data in (*bad, good):
            sock.sendall(_answer(1, 0xFF00, True) + pdu.p_data(1, 2, data))
        sock.sendall(_answer(1, 0x0000, False))
        sock.recv(64)

    with bare(serve) as peer:
        found, finder = _find(peer)
        assert found == ["1.2"] and finder.broken == len(bad)

    def other(sock: socket.socket) -> None:
        _accept(sock)
        sock.sendall(_answer(1, 0xFF00, True) + pdu.p_data(1, 2, good) + _answer(77, 0x0000, False))
        sock.recv(64)

    with bare(other) as peer, pytest.raises(PeerFault, match="another message"):
        _find(peer)

    def huge(sock: socket.socket) -> None:
        _accept(sock)
        sock.sendall(_answer(1, 0xFF00, True))
        for n in range(40):
            sock.sendall(pdu.p_data(1, 2 if n == 39 else 0, bytes(60_000)))
        sock.sendall(_answer(1, 0x0000, False))
        sock.recv(64)

    with bare(huge) as peer:
        found, finder = _find(peer)
        assert found == [] and finder.broken == 1


def test_a_reset_in_the_middle_of_an_object_keeps_the_ones_before(receiver: Station, tmp_path: Path) -> None:
    made = make_study(tmp_path, 21, series=[("CT", 2)], side=256)

    def gives(event: Any) -> Iterator[tuple[int, Any]]:
        yield 2
        yield 0xFF00, dcmread(made.files[0])
        event.assoc.dul.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        event.assoc.dul.socket.socket.close()
        yield 0xFF00, dcmread(made.files[1])

    told: list[int] = []
    watch = RetrieveWatch(tell=lambda counts: told.append(counts.stored))
    with (
        liar((evt.EVT_C_GET, gives)) as peer,
        pytest.raises(PeerFault),
        Getter(peer, SETTINGS, receiver.archive, Source(kind="retrieve"), [CTImageStorage], watch) as getter,
    ):
        getter.retrieve("STUDY", {"StudyInstanceUID": made.uid})
    assert max(told) == 1
    assert [i.sop_instance_uid for i in receiver.instances()] == made.instances[:1]
    assert len(receiver.files()) == 1, "nothing of the broken one may stay"


def test_a_move_that_claims_to_have_sent_everything_is_not_believed(
    receiver: Station, peopled: Database, worker: Worker
) -> None:
    def tells(event: Any) -> Iterator[tuple[int, Any]]:
        if event.identifier.QueryRetrieveLevel == "SERIES":
            ds = Dataset()
            ds.QueryRetrieveLevel, ds.SeriesInstanceUID, ds.NumberOfSeriesRelatedInstances = "SERIES", "1.2.3.4", 7
            yield 0xFF00, ds
        yield 0x0000, None

    def serve_move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", receiver.port, {"ae_title": "FILMROOM"}
        yield 0  # and yet: success, of nothing

    told: list[Counts] = []
    with liar((evt.EVT_C_FIND, tells), (evt.EVT_C_MOVE, serve_move)) as peer:
        with Mover(peer, SETTINGS, "FILMROOM", RetrieveWatch(tell=told.append)) as mover:
            assert mover.retrieve("STUDY", {"StudyInstanceUID": "1.2.3"}).success
        add_archive(peopled, "LIAR", peer.port, ["find", "move"], title="LIAR")
        admin = actor(peopled, "admin")
        with peopled.write() as session:
            row = retrievals.create_retrieval(session, admin, RetrievalOrder("LIAR", "1.2.3"))
        work_one(worker, "retrieve.fetch", retrieve_objects)
        shown = retrieval_shown(peopled, row.id)
    assert shown["state"] == "queued" and "7 of 7 objects are not here" in shown["error"], shown
    assert shown["progress"] == {"done": 0, "total": 7}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xA702, "could not send the objects"),
        (0xA900, "does not fit its service"),
        (0xC001, "could not process"),
        (0x0124, "does not allow"),
        (0x0110, "status 0110"),
    ],
)
def test_a_peers_status_is_told_in_words(
    receiver: Station, peopled: Database, worker: Worker, status: int, words: str
) -> None:
    from app.network import pdu

    def serve(sock: socket.socket) -> None:
        _accept(sock)
        sock.sendall(_answer(1, status, False, 0x8021))
        sock.recv(64)

    with bare(serve) as peer:
        add_archive(peopled, "LIAR", peer.port, ["move"], title="BARE")
        with peopled.write() as session:
            row = retrievals.create_retrieval(session, actor(peopled, "admin"), RetrievalOrder("LIAR", "1.2.3"))
        work_one(worker, "retrieve.fetch", retrieve_objects)
        shown = retrieval_shown(peopled, row.id)
    assert words in shown["error"] and f"{status:04X}" in shown["error"], shown
    assert shown["state"] == ("failed" if status in (0xA900, 0x0124) else "queued")
    assert pdu.ABORT


def test_the_test_button_asks_a_query_where_the_node_is_set_to_find() -> None:
    asked: list[str] = []

    def answers(event: Any) -> Iterator[tuple[int, Any]]:
        asked.append(str(event.identifier.StudyInstanceUID))
        yield (0x0000 if len(asked) == 1 else 0xC001), None

    with liar((evt.EVT_C_FIND, answers)) as peer:
        good = probe(peer, SETTINGS, ["find"])
        assert good.ok and [step.name for step in good.steps] == ["reach", "association", "echo", "find"]
        assert asked[0].startswith("2.25."), "nothing of a patient is asked for"
        bad = probe(peer, SETTINGS, ["find"])
        assert not bad.ok and "could not process" in bad.message
        assert [step.name for step in probe(peer, SETTINGS, ["move"]).steps] == ["reach", "association", "echo"]
