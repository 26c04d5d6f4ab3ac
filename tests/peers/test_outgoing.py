"""The sending lane against peers that take little, little at a time, or nothing but what they like."""

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.uid import JPEGLSLossless, RLELossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from app.archive.models import Instance
from app.dicom import syntaxes
from app.forward import store_lane
from app.forward.store_lane import DeliveryOutcome, Enough, deliver
from app.imaging import PixelSpec
from app.imaging.decode import decode
from app.kit.errors import PeerFault
from app.network.scu import Peer
from app.network.settings import DicomSettings
from tests.support.dimse import Station
from tests.support.postgres import free_port
from tests.support.scp import listening
from tests.support.transferring import fill_archive
from tests.support.waiting import eventually

CT1 = "codecs/wg04/ct1/"
pytestmark = pytest.mark.peer


class Kept:
    """A handler that keeps what comes."""

    def __init__(self, status: int = 0x0000) -> None:
        self.status, self.requests = status, []

    def __call__(self, event: Any) -> int:
        self.requests.append((event.request, event.request.DataSet.getvalue(), event.context.transfer_syntax))
        return self.status


def _deliver(receiver: Station, peer: Peer, **options: Any) -> list[tuple[Instance, DeliveryOutcome]]:
    found: list[tuple[Instance, DeliveryOutcome]] = []
    deliver(
        receiver.archive,
        peer,
        DicomSettings(),
        receiver.instances(),
        lambda instance, outcome: found.append((instance, outcome)),
        **options,
    )
    return found


@pytest.mark.parametrize("max_pdu", [0, 4096, 16382, 70000, 131072])
def test_whatever_the_length_of_a_pdu_every_byte_arrives(
    receiver: Station, shared_data: Path, tmp_path: Path, max_pdu: int
) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 2, tmp_path)
    kept = Kept()
    with listening(kept, max_pdu=max_pdu) as peer:
        found = _deliver(receiver, peer, originator=("ASKER", 77))
    assert [o.state for _, o in found] == ["sent", "sent"]
    for (request, data, _), instance in zip(kept.requests, receiver.instances(), strict=True):
        assert data == receiver.data_set(instance.sop_instance_uid)
        assert request.AffectedSOPInstanceUID == instance.sop_instance_uid
        assert (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID) == ("ASKER", 77)


def test_our_own_limit_holds_where_the_peer_would_take_more(
    receiver: Station, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 1, tmp_path)
    lengths: list[int] = []
    kept = Kept()
    ae = AE("LIAR")
    ae.maximum_pdu_size = 0
    ae.add_supported_context(CTImageStorage, syntaxes.EXPLICIT_LE)
    port = free_port()
    handlers = [(evt.EVT_C_STORE, kept), (evt.EVT_DATA_RECV, lambda event: lengths.append(len(event.data)))]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        _deliver(receiver, Peer("LIAR", "FILMROOM", "127.0.0.1", port), max_pdu=8192)
    finally:
        server.shutdown()
    assert max(lengths) <= 8192 + 6 and kept.requests[0][1] == receiver.newest()


@pytest.mark.parametrize("only", [JPEGLSLossless, RLELossless])
def test_a_peer_that_takes_only_a_compressed_syntax_gets_that(
    receiver: Station, shared_data: Path, tmp_path: Path, only: str
) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 1, tmp_path)
    kept = Kept()
    with listening(kept, [only]) as peer:
        ((instance, outcome),) = _deliver(receiver, peer)
    assert (outcome.state, outcome.transfer_syntax) == ("sent", only)
    assert store_lane.describe_conversion(instance, outcome).startswith("Sent as ")
    arrived = read_dataset(BytesIO(kept.requests[0][1]), False, True)
    frame = next(generate_frames(arrived.PixelData, number_of_frames=1))
    pixels = decode(frame, PixelSpec.from_dataset(arrived, only)).words
    reference = dcmread(shared_data / CT1 / "ct1_uncompressed.dcm").pixel_array
    assert (pixels.reshape(reference.shape).view(reference.dtype) == reference).all()


