"""A UID that another facility holds: the sender learns that its object is on hold and nothing else (SEC-10, ARC-3)."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind
from sqlalchemy import select

from app import config as boot
from app.archive import Source, jobs, service
from app.archive.models import ObjectConflict
from app.config import Config
from app.db import Session, open_database
from app.kit.clock import now
from app.kit.ids import new_id
from app.network.commitment_data import Reference, References
from app.nodes import commitment
from app.security.actor import SYSTEM
from app.security.models import Facility, User
from tests.archive.make import ct_bytes
from tests.support.client import Web, actor, open_web, password_hash
from tests.support.dimse import Station, station
from tests.support.retrieving import add_node

pytestmark = pytest.mark.peer
STUDY, SERIES, OBJECT = "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1"
HOLD = "The object is on hold until an administrator resolves the conflict."
# What of another facility's study an object may meet: its own UID, its series, its study; with equal bytes or not.
MEETINGS = {
    "the same bytes": ct_bytes(),
    "the same object in another encoding": ct_bytes(syntax="1.2.840.10008.1.2"),
    "other content": ct_bytes(PatientComments="b"),
    "another patient": ct_bytes(PatientID="P9"),
    "its UID in another study": ct_bytes(OBJECT, "1.2.9", "1.2.9.1"),
    "its series in another study": ct_bytes("1.2.9.1.1", "1.2.9", SERIES),
    "a new object of its series": ct_bytes("1.2.9.1.2"),
    "a new series of its study": ct_bytes("1.2.9.1.3", STUDY, "1.2.9.3"),
}


@dataclass
class Site:
    """An installation with a study of North in it; bob is a technician of North, dora a user of South."""

    web: Web
    station: Station
    south: str
    node: str  # of South

    def conflicts(self) -> list[ObjectConflict]:
        with self.web.database.read() as session:
            return service.list_conflicts(session, SYSTEM)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Any) -> Iterator[Site]:

    folder = tmp_path_factory.mktemp("holds") / "data"
    shutil.copytree(_sqlite_template, folder)
    config: Config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    with station(config, database) as receiver, open_web(config, database, receiver.archive) as web:
        south, north = web.actor("dora").facility_id, web.actor("bob").facility_id
        assert south and north
        put(receiver, ct_bytes(), north)
        add_node(receiver, "NORTHCT", facility_id=north)
        node = add_node(receiver, "SOUTHCT", facility_id=south)
        with database.write() as session:
            _technician(session, south)
        yield Site(web, receiver, south, node)
    database.dispose()


def put(receiver: Station, data: bytes, facility: str) -> str:
    incoming = receiver.archive.receive(Source("test", facility_id=facility))
    incoming.write(data)
    return receiver.archive.ingest(incoming).status


def store(site: Site, data: bytes, calling: str, called: str = "FILMROOM") -> Dataset:
    """The C-STORE-RSP."""
    ae = AE(calling)
    ae.add_requested_context(CTImageStorage, dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", site.station.port, ae_title=called)
    try:
        return association.send_c_store(dcmread(io.BytesIO(data)))
    finally:
        association.release()


@pytest.mark.parametrize("meeting", MEETINGS)
def test_c_store_of_another_facility_is_put_on_hold(site: Site, meeting: str) -> None:
    answer = store(site, MEETINGS[meeting], "SOUTHCT")
    assert (answer.Status, answer.get("ErrorComment")) == (0, "On hold until an administrator decides")
    newest = site.conflicts()[0]
    assert (newest.reason, newest.facility_id) == ("other facility", site.south)


def test_a_node_of_another_facility_learns_no_more_at_its_title(site: Site) -> None:
    """It may store there; whether and how an object meets others is between that facility and its own nodes."""
    with site.web.database.write() as session:
        session.scalars(select(Facility).where(Facility.name == "North")).one().ae_title = "NORTH"
    clashes = {name: data for name, data in MEETINGS.items() if not name.startswith("a new")}
    said = {name: store(site, data, "SOUTHCT", "NORTH") for name, data in clashes.items()}
    kept = {name: answer.get("ErrorComment") for name, answer in said.items() if answer.get("ErrorComment")}
    assert len(kept) >= 3 and set(kept.values()) == {"On hold until an administrator decides"}, kept
    assert {answer.Status for answer in said.values()} == {0}
    assert "Kept aside" in store(site, MEETINGS["its UID in another study"], "NORTHCT").ErrorComment


@pytest.mark.parametrize("meeting", MEETINGS)
def test_stow_and_import_of_another_facility_say_no_more(site: Site, meeting: str) -> None:
    data = MEETINGS[meeting]
    client = site.web.basic("erik")
    (result,) = client.post("/api/v1/imports", content=data, headers={"Content-Type": "application/dicom"}).json()[
        "results"
    ]
    assert (result["status"], result["reason"], result["warnings"]) == ("conflict", HOLD, [])
    answer = client.post(
        "/dicom-web/studies", content=data,
        headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"},
    )  # fmt: skip
    (failed,) = answer.json()["00081198"]["Value"]
    assert answer.status_code == 409 and "00081199" not in answer.json()
    assert failed["00081197"]["Value"] == [0x0110] and failed["00000902"]["Value"] == [
        "On hold until an administrator decides"
    ]


def _technician(session: Session, facility_id: str) -> None:
    session.add(
        User(
            id=new_id(), name="erik", password_hash=password_hash(), password_changed_at=now(), role="technician",
            facility_id=facility_id, recovery_codes=[], preferences={}, created_at=now(),
        )
    )  # fmt: skip


def test_the_same_bytes_from_two_facilities_wait_for_a_decision_each(site: Site) -> None:
    """Else the decision about the one would discard the other, which was taken."""
    data = ct_bytes(PatientComments="from both")
    for title in ("NORTHCT", "SOUTHCT", "SOUTHCT"):
        assert store(site, data, title).Status == 0
    newest = site.conflicts()[:2]
    assert {(one.facility_id, one.reason) for one in newest} == {
        (site.south, "other facility"),
        (site.web.actor("bob").facility_id, "other content"),
    }
    assert newest[0].sha256 == newest[1].sha256


def test_only_people_who_see_all_find_it(site: Site) -> None:
    store(site, MEETINGS["other content"], "SOUTHCT")
    admin = site.web.admin.get("/api/v1/conflicts").json()["items"]
    admin = [one for one in admin if one["reason"] == "other facility"]  # bob is told of those of his own facility
    assert admin
    assert "/conflicts" in site.web.admin.get("/conflicts").text
    said = []
    for name in ("bob", "dora", "charlie"):
        client = getattr(site.web, name)
        for address in (
            "/api/v1/conflicts", "/conflicts", "/storage", "/incoming", "/api/v1/events?since=0&wait=0", "/api/v1/jobs",
        ):  # fmt: skip
            text = client.get(address).text
            said += [(name, address) for one in admin if one["id"] in text]
            if name == "dora":
                said += [(name, address) for word in ("Doe", OBJECT, "P1") if word in text and "conflicts" in address]
        for one in admin[:2]:
            for decision in ("overwrite", "keep-first"):
                body = {"decision": decision}
                assert client.post(f"/api/v1/conflicts/{one['id']}/decision", json=body).status_code in (403, 404)
    assert said == []


def test_the_other_facility_finds_nothing_of_what_is_here(site: Site) -> None:
    for address in (
        "/dicom-web/studies",
        "/dicom-web/series",
        "/dicom-web/instances",
        f"/dicom-web/studies/{STUDY}/series",
    ):
        answer = site.web.dora.get(address)
        assert answer.status_code in (204, 404) or answer.json() == [], address
    assert site.web.dora.get(f"/dicom-web/studies/{STUDY}/metadata").status_code == 404
    assert len(site.web.bob.get("/dicom-web/instances").json()) == 1
    ae = AE("SOUTHCT")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = ae.associate("127.0.0.1", site.station.port, ae_title="FILMROOM")
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", ""
    answers = list(association.send_c_find(wanted, StudyRootQueryRetrieveInformationModelFind))
    association.release()
    assert [status.Status for status, _ in answers] == [0]


def test_storage_commitment_tells_nothing_of_another_facility(site: Site) -> None:
    """Asked for an object that North has, South hears what it would hear of one that nobody has."""
    store(site, MEETINGS["the same bytes"], "SOUTHCT")
    nobodys = "1.2.3.4.5.6.7"
    with site.web.database.write() as session:
        asked = References(generate_uid(), [Reference(CTImageStorage, OBJECT), Reference(CTImageStorage, nobodys)])
        dora = actor(site.web.database, "dora")
        made = commitment.store_request(session, dora, site.node, asked)
    commitment.verify_objects(site.web.database, site.station.archive, made)
    with site.web.database.read() as session:
        report = commitment.report_of(session, made)
    assert report is not None and not report.objects
    assert {(one.sop_instance, one.reason) for one in report.failed} == {(OBJECT, 0x0112), (nobodys, 0x0112)}


@pytest.mark.parametrize("decision", ["overwrite", "save-as-new"])
@pytest.mark.parametrize(
    "meeting", ["its UID in another study", "its series in another study", "a new object of its series"]
)
def test_a_decision_is_carried_out(site: Site, meeting: str, decision: Any) -> None:
    put(site.station, ct_bytes(), str(site.web.actor("bob").facility_id))
    store(site, MEETINGS[meeting], "SOUTHCT")
    uid = str(dcmread(io.BytesIO(MEETINGS[meeting])).SOPInstanceUID)
    chosen = next(one for one in site.conflicts() if one.sop_instance_uid == uid and one.facility_id == site.south)
    with site.web.database.write() as session:
        service.decide_conflict(session, SYSTEM, chosen.id, decision)

    context: Any = SimpleNamespace(
        database=site.web.database, archive=site.station.archive, config=site.station.config,
        job=SimpleNamespace(created_by="admin"),
    )  # fmt: skip
    outcome = jobs.apply_decision(context, {"conflict_id": chosen.id, "decision": decision})["outcome"]
    found = site.web.dora.get("/dicom-web/instances", params={"SOPInstanceUID": outcome})
    assert [one["00080018"]["Value"] for one in found.json()] == [[outcome]]
    with site.web.database.write() as session:
        service.delete_study(session, SYSTEM, found.json()[0]["0020000D"]["Value"][0])
    put(site.station, ct_bytes(), str(site.web.actor("bob").facility_id))


def test_an_own_object_whose_series_belongs_to_another_study_is_told_so(site: Site) -> None:
    answer = store(site, MEETINGS["its series in another study"], "NORTHCT")
    assert (answer.Status, answer.ErrorComment) == (0, "Kept aside: its series belongs to another study")
    (result,) = site.web.bob.post(
        "/api/v1/imports",
        content=MEETINGS["its series in another study"],
        headers={"Content-Type": "application/dicom"},
    ).json()["results"]
    assert result["reason"] == "The series belongs to another stored study; this object is on hold."
    stow = site.web.bob.post(
        "/dicom-web/studies", content=MEETINGS["its series in another study"],
        headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"},
    ).json()  # fmt: skip
    assert stow["00081198"]["Value"][0]["00000902"]["Value"] == [answer.ErrorComment]
    listed = site.web.admin.get("/api/v1/conflicts").json()["items"]
    assert "other study" in {one["reason"] for one in listed}


def test_people_who_see_all_hear_of_a_duplicate(site: Site) -> None:
    (result,) = site.web.admin.post(
        "/api/v1/imports", content=ct_bytes(), headers={"Content-Type": "application/dicom"}
    ).json()["results"]
    assert result["status"] == "duplicate"
