"""kill -9 of everything between a request for storage commitment and its report: the report goes out all the same."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StorageCommitmentPushModel as PUSH_MODEL

from tests.support import dcmtk, live
from tests.support.committer import INSTANCE, committer
from tests.support.pacs import CT, make_study
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def _ask(port: int, uids: list[str]) -> None:
    ae = AE(ae_title="MODALITY")
    ae.add_requested_context(PUSH_MODEL)
    association = ae.associate("127.0.0.1", port, ae_title="FILMROOM")
    assert association.is_established
    request = Dataset()
    request.TransactionUID, request.ReferencedSOPSequence = "1.2.3.4.5", []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
        request.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(request, 1, PUSH_MODEL, INSTANCE)
    assert status.Status == 0
    association.abort()


def _kill(running: live.Live) -> None:
    """The supervisor first, so that it starts nothing anew."""
    roles = [pid for role in ("dicom", "web", "worker") for pid in running.role_pids(role)]
    running.process.kill()
    running.process.wait()
    for pid in roles:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_the_report_goes_out_after_the_restart(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", 1)
    first = live.start(tmp_path / "data")
    try:
        with committer(first.dicom_port, title="MODALITY") as node:
            body = {"name": "modality", "ae_title": "MODALITY", "host": "127.0.0.1", "port": node.port}
            with first.client() as client:
                assert client.post("/api/v1/nodes", json=body).status_code == 201
            assert dcmtk.storescu(first.dicom_port, study.files).code == 0
            _ask(first.dicom_port, study.instances)
            _kill(first)
            assert not node.reports
            with live.running(tmp_path / "data") as again, again.client() as client:
                eventually(lambda: node.reports, "the report")
                ((kind, report),) = node.reports
                assert kind == 1 and report.TransactionUID == "1.2.3.4.5"
                assert [str(i.ReferencedSOPInstanceUID) for i in report.ReferencedSOPSequence] == study.instances
                shown = eventually(
                    lambda: client.get("/api/v1/commitments").json()["items"][0],
                    "the commitment is done",
                    until=lambda row: row["state"] == "done",
                )
                assert (shown["committed"], shown["failed"], shown["node"]) == (5, 0, "modality")
    finally:
        first.stop()
