"""The whole way through real processes: a modality sends, a person sends on, a PACS receives."""

from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import dcmtk
from tests.support.dimse import data_set_of
from tests.support.live import Live, running
from tests.support.pacs import make_study
from tests.support.postgres import free_port
from tests.support.waiting import eventually, job_ended, pace

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def test_a_study_comes_in_and_goes_on_to_another_node(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "codecs/wg04").glob("*/*_uncompressed.dcm"))[:6]
    with running(tmp_path / "station") as live, live.client() as admin:
        sent = dcmtk.storescu(live.dicom_port, files)
        assert sent.code == 0, sent.output
        studies = {str(dcmread(f, stop_before_pixels=True).StudyInstanceUID) for f in files}
        port = free_port()
        node = {"name": "PACS", "ae_title": "STORESCP", "host": "127.0.0.1", "port": port}
        assert admin.post("/api/v1/nodes", json=node).status_code == 201
        assert admin.post("/api/v1/nodes/PACS/echo").json()["ok"] is False
        with dcmtk.storescp(tmp_path / "pacs", port=port):
            assert admin.post("/api/v1/nodes/PACS/echo").json()["ok"] is True
            places = []
            for study in studies:
                body = {"study_instance_uid": study, "node": "PACS"}
                answer = admin.post("/api/v1/transfers", json=body)
                assert answer.status_code == 202, answer.text
                places.append(answer.headers["location"])
            ended = [job_ended(admin, place) for place in places]
            assert {job["state"] for job in ended} == {"done"}, ended
        wanted = {str(dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files}
        arrived = {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in (tmp_path / "pacs").iterdir()}
        assert set(arrived) == wanted
        stored = {data_set_of(p) for p in (live.data / "store").rglob("*.dcm")}
        assert {data_set_of(p) for p in arrived.values()} == stored
        log = "".join(p.read_text() for p in (live.data / "logs").iterdir())
        assert "association STORESCU to FILMROOM" in log
        for file in files:
            found = dcmread(file, stop_before_pixels=True)
            for value in (str(found.get("PatientName", "")), str(found.get("PatientID", ""))):
                assert len(value) < 4 or value not in log, "patient data in a log"


def test_how_fast_it_leaves_is_told_while_it_leaves(live: Live, shared_data: Path, tmp_path: Path) -> None:
    """Eight objects of half a megabyte at 500 KiB a second: the line of the start page says so, and stops saying so."""
    made = make_study(tmp_path / "made", 71, patient_id="R71", name="Rate^Now", series=[("CT", 8)], side=512)
    with live.client() as admin, dcmtk.storescp(tmp_path / "pacs") as port:
        sent = dcmtk.storescu(live.dicom_port, made.files)
        assert sent.code == 0, sent.output
        node = {"name": "SLOWLY", "ae_title": "STORESCP", "host": "127.0.0.1", "port": port, "bandwidth_kib": 500}
        assert admin.post("/api/v1/nodes", json=node).status_code == 201
        assert admin.get("/api/v1/nodes/SLOWLY").json()["sending"] == 0
        body = {"study_instance_uid": made.uid, "node": "SLOWLY"}
        place = admin.post("/api/v1/transfers", json=body).headers["location"]
        rates, lines, again = [], "", False
        while (state := admin.get(place).json()["state"]) in ("queued", "running"):
            rates.append(admin.get("/api/v1/nodes/SLOWLY").json()["sending"])
            if rates[-1]:
                page = admin.get("/incoming/transfers").text
                lines += "".join(row for row in page.split("<li") if "SLOWLY" in row)
                again = again or "data-again" in page
            pace(0.1)
        assert state == "done"
        assert 100_000 < max(rates) < 1_000_000, rates
        assert "kB/s" in lines and again
        eventually(lambda: not admin.get("/api/v1/nodes/SLOWLY").json()["sending"], "the rate falls to 0")
        items = {one["name"]: one["sending"] for one in admin.get("/api/v1/nodes").json()["items"]}
        assert items["SLOWLY"] == 0
