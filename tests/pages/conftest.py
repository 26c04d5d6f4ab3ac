"""Installations whose pages have something to show."""

import pytest

from app.archive import Source
from tests.archive.make import ct_bytes
from tests.support.client import Web


def facility(web: Web, name: str) -> str:
    items = web.admin.get("/api/v1/facilities").json()["items"]
    return str(next(one["id"] for one in items if one["name"] == name))


def put(web: Web, *, facility_id: str | None = None, **more: object) -> str:
    incoming = web.services.archive.receive(Source(kind="upload", calling_ae="CT_A801", facility_id=facility_id))
    incoming.write(ct_bytes(**more))  # type: ignore[arg-type]
    return str(web.services.archive.ingest(incoming).status)


@pytest.fixture
def filled(web: Web) -> Web:
    """Two studies of North, one of South with a hostile name."""
    north, south = facility(web, "North"), facility(web, "South")
    assert put(web, facility_id=north, PatientName="Hong^Gildong=洪^吉洞", AccessionNumber="N1") == "stored"
    second = {"sop": "1.2.3.2.1.1", "study": "1.2.3.2", "series": "1.2.3.2.1"}
    assert put(web, facility_id=north, **second, PatientName="Ramírez^Lucía", StudyDate="20250102") == "stored"
    third = {"sop": "1.2.3.3.1.1", "study": "1.2.3.3", "series": "1.2.3.3.1"}
    hostile = "<script>alert(1)</script>^\"x' onclick="
    assert put(web, facility_id=south, **third, PatientName=hostile, StudyDescription="<b>&") == "stored"
    return web
