"""The short way to a frame sees what the long way sees: the same bytes, other facilities' objects not, deleted ones no more."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.archive import Source, queries, service
from app.dicomweb import quick_frames
from app.security import SYSTEM
from tests.support.client import Web, actor
from tests.support.multiparts import parts_of
from tests.support.served import Served

ACCEPTS = [
    'multipart/related; type="application/octet-stream"',
    'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    "application/octet-stream",
    "*/*",
]


def test_both_ways_say_the_same(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [f"/dicom-web{one.address}/frames/{n}" for one in served.stored for n in ("1", "2", "999999")]
    asked = [
        (address, accept) for address in addresses[::3] + addresses[1::30] + addresses[2::60] for accept in ACCEPTS
    ]
    asked = asked[:: max(1, len(asked) // 150)]
    with served.client() as client:
        quick = [client.get(address, headers={"Accept": accept}) for address, accept in asked]
        monkeypatch.setattr(quick_frames, "serve_frame", lambda *_: None)
        slow = [client.get(address, headers={"Accept": accept}) for address, accept in asked]
    for (address, accept), one, other in zip(asked, quick, slow, strict=True):
        assert one.status_code == other.status_code, (address, accept)
        if one.status_code == 200:
            assert one.headers["etag"] == other.headers["etag"]
            if "boundary" in one.headers["content-type"]:
                assert _parted(one) == _parted(other), (address, accept)
            else:
                assert one.content == other.content
                assert one.headers["content-type"] == other.headers["content-type"]
    assert sum(one.status_code == 200 for one in quick) > 30


def _parted(answer: httpx.Response) -> Any:
    return parts_of(answer.content, answer.headers["content-type"])


def test_other_facilities_and_deleted_objects_are_not_there(web: Web, shared_data: Path) -> None:
    """Also right after somebody else has seen the frame, so that everything about it is known."""
    data = sorted((shared_data / "series/mr_head_t1").glob("*.dcm"))[0].read_bytes()
    archive = web.services.archive
    incoming = archive.receive(
        Source(kind="upload", actor_name="test", facility_id=actor(web.database, "charlie").facility_id)
    )
    incoming.write(data)
    outcome = archive.ingest(incoming)
    assert outcome.status == "stored"
    with web.database.read() as session:
        found = queries.instance(session, SYSTEM, outcome.sop_instance_uid)
        study = queries.study_of(session, found).study_instance_uid
        series = queries.series_by_pk(session, found.series_pk).series_instance_uid
    address = f"/dicom-web/studies/{study}/series/{series}/instances/{outcome.sop_instance_uid}/frames/1"
    for _ in range(2):
        assert web.basic("alice").get(address).status_code == 200
        assert web.basic("charlie").get(address).status_code == 200
        assert web.basic("dora").get(address).status_code == 404
        assert web.basic("alice").get(address.replace(study, "1.2.3")).status_code == 404
    with web.database.write() as session:
        service.delete_study(session, SYSTEM, study)
    assert web.basic("alice").get(address).status_code == 404
