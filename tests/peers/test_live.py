"""The whole way through real processes: a modality sends, a person sends on, a PACS receives."""

import time
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import dcmtk
from tests.support.dimse import data_set_of
from tests.support.live import running
from tests.support.postgres import free_port

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
            until = time.monotonic() + 30
            states = {"queued"}
            while states & {"queued", "running"} and time.monotonic() < until:
                time.sleep(0.1)
                states = {admin.get(place).json()["state"] for place in places}
            assert states == {"done"}, [admin.get(place).json() for place in places]
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
