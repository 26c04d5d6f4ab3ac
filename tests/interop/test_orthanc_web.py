"""Orthanc's DICOMweb server and client, a second implementation of both: we query, fetch and store there, and it here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from tests.support.dimse import data_set_of
from tests.support.live import PASSWORD, Live
from tests.support.orthanc import orthanc, web
from tests.support.pacs import Made, make_study
from tests.support.waiting import job_ended

pytestmark = [pytest.mark.slow, pytest.mark.peer]
NODE = "ORTHANC-WEB"


@dataclass
class Both:
    """Two installations that know each other by DICOMweb. studies: the first two lie in Orthanc, the others here."""

    admin: httpx.Client
    orthanc: httpx.Client
    data: Path
    studies: list[Made]

    def done(self, answer: httpx.Response) -> dict[str, Any]:
        """What long work came to."""
        assert answer.status_code == 202, answer.text
        return job_ended(self.admin, answer.headers["location"], 90)

    def kept(self) -> dict[str, bytes]:
        """The data sets in our store."""
        found = [path for path in (self.data / "store").rglob("*.dcm") if "/." not in str(path)]
        return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): data_set_of(path) for path in found}


@pytest.fixture(scope="module")
def both(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("web")
    studies = [
        make_study(folder / "made", n, name=f"Web^N{n}", patient_id=f"W{n}", series=[("CT", 4), ("MR", 2)])
        for n in range(80, 84)
    ]
    us = {"Url": f"{live.url}/dicom-web/", "Username": "admin", "Password": PASSWORD}
    with (
        orthanc(folder / "orthanc", live.dicom_port, more=web(filmroom=us)) as (_, client),
        live.client() as admin,
    ):
        for file in (file for made in studies[:2] for file in made.files):
            assert client.post("/instances", content=file.read_bytes()).status_code == 200
        for file in (file for made in studies[2:] for file in made.files):
            assert admin.post("/api/v1/imports", files=[("files", file.read_bytes())]).status_code == 200
        body = {"name": NODE, "protocol": "dicomweb", "url": f"{client.base_url}/dicom-web"}
        made = admin.post("/api/v1/nodes", json=body | {"capabilities": ["store", "find"]})
        assert made.status_code == 201, made.text
        yield Both(admin, client, live.data, studies)


def test_it_is_reached_and_queried(both: Both) -> None:
    told = both.admin.post(f"/api/v1/nodes/{NODE}/echo").json()
    assert told["ok"], told
    shown = both.done(both.admin.post("/api/v1/queries", json={"nodes": [NODE], "patient_name": "Web*"}))
    assert shown["state"] == "done" and {one["key"] for one in shown["items"]} == {m.uid for m in both.studies[:2]}
    first = both.studies[0]
    (one,) = [one for one in shown["items"] if one["key"] == first.uid]
    assert one["images"] == 6 and one["modalities_in_study"] == "CT\\MR", one
    place = f"/api/v1/queries/{shown['id']}/studies/{first.uid}/series"
    series = both.admin.get(place).json()["items"]
    assert {s["key"]: s["images"] for s in series} == {uid: len(images) for uid, images in first.series.items()}
    uid = next(iter(first.series))
    images = both.admin.get(f"{place}/{uid}/instances").json()["items"]
    assert {i["sop_instance_uid"] for i in images} == set(first.series[uid])
    for keys in ({"patient_id": "W81"}, {"patient_name": "*N81", "modalities": ["CT", "MR"]}):
        shown = both.done(both.admin.post("/api/v1/queries", json={"nodes": [NODE], **keys}))
        assert [one["key"] for one in shown["items"]] == [both.studies[1].uid], keys


def test_studies_and_parts_come_by_wado(both: Both) -> None:
    first, second = both.studies[:2]
    got = both.done(both.admin.post("/api/v1/retrieves", json={"node": NODE, "study_instance_uid": first.uid}))
    assert (got["state"], got["used"], got["progress"]) == ("done", "web", {"done": 6, "total": 6}), got
    part = {"node": NODE, "study_instance_uid": second.uid, "series_instance_uid": list(second.series)[1]}
    got = both.done(both.admin.post("/api/v1/retrieves", json=part))
    assert (got["state"], got["progress"]) == ("done", {"done": 2, "total": 2}), got
    kept = both.kept()
    for path in first.files:
        assert kept[str(dcmread(path).SOPInstanceUID)] == data_set_of(path)


def test_it_takes_what_we_send_and_then_only_what_it_lacks(both: Both, tmp_path: Path) -> None:
    third = both.studies[2]
    order = {"study_instance_uid": third.uid, "node": NODE}
    sent = both.done(both.admin.post("/api/v1/transfers", json=order))
    assert (sent["state"], sent["sent"], sent["failed"]) == ("done", 6, 0), sent
    there = both.orthanc.post("/tools/find", json={"Level": "Instance", "Query": {"StudyInstanceUID": third.uid}})
    found = {}
    for number in there.json():
        path = tmp_path / number
        path.write_bytes(both.orthanc.get(f"/instances/{number}/file").content)
        found[str(dcmread(path).SOPInstanceUID)] = data_set_of(path)
    assert found == {str(dcmread(path).SOPInstanceUID): data_set_of(path) for path in third.files}
    assert both.admin.patch(f"/api/v1/nodes/{NODE}", json={"lacks_only": True}).status_code == 200
    again = both.done(both.admin.post("/api/v1/transfers", json=order))
    assert (again["there"], again["sent"]) == (6, 0), again


def test_orthanc_finds_fetches_and_stores_here(both: Both, tmp_path: Path) -> None:
    fourth, server = both.studies[3], "/dicom-web/servers/filmroom"
    found = both.orthanc.post(f"{server}/qido", json={"Uri": "/studies", "Arguments": {"PatientID": "W83"}}).json()
    assert [one["0020000D"]["Value"] for one in found] == [fourth.uid], found
    answer = both.orthanc.post(f"{server}/retrieve", json={"Resources": [{"Study": fourth.uid}]})
    assert answer.status_code == 200, answer.text
    there = both.orthanc.post("/tools/find", json={"Level": "Instance", "Query": {"StudyInstanceUID": fourth.uid}})
    assert len(there.json()) == 6
    fifth = make_study(tmp_path, 84, patient_id="W84", series=[("CT", 3)])
    made = [both.orthanc.post("/instances", content=file.read_bytes()).json()["ID"] for file in fifth.files]
    answer = both.orthanc.post(f"{server}/stow", json={"Resources": made, "Synchronous": True})
    assert answer.status_code == 200, answer.text
    kept = both.kept()
    for path in fifth.files:
        assert kept[str(dcmread(path).SOPInstanceUID)] == data_set_of(path)