def test_a_wish_for_compression_is_met(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 1, tmp_path)
    kept = Kept()
    with listening(kept, [syntaxes.EXPLICIT_LE, syntaxes.JPEG_LS]) as peer:
        assert _deliver(receiver, peer)[0][1].transfer_syntax == syntaxes.EXPLICIT_LE
        assert _deliver(receiver, peer, preferred="jpeg-ls")[0][1].transfer_syntax == syntaxes.JPEG_LS
    assert len(kept.requests[1][1]) < len(kept.requests[0][1])


def test_each_answer_is_told_as_the_peer_gave_it(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 5, tmp_path)
    answers = iter([0x0000, 0xB000, 0xA900, 0xC123, 0xA700])

    def handle(event: Any) -> Any:
        from pydicom import Dataset

        status = Dataset()
        status.Status, status.ErrorComment = next(answers), "so there"
        return status

    with listening(handle) as peer:
        found = _deliver(receiver, peer)
    assert [(o.state, o.status) for _, o in found] == [
        ("sent", 0x0000),
        ("warned", 0xB000),
        ("failed", 0xA900),
        ("failed", 0xC123),
        ("busy", 0xA700),
    ]
    assert all(o.comment == "so there" for _, o in found)


def test_enough_releases_and_leaves_the_rest(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 3, tmp_path)
    kept = Kept()

    def one(instance: Instance, outcome: DeliveryOutcome) -> None:
        raise Enough

    with listening(kept) as peer:
        deliver(receiver.archive, peer, DicomSettings(), receiver.instances(), one)
    assert len(kept.requests) == 1


def test_an_abort_in_the_midst_of_an_object_is_told_in_one_line(
    receiver: Station, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 3, tmp_path)

    def handle(event: Any) -> int:
        event.assoc.abort()
        return 0x0000

    with listening(handle) as peer, pytest.raises(PeerFault) as fault:
        _deliver(receiver, peer)
    assert "liar" in fault.value.detail and "\n" not in fault.value.detail


def test_bandwidth_is_a_limit(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 2, tmp_path)
    size = sum(i.bytes for i in receiver.instances())
    with listening(Kept()) as peer:
        started = time.monotonic()
        _deliver(receiver, peer, bandwidth_kib=size / 1024)
    assert time.monotonic() - started > 0.8, "all of it in a second"


def test_a_file_that_was_cut_off_is_no_fault_of_the_peer(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 2, tmp_path)
    first = receiver.instances()[0]
    path = receiver.archive.store.full_path(first.path)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.truncate(first.bytes // 2)
    with listening(Kept()) as peer:
        found = _deliver(receiver, peer)
    assert [(o.state, o.status) for _, o in found] == [("failed", None), ("sent", 0x0000)]


def test_an_association_is_used_again_and_replaced_when_the_peer_has_gone(
    receiver: Station, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / CT1 / "ct1_uncompressed.dcm", 1, tmp_path)
    kept = Kept()
    seen: list[int] = []
    ae = AE("LIAR")
    ae.add_supported_context(CTImageStorage, syntaxes.EXPLICIT_LE)
    port = free_port()
    handlers = [(evt.EVT_C_STORE, kept), (evt.EVT_ACCEPTED, lambda event: seen.append(1))]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        with store_lane.Lane(receiver.archive, Peer("LIAR", "FILMROOM", "127.0.0.1", port), DicomSettings()) as lane:
            for _ in range(3):
                lane.send(receiver.instances(), lambda *_: None)
            assert (len(seen), len(kept.requests)) == (1, 3)
            for association in server.active_associations:
                association.abort()
            eventually(
                lambda: lane._association and lane._association.peer_closed(), "the lane sees that the peer is gone"
            )
            lane.send(receiver.instances(), lambda *_: None)
            assert (len(seen), len(kept.requests)) == (2, 4)
    finally:
        server.shutdown()
