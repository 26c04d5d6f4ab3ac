"""Both ways with Orthanc, which proposes and answers differently from DCMTK's programs."""

from pathlib import Path

import pytest

from app.db import Database
from app.network.probe import probe
from app.network.scu import Peer
from app.network.settings import DicomSettings
from app.worker import Worker
from tests.support.dimse import Station, data_set_of
from tests.support.orthanc import orthanc
from tests.support.transferring import STUDY, fill_archive, order_transfer, transfer_shown, work_until_idle

pytestmark = [pytest.mark.slow, pytest.mark.peer]
FILES = "codecs/wg04/ct1"


def test_it_stores_from_and_sends_to_orthanc(
    receiver: Station, worker: Worker, peopled: Database, shared_data: Path, tmp_path: Path
) -> None:
    fill_archive(receiver, shared_data / FILES / "ct1_jpeg-lossless-sv1.dcm", 5, tmp_path)
    with orthanc(tmp_path / "orthanc", receiver.port) as (port, client):
        found = probe(Peer("ORTHANC", "FILMROOM", "127.0.0.1", port), DicomSettings())
        assert found.ok and {"store"} <= set(found.offers), found
        assert [step.ok for step in found.steps if step.name == "echo"] == [True]
        assert client.post("/modalities/filmroom/echo", json={}).status_code == 200
        transfer_id = order_transfer(peopled, port, "ORTHANC")
        work_until_idle(worker)
        shown = transfer_shown(peopled, transfer_id)
        assert (shown["state"], shown["sent"]) == ("done", 5), shown
        there = client.get("/instances", params={"expand": ""}).json()
        assert {i["MainDicomTags"]["SOPInstanceUID"] for i in there} == {f"{STUDY}.1.{n}" for n in range(1, 6)}
        # and back: another image, put into Orthanc by its own interface
        made = client.post("/instances", content=(shared_data / FILES / "ct1_uncompressed.dcm").read_bytes()).json()
        answer = client.post("/modalities/filmroom/store", json={"Resources": [made["ID"]], "Synchronous": True})
        assert answer.status_code == 200 and answer.json()["FailedInstancesCount"] == 0, answer.text
        kept = client.get(f"/instances/{made['ID']}/file").content
        (tmp_path / "kept.dcm").write_bytes(kept)
        uid = client.get(f"/instances/{made['ID']}").json()["MainDicomTags"]["SOPInstanceUID"]
        ours = receiver.data_set(uid)
        theirs = data_set_of(tmp_path / "kept.dcm")
        assert ours == theirs or theirs.startswith(ours), "Orthanc (DCMTK) leaves trailing padding out when it sends"
