"""NET-9: each kind of operation that others do here stands in the transfer log, with peer, title, result, counts, bytes."""

from pathlib import Path

import pytest
from sqlalchemy import select

from app.nodes import operation_log
from app.nodes.models import NetworkOperation
from tests.support import dcmtk
from tests.support.commit_scu import Asker
from tests.support.dimse import Station
from tests.support.pacs import make_study
from tests.support.retrieving import add_node, keys_of

pytestmark = pytest.mark.peer


def test_every_operation_of_a_caller_is_written_down(receiver: Station, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", 1)
    port = receiver.port
    with dcmtk.storescp(tmp_path / "there", title="THERE") as there:
        add_node(receiver, "MODALITY")
        add_node(receiver, "THERE", there)
        titles = {"calling": "MODALITY"}
        assert dcmtk.echoscu(port, calling="MODALITY").code == 0
        assert dcmtk.storescu(port, study.files, **titles).code == 0
        keys = [part for name, value in keys_of(study).items() for part in ("-k", f"{name}={value}")]
        found = dcmtk.run("findscu", "-S", "-aet", "MODALITY", "-aec", "FILMROOM", *keys, "127.0.0.1", str(port))
        assert found.code == 0, found.output
        assert dcmtk.movescu(port, "THERE", keys_of(study), **titles).code == 0
        assert dcmtk.movescu(port, "NOWHERE", keys_of(study), **titles).code != 0
        assert dcmtk.getscu(port, tmp_path / "got", keys_of(study), **titles).code == 0
        assert Asker().ask(receiver, study.instances) == 0
        assert dcmtk.echoscu(port, "NOT-US", "MODALITY").code != 0
    receiver.calm()
    operation_log.flush(receiver.database)
    with receiver.database.read() as session:
        rows = list(session.scalars(select(NetworkOperation).order_by(NetworkOperation.id)))
    size = sum(one.bytes for one in receiver.instances())
    told = {(r.role, r.kind, r.peer, r.title, r.result, r.objects, r.failed) for r in rows}
    assert told == {
        ("scp", "echo", "modality", "MODALITY", "success", 0, 0),
        ("scp", "store", "modality", "MODALITY", "success", 5, 0),
        ("scp", "find", "modality", "MODALITY", "success", 1, 0),
        ("scu", "store", "there", "THERE", "success", 5, 0),  # what the C-MOVE sent
        ("scp", "move", "modality", "MODALITY", "success", 5, 0),
        ("scp", "move", "modality", "MODALITY", "failure", 0, 0),
        ("scp", "get", "modality", "MODALITY", "success", 5, 0),
        ("scp", "commit", "modality", "MODALITY", "success", 5, 0),
        ("scp", "association", "MODALITY", "MODALITY", "refused", 0, 0),
    }
    assert all(r.called in ("FILMROOM", "NOT-US", "") and r.seconds >= 0 and r.address for r in rows)
    assert all(0 < r.bytes <= size for r in rows if r.kind in ("store", "get") or (r.objects == 5 and r.kind == "move"))
    assert [r.words for r in rows if r.result == "failure"] == ["Add a node with AE title NOWHERE in Filmroom first"]


def test_refusals_of_a_stranger_are_counted(receiver: Station) -> None:
    """NET-9: one entry at once and one with the number of the others, however often a stranger asks; a node has one each."""
    add_node(receiver, "MODALITY")
    for _ in range(4):
        assert dcmtk.echoscu(receiver.port, "NOT-US", "STRANGER").code != 0
    for _ in range(2):
        assert dcmtk.echoscu(receiver.port, "NOT-US", "MODALITY").code != 0
    receiver.calm()
    receiver.receiver._services.refusals.flush()
    operation_log.flush(receiver.database)
    with receiver.database.read() as session:
        rows = list(session.scalars(select(NetworkOperation).order_by(NetworkOperation.id)))
    assert [(row.peer, row.result) for row in rows] == [
        ("STRANGER", "refused"),
        ("MODALITY", "refused"),
        ("MODALITY", "refused"),
        ("STRANGER", "refused"),
    ]
    assert str(rows[-1].words).startswith("3 more within a minute") and str(rows[0].words) in str(rows[-1].words)
