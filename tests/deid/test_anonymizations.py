"""The whole way through the REST interface and the worker's own loop, on both databases."""

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from sqlalchemy import select

from app import audit
from app.archive import Source, content
from app.archive import queries as archive
from app.deid import jobs as deid_jobs
from app.deid import service as deid_service
from app.deid.models import Anonymization
from app.security import SYSTEM
from app.security.models import Facility
from app.worker import Worker, handler_of
from tests.support.client import Web

Copy = Callable[..., dict[str, Any]]


@pytest.fixture
def study(web: Web, shared_data: Path) -> str:
    """Five CT images of the facility North, with a name nobody else has."""
    with web.database.read() as session:
        facility_id = session.scalar(select(Facility.id).where(Facility.name == "North"))
    uid = ""
    for path in sorted((shared_data / "series" / "ct_chest_lidc0314").glob("*.dcm"))[:5]:
        ds = dcmread(path)
        ds.PatientName, ds.PatientID, ds.AccessionNumber = "Quillfeather^Theodora", "MRN-55812", "ACC-55812"
        ds.ReferringPhysicianName, ds.InstitutionName = "Wobblethwaite^Dr", "Saint Egbert Clinic"
        data = BytesIO()
        ds.save_as(data)
        incoming = web.services.archive.receive(Source("upload", actor_name="test", facility_id=facility_id))
        incoming.write(data.getvalue())
        assert web.services.archive.ingest(incoming).status == "stored"
        uid = ds.StudyInstanceUID
    return uid


@pytest.fixture
def copy(web: Web) -> Iterator[Copy]:
    worker = Worker(web.services.config)
    worker.archive = web.services.archive

    def make(order: dict[str, Any], name: str = "bob") -> dict[str, Any]:
        client = getattr(web, name)
        accepted = client.post("/api/v1/anonymizations", json=order)
        assert accepted.status_code == 202, accepted.text
        assert accepted.json()["state"] == "queued"
        while claimed := worker._claim(["anonymize.study"]):
            worker._run(claimed, handler_of("anonymize.study"))
        answer: dict[str, Any] = client.get(accepted.headers["Location"]).json()
        return answer

    yield make
    worker.database.dispose()


def unzip(web: Web, answer: dict[str, Any], name: str = "bob") -> dict[str, bytes]:
    found = getattr(web, name).get(f"/api/v1/anonymizations/{answer['id']}/archive")
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(found.content)) as bundle:
        assert bundle.testzip() is None
        return {entry: bundle.read(entry) for entry in bundle.namelist()}


def stored(web: Web, uid: str) -> dict[str, str]:
    with web.database.read() as session:
        of = archive.study(session, SYSTEM, uid)
        return {
            one.sop_instance_uid: hashlib.sha256(b"".join(content.iter_object(web.services.archive, one))).hexdigest()
            for one in archive.instances_of_study(session, of)
        }


IDENTIFIERS = (b"quillfeather", b"theodora", b"55812", b"wobblethwaite", b"egbert")


def test_a_study_becomes_a_zip_without_identity(web: Web, study: str, copy: Copy) -> None:
    before = stored(web, study)
    answer = copy({"study_instance_uid": study, "profile": "basic"})
    assert (answer["state"], answer["progress"], answer["error"]) == ("done", {"done": 5, "total": 5}, None)
    files = unzip(web, answer)
    assert sorted(files) == [f"DICOM/SE000001/IM{n:06}.dcm" for n in range(1, 6)]
    clean = [dcmread(BytesIO(data)) for data in files.values()]
    for data in files.values():
        assert not any(word in data.lower() for word in IDENTIFIERS)
        assert study.encode() not in data
        assert not any(uid.encode() in data for uid in before)
    assert {ds.PatientIdentityRemoved for ds in clean} == {"YES"}
    assert len({ds.StudyInstanceUID for ds in clean}) == 1
    assert len({ds.SOPInstanceUID for ds in clean}) == 5
    assert stored(web, study) == before, "the originals must not change"
    report = answer["report"]
    assert report["instances"] == 5
    assert report["method"] == [
        {"code": "113100", "scheme": "DCM", "meaning": "Basic Application Confidentiality Profile"}
    ]
    by_tag = {line["tag"]: line for line in report["attributes"]}
    assert (by_tag["(0010,0010)"]["action"], by_tag["(0010,0010)"]["count"]) == ("P", 5)
    assert "(0008,0016)" not in by_tag, "the SOP class is kept"
    assert by_tag["(0008,0018)"]["action"] == "U"
    assert not any(word in str(answer).lower().encode() for word in IDENTIFIERS)


