"""What leaves otherwise than it is stored, and what is dropped here after it is proven elsewhere: to real receivers."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit
from sqlalchemy import select

from app.archive import service as archive
from app.archive.models import Instance
from app.forward import derived
from app.forward import transfers as peers
from app.forward.models import DerivedObject, Transfer
from app.kit.errors import Conflict
from tests.archive.make import ct_bytes
from tests.deid.planted import planted_object
from tests.routing.conftest import Clock, Site
from tests.support import dcmtk
from tests.support.dimse import data_set_of
from tests.support.postgres import free_port

pytestmark = pytest.mark.peer
NOW = {"kind": "object"}
ANONYMIZE = {"do": "anonymize", "profile": "basic"}
CHANGE = {
    "do": "change",
    "changes": [
        {"op": "set", "tag": "InstitutionName", "value": "Śródmieście"},
        {"op": "remove", "tag": "AccessionNumber"},
        {"op": "replace", "tag": "StudyDescription", "find": "Chest", "value": "Thorax"},
        {"op": "copy", "tag": "StudyID", "source": "PatientID"},
    ],
}


def send(*nodes: str) -> dict[str, object]:
    return {"do": "send", "nodes": list(nodes)}


def stored(site: Site) -> dict[str, bytes]:
    """Everything in the archive, by SOP Instance UID, as whole files."""
    with site.database.read() as session:
        rows = session.scalars(select(Instance))
        return {row.sop_instance_uid: (site.config.store / row.path).read_bytes() for row in rows}


def left_over(site: Site) -> tuple[int, list[str]]:
    with site.database.read() as session:
        return len(list(session.scalars(select(DerivedObject)))), derived.holders_on_disk(site.archive.store)


def test_an_anonymized_copy_leaves_and_nothing_planted_with_it(site: Site, tmp_path: Path) -> None:
    data, planted = planted_object()
    with dcmtk.storescp(tmp_path / "scp") as port:
        site.node("research", port)
        route = site.route("research", ANONYMIZE, send("research"), when=NOW)
        assert site.put(data).status == "stored"
        before = stored(site)
        site.all_at_once()
    (run,) = site.runs(route)
    assert (run.state, run.reason) == ("done", None)
    (path,) = (tmp_path / "scp").iterdir()
    came = path.read_bytes()
    assert {where: token for token, where in planted.items() if token in came or token in path.name.encode()} == {}
    assert dcmread(path).PatientIdentityRemoved == "YES"
    assert stored(site) == before, "the stored original is only read"
    assert left_over(site) == (0, [])
    shown = str(run.done)
    assert not any(token.decode("latin-1") in shown for token in planted), "the report names no value"
    assert run.uids is not None


def test_changed_attributes_leave_and_the_original_stays(site: Site, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "plain") as plain, dcmtk.storescp(tmp_path / "scp") as port:
        site.node("plain", plain)
        site.node("changed", port)
        route = site.route("change", send("plain"), CHANGE, send("changed"), when=NOW)
        for number in range(3):
            site.put(sop=f"1.2.3.1.1.{number}")
        before = stored(site)
        site.all_at_once()
    assert [run.state for run in site.runs(route)] == ["done"]
    assert stored(site) == before
    for path in (tmp_path / "plain").iterdir():
        uid = str(dcmread(path).SOPInstanceUID)
        with site.database.read() as session:
            row = session.scalars(select(Instance).where(Instance.sop_instance_uid == uid)).one()
        assert data_set_of(path) == before[uid][row.data_set_offset :]
    changed = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, (tmp_path / "scp").iterdir())}
    assert set(changed) == set(before)
    for ds in changed.values():
        assert (ds.InstitutionName, ds.StudyDescription, ds.StudyID) == ("Śródmieście", "Thorax", "P1")
        assert "AccessionNumber" not in ds and ds.PatientName == "Doe^Jane"
        assert ds.PixelData == b"\x01\x00" * 16
    assert left_over(site) == (0, [])


def _bytes_of(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_what_cannot_be_cleaned_does_not_leave_in_any_form(site: Site, tmp_path: Path) -> None:
    """A frame that is no code stream of its transfer syntax: stored, refused by the anonymizer."""
    with dcmtk.storescp(tmp_path / "scp") as port:
        site.node("research", port)
        route = site.route("research", ANONYMIZE, send("research"), {"do": "drop"}, when=NOW)
        site.put(ct_bytes("1.2.3.1.1.1"))
        odd = dcmread(BytesIO(ct_bytes("1.2.3.1.1.2")))
        odd.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        odd.PixelData = encapsulate([b"no code stream at all"])
        site.put(_bytes_of(odd))
        site.all_at_once()
    (run,) = site.runs(route)
    assert run.state == "failed" and "1 object was not sent" in (run.reason or "")
    assert len(list((tmp_path / "scp").iterdir())) == 1
    assert len(stored(site)) == 2, "nothing is dropped while something could not be sent"
    assert left_over(site) == (0, [])


def test_local_objects_go_once_all_has_arrived(site: Site, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "a") as first, dcmtk.storescp(tmp_path / "b") as second:
        site.node("a", first)
        site.node("b", second)
        route = site.route("through", send("a", "b"), {"do": "drop"}, when=NOW)
        for number in range(3):
            site.put(sop=f"1.2.3.1.1.{number}")
        site.put(sop="1.2.8.1.1", study="1.2.8", series="1.2.8.1", PatientID="P2")
        site.all_at_once()
    assert {run.state for run in site.runs(route)} == {"done"}
    assert stored(site) == {}
    assert [len(list((tmp_path / name).iterdir())) for name in "ab"] == [4, 4]
    with site.database.read() as session:
        from app.audit import list_events

        events, _ = list_events(session, actor_name=None, verb="route.drop", outcome=None, before=None, limit=10)
    assert sorted(event.detail["objects"] for event in events) == [1, 3]


def test_a_dead_destination_keeps_everything_here(site: Site, clock: Clock, tmp_path: Path) -> None:
    port = free_port()
    with dcmtk.storescp(tmp_path / "a") as alive:
        site.node("alive", alive)
        site.node("dead", port, title="LATER")
        route = site.route("through", send("alive", "dead"), {"do": "drop"}, when=NOW)
        for number in range(3):
            site.put(sop=f"1.2.3.1.1.{number}")
        site.all_at_once()
        assert len(list((tmp_path / "a").iterdir())) == 3
        assert len(stored(site)) == 3
        with site.database.write() as session, pytest.raises(Conflict):
            archive.delete_study(session, site.admin, "1.2.3.1")
        for _ in range(6):
            clock(4000)
            site.all_at_once()
        (run,) = site.runs(route)
        assert run.state == "sending" and "dead" in (run.reason or "")
        assert len(stored(site)) == 3
        with site.database.read() as session:
            (letter,) = session.scalars(select(Transfer).where(Transfer.state == "failed"))
        with dcmtk.storescp(tmp_path / "later", port=port, title="LATER"):
            with site.database.write() as session:
                peers.retry_transfer(session, site.admin, letter.id)
            clock(100)
            site.all_at_once()
    assert site.runs(route)[0].state == "done"
    assert len(list((tmp_path / "later").iterdir())) == 3
    assert stored(site) == {}


def test_a_locked_study_is_kept_and_said_so(site: Site, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "a") as port:
        site.node("a", port)
        route = site.route("through", send("a"), {"do": "drop"}, when=NOW)
        site.put()
        with site.database.write() as session:
            from app.archive.models import Study

            session.scalars(select(Study)).one().locked = True
        site.all_at_once()
    (run,) = site.runs(route)
    assert run.state == "done" and "locked" in (run.reason or "") and run.done["kept"] == 1
    assert len(stored(site)) == 1


def test_nothing_goes_while_another_route_has_yet_to_look(site: Site, clock: Clock, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "a") as port:
        site.node("a", port)
        site.route("through", send("a"), {"do": "drop"}, when=NOW)
        slow = site.route("slow", send("a"), when={"kind": "settled", "quiet": 60})
        site.put()
        site.turn()
        from tests.support.forwarding import work_off

        work_off(site.worker)
        site.turn()
        assert len(stored(site)) == 1
        clock(61)
        site.all_at_once()
        assert site.runs(slow)[0].state == "done"
        clock(61)
        site.all_at_once()
    assert stored(site) == {}


def test_a_try_that_died_while_making_copies_begins_anew(site: Site, tmp_path: Path) -> None:
    """Files without rows, as a kill leaves them, are replaced, and swept when nobody needs them."""
    from app.routing import following

    (site.config.store / ".derived" / "01gone").mkdir(parents=True)
    (site.config.store / ".derived" / "01gone" / "1-1.dcm").write_bytes(b"half")
    assert following.sweep(site.database, site.archive) == 1
    assert left_over(site) == (0, [])
