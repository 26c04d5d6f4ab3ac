"""A marked person goes through every interface of a running installation, well and badly; no log may know them (SEC-5)."""

import io
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tests.support import live as live_server
from tests.support.live import Live
from tests.support.marked import MARKED, assert_not_in_logs, traces_of_marked
from tests.support.waiting import job_ended

pytestmark = [pytest.mark.slow, pytest.mark.peer]
NAME = MARKED["PatientName"]


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An installation that logs everything it can."""
    data = tmp_path_factory.mktemp("marked") / "data"
    with live_server.running(data, environ={"FILMROOM_LOG_LEVEL": "DEBUG"}) as running:
        yield running


@pytest.fixture(scope="module")
def marked_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real CT that says the marked person's data wherever it can."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword, value in MARKED.items():
        setattr(dataset, keyword, value)
    dataset.PatientComments = f"{NAME} {MARKED['PatientID']}"
    dataset.StudyDescription = f"Follow-up of {NAME}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path = tmp_path_factory.mktemp("sent") / "marked.dcm"
    dataset.save_as(path)
    return path


def store(live: Live, path: Path) -> None:
    program = shutil.which("storescu")
    assert program, "install Debian's package dcmtk (`make setup` does)"
    subprocess.run(
        [program, "-aec", "FILMROOM", "127.0.0.1", str(live.dicom_port), str(path)],
        capture_output=True,
        timeout=60,
        check=False,
    )


def wait_for(client: httpx.Client, address: str) -> str:
    return str(job_ended(client, address)["state"])


def test_the_marked_person_stands_in_no_log(talkative: Live, marked_file: Path, tmp_path: Path) -> None:
    live, raw = talkative, marked_file.read_bytes()
    dataset = pydicom.dcmread(marked_file)
    store(live, marked_file)
    other = pydicom.dcmread(marked_file)
    other.PatientComments = f"another content of {NAME}"  # a conflict
    other.save_as(tmp_path / "other.dcm")
    store(live, tmp_path / "other.dcm")
    (tmp_path / "cut.dcm").write_bytes(raw[: len(raw) // 2])
    store(live, tmp_path / "cut.dcm")

    with live.client() as client:
        found = client.get("/dicom-web/studies", params={"PatientName": NAME}).json()
        assert len(found) == 1, "the marked study must have come in, or this test shows nothing"
        study = str(dataset.StudyInstanceUID)
        for path in (
            f"/api/v1/studies?patient_name={NAME}",
            f"/api/v1/studies?PatientID={MARKED['PatientID']}",
            f"/api/v1/studies/{NAME}",
            f"/dicom-web/studies?PatientID={MARKED['PatientID']}&limit=x",
            f"/dicom-web/studies/{study}/metadata",
            f"/storage?q={NAME}&patient={MARKED['PatientID']}",
            f"/{NAME}/nothing",
            f"/viewer?study={NAME}",
            f"/wado?requestType=WADO&studyUID={NAME}&seriesUID=1&objectUID=1",
        ):
            client.get(path)
        files = [
            ("files", (f"{NAME}.dcm", raw)),
            ("files", (f"{NAME} broken.dcm", raw[:2000])),
            ("files", (f"{NAME}.txt", NAME.encode())),
        ]
        client.post("/api/v1/imports", files=files)
        client.post("/api/v1/imports", content=io.BytesIO(raw[:3000]), headers={"Content-Type": "application/dicom"})
        client.post("/api/v1/sessions", json={"user": NAME, "password": MARKED["PatientID"]})
        client.post("/api/v1/prints", json={"study_instance_uid": NAME, "layout": NAME})
        node = {"name": "away", "ae_title": "AWAY", "host": "127.0.0.1", "port": 9}
        client.post("/api/v1/nodes", json=node)
        for address, body in (
            ("/api/v1/prints", {"study_instance_uid": study, "layout": "1x1", "output": "pdf"}),
            ("/api/v1/anonymizations", {"study_instance_uid": study, "profile": "basic"}),
        ):
            answer = client.post(address, json=body)
            assert answer.status_code == 202, answer.text
            assert wait_for(client, answer.headers["Location"]) == "done"
        client.post("/api/v1/transfers", json={"study_instance_uid": study, "node": "away"})
        time.sleep(3)  # the worker tries to send, fails and logs it
    live.stop()
    console = live.log.read_text("utf-8", "replace")
    assert len(list((live.data / "logs").glob("*.log*"))) >= 3, "web, dicom and worker each keep a log"
    assert_not_in_logs(live.data / "logs", console)
    assert traces_of_marked("\n".join(str(path) for path in (live.data / "logs").iterdir())) == []
