"""Copies without identity, sent to a node that is asked what it lacks and to commit what it got: Orthanc."""

from pathlib import Path

import httpx
import pytest

from tests.archive.make import ct_bytes
from tests.support.live import Live
from tests.support.orthanc import orthanc
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def _ended(client: httpx.Client) -> dict[str, object]:
    """The one transfer, once it is over."""
    return eventually(
        lambda: client.get("/api/v1/transfers").json()["items"],
        "the transfer ends",
        until=lambda shown: shown and shown[0]["state"] in ("done", "failed"),
        seconds=90,
    )[0]


def test_a_copy_counts_as_delivered_when_the_node_has_committed_it(live: Live, tmp_path: Path) -> None:
    """The node commits the UIDs that left, not those that stand here; a second time it has everything."""
    with orthanc(tmp_path / "orthanc", live.dicom_port, "RESEARCH") as (port, there), live.client() as client:
        node = {"name": "RESEARCH", "ae_title": "RESEARCH", "host": "127.0.0.1", "port": port, "commitment": True}
        node |= {"lacks_only": True, "capabilities": ["store", "find", "commitment"]}
        client.post("/api/v1/nodes", json=node).raise_for_status()
        actions = [{"do": "anonymize", "profile": "basic", "project": "P"}, {"do": "send", "nodes": ["RESEARCH"]}]
        route = {"name": "research", "when": {"kind": "settled", "quiet": 1}, "actions": actions}
        client.post("/api/v1/routes", json=route | {"enabled": True, "untested": True}).raise_for_status()
        uids = [f"1.2.7.1.1.{number}" for number in (1, 2, 3)]
        for uid in uids:
            data = ct_bytes(study="1.2.7.1", series="1.2.7.1.1", sop=uid)
            client.post("/api/v1/imports", files={"files": ("a.dcm", data)}).raise_for_status()
        shown = _ended(client)
        assert (shown["state"], shown["sent"], shown["committed"]) == ("done", 3, 3), shown
        taken = {
            one["MainDicomTags"]["SOPInstanceUID"] for one in there.get("/instances", params={"expand": ""}).json()
        }
        assert len(taken) == 3 and not taken & set(uids), "only the copies left"
