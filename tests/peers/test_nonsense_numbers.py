"""Archives that answer numbers that are none: the study is shown, and nothing fails."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as STUDY_ROOT

from app.config import Config
from app.db import open_database
from app.retrieve.query_jobs import run_query
from app.worker import Worker
from tests.support.client import Web, open_web
from tests.support.web_peers import sends_body, web_server

NONSENSE = ["²", "1e999", "9" * 20, "9" * 5000, "NaN", "-1", "1_000", "٣", "", "1.5", "five"]
COUNTS = ("NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries")


def _uid(number: int) -> str:
    return f"1.2.3.77.{number}"


@pytest.fixture
def web(sqlite_config: Config) -> Iterator[Web]:
    database = open_database(sqlite_config)
    with open_web(sqlite_config, database) as opened:
        yield opened
    database.dispose()


@contextmanager
def _archive() -> Iterator[dict[str, Any]]:
    """A C-FIND SCP with a study for each number; what a node needs to reach it."""

    def answers(_: Any) -> Iterator[tuple[int, Dataset]]:
        for place, number in enumerate(NONSENSE):
            found = Dataset()
            found.SpecificCharacterSet = "ISO_IR 192"
            found.QueryRetrieveLevel, found.StudyInstanceUID = "STUDY", _uid(place)
            found.PatientName, found.StudyTime = "Doe^Jane", number[:16] if number.isascii() else "²"
            for keyword in COUNTS:
                found.add_new(keyword, "LO", number)  # as bytes on the line: IS of pydicom would refuse it here
            yield 0xFF00, found

    entity = AE(ae_title="NONSENSE")
    entity.add_supported_context(STUDY_ROOT, "1.2.840.10008.1.2")
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answers)])
    try:
        yield {"ae_title": "NONSENSE", "host": "127.0.0.1", "port": server.socket.getsockname()[1]}
    finally:
        server.shutdown()


@contextmanager
def _dicomweb() -> Iterator[dict[str, Any]]:
    """The same by QIDO-RS, with what JSON has beside texts, and attributes that are none."""
    told = [*NONSENSE, float("nan"), float("inf"), 1e300, 10**20, [[1]], {"Alphabetic": 5}, True, None]
    found = [
        {
            "0020000D": {"vr": "UI", "Value": [_uid(place)]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
            "00201208": {"vr": "IS", "Value": [number]},
            "00201206": {"vr": "IS", "Value": [number, number]},
            "00080020": {"vr": "DA", "Value": [number]},
            "F" * 10: {"vr": "LO", "Value": ["x"]},
            "9" * 5000: {"vr": "LO", "Value": ["x"]},
            "²": {"vr": number, "Value": number},
        }
        for place, number in enumerate(told)
    ]
    with web_server(sends_body(json.dumps(found).encode())) as url:
        yield {"protocol": "dicomweb", "url": url}


def _asked(web: Web, node: dict[str, Any]) -> str:
    made = web.admin.post("/api/v1/nodes", json={"name": "nonsense", "capabilities": ["find", "move"]} | node)
    assert made.status_code == 201, made.text
    query = web.admin.post("/api/v1/queries", json={"nodes": [made.json()["id"]], "patient_name": "Doe*"})
    assert query.status_code == 202, query.text
    worker = Worker(web.services.config)
    try:
        claimed = worker._claim(["query.ask"])
        assert claimed is not None
        worker._run(claimed, run_query)
    finally:
        worker.database.dispose()
    return str(query.json()["id"])


@pytest.mark.parametrize(("archive", "count"), [(_archive, len(NONSENSE)), (_dicomweb, len(NONSENSE) + 8)])
def test_studies_with_nonsense_numbers_are_shown(web: Web, archive: Any, count: int, tmp_path: Path) -> None:
    with archive() as node:
        query = _asked(web, node)
    for sort in ("-date", "images", "-images", "name"):
        told = web.admin.get(f"/api/v1/queries/{query}", params={"sort": sort}).json()
        assert told["state"] == "done" and not any(one["error"] for one in told["nodes"]), told["nodes"]
        assert len(told["items"]) == count, told
        for address in ("/query", "/query/rows"):
            answer = web.admin.get(address, params={"id": query, "sort": sort})
            assert answer.status_code == 200 and answer.text.count('data-remote="study"') == count, address
    for place in range(count):
        answer = web.admin.get("/query", params={"id": query, "cursor": place})
        assert answer.status_code == 200
    assert {one["images"] for one in told["items"]} <= {None, 5}