def test_a_copy_comes_back_into_the_archive_as_a_new_study(web: Web, study: str, copy: Copy) -> None:
    answer = copy({"study_instance_uid": study, "profile": "basic", "to_archive": True})
    new = dcmread(BytesIO(next(iter(unzip(web, answer).values())))).StudyInstanceUID
    assert new != study
    with web.database.read() as session:
        found = archive.study(session, SYSTEM, new)
        assert found.instance_count == 5
        assert found.patient_name.startswith("ANON")
        assert archive.study(session, SYSTEM, study).patient_name == "Quillfeather^Theodora"
        assert found.facility_id == archive.study(session, SYSTEM, study).facility_id
    again = copy({"study_instance_uid": study, "profile": "basic", "to_archive": True})
    assert again["report"]["warnings"] == answer["report"]["warnings"]
    assert len(stored(web, new)) == 5


def test_only_administrators_see_which_uid_became_which(web: Web, study: str, copy: Copy) -> None:
    answer = copy({"study_instance_uid": study})
    url = f"/api/v1/anonymizations/{answer['id']}/uids"
    assert web.bob.get(url).status_code == 403
    assert web.alice.get(url).status_code == 403
    pairs = {item["old"]: item["new"] for item in web.admin.get(url).json()["items"]}
    clean = [dcmread(BytesIO(data)) for data in unzip(web, answer).values()]
    assert pairs[study] == clean[0].StudyInstanceUID
    assert len(pairs) == answer["report"]["uids_replaced"]
    with web.database.read() as session:
        sealed = session.get(Anonymization, answer["id"])
        assert sealed is not None
        assert sealed.uids is not None
        assert study.encode() not in sealed.uids
        verbs = [event.verb for event in audit.list_events(session, limit=50)[0]]
    assert "crossref.read" in verbs
    assert {"study.anonymize", "study.export"} <= set(verbs)


