"""Orthanc moves from us, and both commit to each other what they have."""

from pathlib import Path

import pytest
from sqlalchemy import update

from app.jobs.models import Job
from app.kit.clock import now
from app.nodes import commitment
from app.nodes.models import Commitment
from app.security.actor import SYSTEM
from app.worker import LANES, Worker, handler_of
from tests.support.dimse import Station, data_set_of
from tests.support.orthanc import orthanc
from tests.support.pacs import CT, make_study
from tests.support.retrieving import add_node, fill, keys_of
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def _work(worker: Worker) -> None:
    with worker.database.write() as session:
        session.execute(update(Job).where(Job.state == "queued").values(run_after=now()))
    claimed = worker._claim(list(LANES["commitment"][1]))
    assert claimed is not None
    worker._run(claimed, handler_of(claimed.kind))


def test_moves_and_commitment_with_orthanc(receiver: Station, worker: Worker, tmp_path: Path) -> None:
    made = make_study(tmp_path / "study", 1)
    fill(receiver, made.files)
    with orthanc(tmp_path / "orthanc", receiver.port) as (port, client):
        node_id = add_node(receiver, "ORTHANC", port, capabilities=["store", "move", "commitment"])
        # it asks us to move a series to itself
        series, images = next(iter(made.series.items()))
        wanted = {"StudyInstanceUID": made.uid, "SeriesInstanceUID": series}
        body = {"Level": "Series", "Resources": [wanted], "TargetAet": "ORTHANC", "Synchronous": True}
        answer = client.post("/modalities/filmroom/move", json=body)
        assert answer.status_code == 200, answer.text
        there = client.get("/instances", params={"expand": ""}).json()
        assert sorted(i["MainDicomTags"]["SOPInstanceUID"] for i in there) == sorted(images)
        for one in there:
            (tmp_path / "one.dcm").write_bytes(client.get(f"/instances/{one['ID']}/file").content)
            assert data_set_of(tmp_path / "one.dcm") == receiver.data_set(one["MainDicomTags"]["SOPInstanceUID"])

        # it queries us, and retrieves one image of what it found
        keys = keys_of(made, "IMAGE", series=2)
        del keys["QueryRetrieveLevel"]
        found = client.post("/modalities/filmroom/query", json={"Level": "Instance", "Query": keys}).json()
        answer = client.post(f"/queries/{found['ID']}/retrieve", json={"TargetAet": "ORTHANC", "Synchronous": True})
        assert answer.status_code == 200, answer.text
        images = [*images, keys["SOPInstanceUID"]]
        there = client.get("/instances", params={"expand": ""}).json()
        assert sorted(i["MainDicomTags"]["SOPInstanceUID"] for i in there) == sorted(images)

        # we ask it to commit: it answers over an association of its own
        with receiver.database.write() as session:
            asked = commitment.request(session, SYSTEM, node_id, [(CT, u) for u in made.instances], transfer_id="t")
        _work(worker)
        receiver.wait(lambda: _state(receiver, asked) == "done", 30)
        with receiver.database.read() as session:
            found = commitment.transfer_outcome(session, "t")
        assert found.committed == set(images), "what was moved there, and nothing else"
        assert set(found.failed) == set(made.instances) - set(images)

        # it asks us
        body = {"DicomInstances": [[CT, uid] for uid in [*made.instances, "1.2.3.99"]]}
        answer = client.post("/modalities/filmroom/storage-commitment", json=body)
        assert answer.status_code == 200, answer.text
        receiver.calm()
        _work(worker)
        report = eventually(
            lambda: client.get(answer.json()["Path"]).json(),
            "Orthanc reports",
            until=lambda found: found["Status"] != "Pending",
        )
        assert report["Status"] == "Failure", report
        assert {one["SOPInstanceUID"] for one in report["Success"]} == set(made.instances)
        assert [one["SOPInstanceUID"] for one in report["Failures"]] == ["1.2.3.99"]


def _state(receiver: Station, made: str) -> str:
    with receiver.database.read() as session:
        return session.get_one(Commitment, made).state
