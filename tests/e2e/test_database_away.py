"""OPS-7: the database goes away under a running installation and comes back. Senders are told to come again, pages and
programs are told why, everything goes on by itself, and nothing that was acknowledged is lost."""

from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from tests.support import dcmtk, postgres
from tests.support.dimse import data_set_of
from tests.support.live import Live, running
from tests.support.sender import Prepared, Sender, make_ct
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def _arrived(folder: Path) -> dict[str, bytes]:
    return {str(dcmread(path, force=True).SOPInstanceUID): data_set_of(path) for path in folder.iterdir()}


def _route(client: httpx.Client, port: int) -> None:
    node = {"name": "pacs", "ae_title": "STORESCP", "host": "127.0.0.1", "port": port}
    client.post("/api/v1/nodes", json=node).raise_for_status()
    rule = {"name": "all", "when": {"kind": "object"}, "actions": [{"do": "send", "nodes": ["pacs"]}]}
    client.post("/api/v1/routes", json=rule | {"enabled": True, "untested": True}).raise_for_status()


def test_a_database_that_goes_and_comes_back(tmp_path: Path) -> None:
    items = [make_ct("1.2.3.9", "1.2.3.9.1", n, size=64) for n in range(6)]
    with (
        postgres.cluster() as cluster,
        postgres.database(cluster.url) as url,
        dcmtk.storescp(tmp_path / "pacs") as port,
        running(tmp_path / "data", "--database-url", url) as live,
        live.client() as client,
    ):
        _route(client, port)
        sender = Sender(live.dicom_port)
        assert [sender.send(item)[0] for item in items[:3]] == [0, 0, 0]
        cluster.stop()
        _while_it_is_away(live, client, sender, items[3])
        cluster.start()
        for item in items[3:]:
            _send_until_taken(live, item)
        live.wait_ready()
        eventually(lambda: len(_arrived(tmp_path / "pacs")) == len(items), "everything arrives")
        sender.abort()
        (shown,) = client.get("/api/v1/studies").json()["items"]
        assert shown["instance_count"] == len(items), shown
    assert _arrived(tmp_path / "pacs") == {item.sop_instance_uid: item.data for item in items}


def _while_it_is_away(live: Live, client: httpx.Client, sender: Sender, item: Prepared) -> None:
    status, words = sender.send(item)
    assert status & 0xFF00 == 0xA700 and words, f"{status:04X} {words}"
    assert dcmtk.echoscu(live.dicom_port).code != 0, "nobody is let in whose rights cannot be looked up"
    answer = client.get("/api/v1/studies")
    assert answer.status_code == 503 and answer.json()["code"] == "unavailable", answer.text
    assert client.get("/").status_code == 503
    eventually(lambda: client.get("/healthz").status_code == 503, "the database is missed")
    status, words = sender.send(item)
    assert status & 0xFF00 == 0xA700, "the association outlives it"


def _send_until_taken(live: Live, item: Prepared) -> None:
    """As a modality does that was told to come again."""

    def status() -> int:
        sender = Sender(live.dicom_port, timeout=20)
        answer, _ = sender.send(item)
        sender.abort()
        return answer

    eventually(status, "the object is taken", until=lambda found: found == 0, ignoring=(OSError,))
