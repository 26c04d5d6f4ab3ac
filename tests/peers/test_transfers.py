"""Studies on their way to real peers."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import select, update

from app.archive import Source
from app.config import Config
from app.db import Database
from app.dicom import registry
from app.forward import claims, journal, transfer_json, transfers
from app.forward import queries as transfer_queries
from app.forward.journal import DeliveryAnswer
from app.forward.models import Transfer
from app.kit.clock import now
from app.kit.errors import Conflict, NotFound
from app.nodes import operation_log, service
from app.nodes.models import NetworkOperation
from app.nodes.service import NodeValues
from app.worker import Worker
from tests.support import dcmtk
from tests.support.client import actor
from tests.support.dimse import Station, data_set_of
from tests.support.forwarding import due
from tests.support.postgres import free_port
from tests.support.transferring import STUDY, fill_archive, order_transfer, transfer_shown, work_until_idle
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer


def _idle(worker: Worker) -> bool:
    return not due(worker)


def _due_now(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Transfer).where(Transfer.state == "queued").values(run_after=now()))


def _received(folder: Path) -> dict[str, Path]:
    return {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in folder.iterdir()}


def test_a_study_arrives_unchanged(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 12, tmp_path)
    with dcmtk.storescp(tmp_path / "scp") as port:
        transfer_id = order_transfer(peopled, port)
        assert transfer_shown(peopled, transfer_id)["state"] == "queued"
        work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert (found["state"], found["sent"], found["failed"], found["error"]) == ("done", 12, 0, None)
    assert found["progress"] == {"done": 12, "total": 12}
    arrived = _received(tmp_path / "scp")
    assert len(arrived) == 12
    for instance in receiver.instances():
        assert data_set_of(arrived[instance.sop_instance_uid]) == receiver.data_set(instance.sop_instance_uid)


def test_compressed_goes_as_stored_to_who_takes_it(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_jpeg-lossless-sv1.dcm", 3, tmp_path)
    stored = receiver.instances()[0].transfer_syntax_uid
    with dcmtk.storescp(tmp_path / "scp", "+xs") as port:  # takes JPEG lossless
        order_transfer(peopled, port)
        work_until_idle(worker)
    for uid, path in _received(tmp_path / "scp").items():
        assert dcmread(path).file_meta.TransferSyntaxUID == stored
        assert data_set_of(path) == receiver.data_set(uid)


@pytest.mark.parametrize("name", ["ct1_jpeg-lossless-sv1", "ct1_jpegls-lossless", "ct1_j2k-lossless", "ct1_rle"])
def test_compressed_is_decompressed_for_who_does_not(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path, name: str
) -> None:
    fill_archive(receiver, shared_data / f"codecs/wg04/ct1/{name}.dcm", 2, tmp_path)
    with dcmtk.storescp(tmp_path / "scp", "+xi") as port:  # Implicit VR Little Endian only
        transfer_id = order_transfer(peopled, port)
        work_until_idle(worker)
    assert transfer_shown(peopled, transfer_id)["state"] == "done", transfer_shown(peopled, transfer_id)
    reference = dcmread(shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm")
    arrived = _received(tmp_path / "scp")
    assert len(arrived) == 2
    for path in arrived.values():
        found = dcmread(path)
        assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
        assert (found.pixel_array == reference.pixel_array).all()
        assert found.PatientID == reference.PatientID
    operation_log.flush(worker.database)
    with peopled.read() as session:
        (line,) = session.scalars(select(NetworkOperation).where(NetworkOperation.kind == "store"))
    stored = receiver.instances()[0].transfer_syntax_uid
    assert line.words == f"2 converted, from {registry.name(stored)} to Implicit VR Little Endian."


def test_big_endian_is_turned_round(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    big = next(
        p
        for p in sorted(shared_data.rglob("*.dcm"))
        if p.stat().st_size < 3_000_000 and b"1.2.840.10008.1.2.2\0" in p.read_bytes()[:1000]
    )
    raw = receiver.archive.receive(Source(kind="upload"))
    raw.write(big.read_bytes())
    outcome = receiver.archive.ingest(raw)
    with dcmtk.storescp(tmp_path / "scp", "+xi") as port:
        admin = actor(peopled, "admin")
        with peopled.write() as session:
            service.create_node(session, admin, NodeValues("pacs", "STORESCP", "127.0.0.1", port))
            transfer_id = transfers.create_transfer(session, admin, outcome.study_instance_uid, "pacs").id
        work_until_idle(worker)
    assert transfer_shown(peopled, transfer_id)["state"] == "done", transfer_shown(peopled, transfer_id)
    (arrived,) = _received(tmp_path / "scp").values()
    assert (dcmread(arrived).pixel_array == dcmread(big).pixel_array).all()


def test_a_dead_peer_is_tried_again_and_then_gets_everything(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 3, tmp_path)
    port = free_port()
    transfer_id = order_transfer(peopled, port)
    work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert found["state"] == "queued" and found["waiting"] == 3
    assert "refuses connections" in str(found["error"])
    assert _idle(worker), "it waits for its pause"
    _due_now(peopled)
    with dcmtk.storescp(tmp_path / "scp", port=port):
        work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert (found["state"], found["sent"], found["attempts"], found["error"]) == ("done", 3, 2, None)


def test_after_the_last_try_it_is_failed_and_one_click_sends_it_again(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 2, tmp_path)
    port = free_port()
    transfer_id = order_transfer(peopled, port)
    for _ in range(4):  # the first and three more
        _due_now(peopled)
        work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert (found["state"], found["failed"], found["attempts"]) == ("failed", 2, 4)
    with peopled.write() as session:
        transfers.retry_transfer(session, actor(peopled, "admin"), transfer_id)
    with dcmtk.storescp(tmp_path / "scp", port=port):
        work_until_idle(worker)
    assert transfer_shown(peopled, transfer_id)["state"] == "done"
    assert len(_received(tmp_path / "scp")) == 2


def test_the_peers_own_words_are_kept(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path, sqlite_config: Config
) -> None:
    """The peer is a second station of ours that refuses: what it stores has no Study Instance UID in its eyes."""
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 2, tmp_path)
    transfer_id = order_transfer(peopled, receiver.port, "FILMROOM")
    with peopled.write() as session:
        from app.archive.models import Instance

        first = session.query(Instance).first()
        assert first is not None
        first.data_set_offset += 6  # sent from the wrong place: no data set any more
    work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert (found["state"], found["sent"], found["failed"]) == ("failed", 1, 1)
    with peopled.read() as session:
        rows = [transfer_json.instance_json(r) for r in transfer_queries.instances(session, transfer_id, 10)]
    assert rows[0]["state"] == "failed" and rows[0]["status"] == "C000" and rows[0]["message"]
    assert rows[1]["state"] == "sent" and rows[1]["status"] == "0000"


def test_a_peer_that_dies_in_the_middle_gets_only_the_rest(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 6, tmp_path)
    transfer_id = order_transfer(peopled, free_port())
    with dcmtk.storescp(tmp_path / "first", "--abort-after") as port:  # aborts after the first object
        with peopled.write() as session:
            service.update_node(session, actor(peopled, "admin"), "pacs", NodeValues(port=port))
        work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert found["state"] == "queued" and found["error"]
    sent = int(str(found["sent"]))
    _due_now(peopled)
    with dcmtk.storescp(tmp_path / "second") as port:
        with peopled.write() as session:
            service.update_node(session, actor(peopled, "admin"), "pacs", NodeValues(port=port))
        work_until_idle(worker)
    assert transfer_shown(peopled, transfer_id)["state"] == "done"
    assert len(_received(tmp_path / "second")) == 6 - sent


def test_a_cancelled_transfer_stops(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 40, tmp_path)
    with dcmtk.storescp(tmp_path / "scp", "--sleep-after", "1") as port:  # one second after each object
        transfer_id = order_transfer(peopled, port)
        running = threading.Thread(target=work_until_idle, args=(worker,))
        running.start()
        eventually(lambda: list((tmp_path / "scp").iterdir()), "the first object arrives")
        with peopled.write() as session:
            transfers.cancel_transfer(session, actor(peopled, "admin"), transfer_id)
        running.join(60)
        assert not running.is_alive()
    found = transfer_shown(peopled, transfer_id)
    assert found["state"] == "cancelled" and int(str(found["sent"])) < 10


def test_a_worker_that_was_killed_leaves_a_transfer_that_goes_on(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    """It had taken all three, sent two of them, and written one answer down nowhere but in its journal."""
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 3, tmp_path)
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    with dcmtk.storescp(tmp_path / "scp") as port:
        transfer_id = order_transfer(peopled, port)
        with peopled.write() as session:
            node_id = session.scalars(select(Transfer.node_id)).one()
            slot = claims.take_slot(session, node_id, f"{worker.name.rpartition(':')[0]}:{gone.pid}")
            assert slot is not None
            batch = claims.claim(session, slot, 10)
            assert len(batch.rows) == 3
            claims.record_answers(session, [DeliveryAnswer(batch.rows[0].id, "sent", 0, None)])
        left = journal.Journal(journal.journal_path(worker.config.run, node_id, slot.number))
        left.write(DeliveryAnswer(batch.rows[1].id, "sent", 0, None))
        os.write(left._fd, b'[17, "se')  # and it was killed while it wrote
        assert _idle(worker), "they are in dead hands"
        worker.forwarder.release_dead()
        work_until_idle(worker)
    found = transfer_shown(peopled, transfer_id)
    assert (found["state"], found["sent"]) == ("done", 3)
    assert list(_received(tmp_path / "scp")) == [batch.rows[2].sop_instance_uid]


def test_what_cannot_be_sent_is_refused_at_once(receiver: Station, peopled: Database) -> None:
    admin = actor(peopled, "admin")
    with pytest.raises(NotFound), peopled.write() as session:
        transfers.create_transfer(session, admin, STUDY, "nobody")
    with peopled.write() as session:
        service.create_node(session, admin, NodeValues("pacs", "X", "127.0.0.1", 104, enabled=False))
    with pytest.raises(NotFound), peopled.write() as session:
        transfers.create_transfer(session, admin, STUDY, "pacs")


def test_a_node_that_is_off_gets_nothing(
    receiver: Station, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm", 1, tmp_path)
    with pytest.raises(Conflict):
        order_transfer(peopled, 104, enabled=False)