@pytest.mark.parametrize(
    ("order", "status", "problem"),
    [
        ({"profile": "full"}, 422, "unknown-profile"),
        ({"profile": "nonsense"}, 422, "unknown-profile"),
        ({"options": ["clean_pixel_data"]}, 422, "unknown-profile"),
        ({"options": ["retain_full_dates", "retain_modified_dates"]}, 422, "unknown-profile"),
        ({"options": ["retain_uids"], "to_archive": True}, 422, "invalid"),
        ({"study_instance_uid": "1.2.3"}, 404, "not-found"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(
    web: Web, study: str, order: dict[str, Any], status: int, problem: str
) -> None:
    answer = web.bob.post("/api/v1/anonymizations", json={"study_instance_uid": study, "profile": "basic"} | order)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith(problem)


def test_who_may_and_who_may_not(web: Web, study: str, copy: Copy) -> None:
    order = {"study_instance_uid": study, "profile": "basic"}
    assert web.charlie.post("/api/v1/anonymizations", json=order).status_code == 403
    assert web.dora.post("/api/v1/anonymizations", json=order).status_code == 403
    assert web.nobody.post("/api/v1/anonymizations", json=order).status_code == 401
    answer = copy(order)
    url = f"/api/v1/anonymizations/{answer['id']}"
    assert web.charlie.get(url).status_code == 403
    assert web.charlie.get(f"{url}/archive").status_code == 403
    assert web.nobody.get(f"{url}/archive").status_code == 401
    assert web.alice.get(url).status_code == 200
    assert web.alice.delete(url).status_code == 403
    page = web.bob.get(f"/anonymizations/{answer['id']}")
    assert page.status_code == 200
    assert "Patient&#39;s Name" in page.text or "Patient's Name" in page.text
    assert "quillfeather" not in page.text.lower()
    listed = web.bob.get("/api/v1/anonymizations").json()
    assert [item["id"] for item in listed["items"]] == [answer["id"]]
    assert web.bob.delete(url).status_code == 204
    assert web.bob.get(url).status_code == 404
    assert not list(deid_service.folder(web.services.config).iterdir())


def test_a_damaged_object_is_left_out_and_told(web: Web, study: str, copy: Copy) -> None:
    with web.database.read() as session:
        one = archive.instances_of_study(session, archive.study(session, SYSTEM, study))[2]
        path = web.services.archive.store.full_path(one.path)
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[: len(whole) // 2])
    answer = copy({"study_instance_uid": study})
    assert answer["state"] == "done"
    assert answer["report"]["instances"] == 4
    assert answer["report"]["skipped"] == [{"reason": "The stored file of this object is damaged.", "count": 1}]
    assert len(unzip(web, answer)) == 4


def test_a_study_of_nothing_readable_fails_with_the_reason(web: Web, study: str, copy: Copy) -> None:
    with web.database.read() as session:
        for one in archive.instances_of_study(session, archive.study(session, SYSTEM, study)):
            web.services.archive.store.full_path(one.path).unlink()
    answer = copy({"study_instance_uid": study})
    assert answer["state"] == "failed"
    assert "missing" in answer["error"]
    assert web.bob.get(f"/api/v1/anonymizations/{answer['id']}/archive").status_code == 409
    assert list(deid_service.folder(web.services.config).iterdir()) == []


def test_files_without_a_row_are_swept(web: Web, study: str, copy: Copy) -> None:
    import os

    copy({"study_instance_uid": study})
    folder = deid_service.folder(web.services.config)
    stray = folder / "stray.part"
    stray.write_bytes(b"x")
    os.utime(stray, (0, 0))
    with web.database.read() as session:
        assert deid_jobs.sweep(web.services.config, session) == 1
    assert len(list(folder.iterdir())) == 1


def test_research_keeps_intervals(web: Web, study: str, copy: Copy) -> None:
    answer = copy({"study_instance_uid": study, "profile": "research"})
    clean: Dataset = dcmread(BytesIO(next(iter(unzip(web, answer).values()))))
    assert clean.StudyDate
    assert clean.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_name_that_only_another_object_or_study_tells_is_found(web: Web, study: str, copy: Copy) -> None:
    """The patient was called otherwise in a former study, and only one object of this names the operator."""
    with web.database.read() as session:
        facility_id = session.scalar(select(Facility.id).where(Facility.name == "North"))
        first = archive.instances_of_study(session, archive.study(session, SYSTEM, study))[0]
        with content.open_object(web.services.archive, first) as file:
            original = dcmread(BytesIO(file.read()))

    def store(number: int, study_uid: str, **values: str) -> None:
        ds = original.copy()
        ds.SOPInstanceUID, ds.StudyInstanceUID = f"1.2.77.{number}", study_uid
        ds.SeriesInstanceUID, ds.SpecificCharacterSet = f"1.2.78.{number}", "ISO_IR 192"
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        data = BytesIO()
        ds.save_as(data)
        incoming = web.services.archive.receive(Source("upload", actor_name="test", facility_id=facility_id))
        incoming.write(data.getvalue())
        assert web.services.archive.ingest(incoming).status == "stored"

    store(1, "1.2.77.100", PatientName="Wobbelstein^Ada")
    store(2, study, OperatorsName="Zwackelmann^Otto")
    store(3, study, ManufacturerModelName="Zwackelmann", SequenceName="Wobbelstein", ConvolutionKernel="B30f")
    files = unzip(web, copy({"study_instance_uid": study}))
    assert len(files) == 7  # five, and two stored here
    assert not any(word in data.lower() for data in files.values() for word in (b"zwackel", b"wobbelstein"))
    assert any(b"B30f" in data for data in files.values())
