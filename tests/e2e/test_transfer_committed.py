"""A transfer to a node that must commit: delivered only when it has, sent again where it has not. The whole program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import dcmtk, live
from tests.support.committer import Committer, committer
from tests.support.pacs import Made, make_study
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Live]:
    with live.running(tmp_path_factory.mktemp("committed") / "data") as started:
        yield started


def _transfer(running: live.Live, client: httpx.Client, node: Committer, study: Made) -> str:
    """Where the transfer's state stands."""
    assert dcmtk.storescu(running.dicom_port, study.files).code == 0
    body: dict[str, Any] = {"name": node.title.lower(), "ae_title": node.title, "host": "127.0.0.1", "port": node.port}
    body |= {"capabilities": ["store", "commitment"], "commitment": True}
    assert client.post("/api/v1/nodes", json=body).status_code == 201
    made = client.post("/api/v1/transfers", json={"study_instance_uid": study.uid, "node": body["name"]})
    assert made.status_code == 202, made.text
    return str(made.headers["Location"])


def _wait(client: httpx.Client, where: str, **wanted: Any) -> dict[str, Any]:
    return eventually(
        lambda: client.get(where).json(), f"{where} has {wanted}", until=lambda shown: wanted.items() <= shown.items()
    )


def test_what_is_sent_counts_once_it_is_committed(running: live.Live, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", 1)
    with running.client() as client, committer(running.dicom_port, title="LATE", how="never") as node:
        where = _transfer(running, client, node, study)
        shown = _wait(client, where, sent=5, committing=True)
        assert (shown["state"], shown["committed"]) == ("running", 0), "sent is not delivered"
        eventually(lambda: node.heard, "the node is asked")
        assert node.call(node.report_of(node.heard[0])) == 0
        shown = _wait(client, where, state="done")
        assert (shown["sent"], shown["committed"], shown["failed"]) == (5, 5, 0)
        asked = client.get("/api/v1/commitments", params={"transfer": shown["id"]}).json()["items"]
        assert [(one["role"], one["state"], one["committed"]) for one in asked] == [("scu", "done", 5)]


def test_what_is_not_committed_is_a_failure_and_sent_again(running: live.Live, tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", 2)
    lost = study.instances[3]
    with running.client() as client, committer(running.dicom_port, title="LOSER", refuse={lost}) as node:
        where = _transfer(running, client, node, study)
        shown = _wait(client, where, state="failed")
        assert (shown["committed"], shown["failed"]) == (4, 1)
        first = client.get(f"{where}/instances").json()["items"][0]
        assert first["sop_instance_uid"] == lost and "it has no such object" in first["message"]
        node.refuse.clear()
        assert client.post(f"{where}/retry").status_code == 202
        shown = _wait(client, where, state="done")
        assert (shown["committed"], shown["failed"]) == (5, 0)
    assert node.stored.count(lost) == 2 and len(node.stored) == 6, "only what was not committed went again"
