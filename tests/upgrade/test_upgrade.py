"""The present version starts on the data folder of an earlier one and reads all of it, also what that one did not keep."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from sqlalchemy import select, text

from app import config as boot
from app import jobs
from app.archive import service
from app.db import migrate, open_database
from app.jobs.models import Job
from app.printing.models import PrintRequest
from app.routing import arrivals
from app.routing.models import Route, RouteRun
from app.security import SYSTEM
from tests.support import live as live_server
from tests.support.waiting import eventually
from tests.upgrade import folder, objects

OVERLAY, PROFILE = (
    "2.25.1172410218120454943894810768354738331",
    "2.25.1157916583997938261282126416529095502",
)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live_server.Live]:
    with live_server.running(folder.unpack(tmp_path_factory.mktemp("upgrade"))) as running:
        yield running


def metadata_of(live: live_server.Live, uid: str) -> tuple[str, dict[str, Any]]:
    """Address and metadata of an object."""
    with live.client() as client:
        (found,) = client.get("/dicom-web/instances", params={"SOPInstanceUID": uid}).json()
        address = "/dicom-web/studies/{}/series/{}/instances/{}".format(
            *(found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        )
        (model,) = client.get(f"{address}/metadata").json()
    return address, model


def test_everything_of_the_earlier_version_is_there(upgraded: live_server.Live) -> None:
    with upgraded.client() as client:
        assert len(client.get("/dicom-web/studies").json()) == 4
        assert client.get("/api/v1/conflicts").json()["items"][0]["sop_instance_uid"] == "1.2.3.1.1.1"
        assert "pacs" in [one["name"] for one in client.get("/api/v1/nodes").json()["items"]]
    with upgraded.client("rita", "Another-Horse-8-Battery") as client:
        assert client.get("/api/v1/studies").status_code == 200


@pytest.mark.parametrize("uid", objects.large())
def test_its_metadata_are_those_of_the_file(upgraded: live_server.Live, uid: str) -> None:
    _, model = metadata_of(upgraded, uid)
    original = pydicom.dcmread(io.BytesIO(objects.large()[uid]))
    assert {f"{tag:08X}": original[tag].VR for tag in original.keys()} == {  # noqa: SIM118
        name: element["vr"] for name, element in model.items()
    }
    if "52009230" in model:
        assert len(model["52009230"]["Value"]) == 52_000
    with upgraded.client() as client:
        for name in set(model) & {"60003000", "7FE31001"}:
            value = client.get(model[name]["BulkDataURI"], headers={"Accept": "application/octet-stream"})
            assert value.content == original[int(name, 16)].value


@pytest.mark.parametrize("uid", [OVERLAY, PROFILE])
def test_large_values_of_it_are_drawn(upgraded: live_server.Live, uid: str) -> None:
    address, _ = metadata_of(upgraded, uid)
    with upgraded.client() as client:
        answer = client.get(f"{address}/rendered", headers={"Accept": "image/png"})
        raw = client.get(f"/api/v1/instances/{uid}/file").content
    ds = pydicom.dcmread(io.BytesIO(raw))
    picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
    if uid == OVERLAY:
        bits = np.unpackbits(np.frombuffer(ds[0x60003000].value, np.uint8), bitorder="little")
        drawn = bits[: ds.Rows * ds.Columns].reshape(ds.Rows, ds.Columns).astype(bool)
        assert drawn.any() and (picture[drawn] == 255).all()
    else:
        assert np.abs(picture - ds.pixel_array).max() > 8  # the profile turns the colours; without it they stay


def test_swapped_samples_of_it_are_read_in_their_order(upgraded: live_server.Live) -> None:
    """8-bit samples in OW are words in big endian (PS3.5 A.3)."""
    address, _ = metadata_of(upgraded, "1.2.3.7.1.3")
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
    with upgraded.client() as client:
        answer = client.get(f"{address}/frames/1", headers={"Accept": accept})
    assert np.arange(16, dtype=np.uint8).reshape(8, 2)[:, ::-1].tobytes() in answer.content


def test_its_store_fits_its_index(upgraded: live_server.Live) -> None:
    """The comparison that follows each start."""
    with upgraded.client() as client:
        found = eventually(
            lambda: client.get("/api/v1/store-check").json(),
            "the store is checked",
            until=lambda row: row["checked_at"],
        )
    assert [found[what] for what in ("missing", "differing", "unindexed", "damaged")] == [0, 0, 0, 0]


def test_small_values_stay_inside_the_metadata(upgraded: live_server.Live) -> None:
    _, model = metadata_of(upgraded, "1.2.3.1.1.1")
    assert model["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


def test_objects_that_no_route_had_seen_before_the_upgrade_are_given_to_the_routes(tmp_path: Path) -> None:
    """Schema 0017: objects of one study were given to the routes, those of another were not, and the number of a deleted
    object was used again."""
    config = boot.load({"data": folder.unpack(tmp_path, folder.ROUTES)}, environ={})
    database = open_database(config)
    try:
        migrate.upgrade(config, database)
        assert arrivals.handle_events(database) == 1 and arrivals.handle_events(database) == 0
        with database.write() as session:
            found = session.execute(select(Route.name, RouteRun.study_instance_uid, RouteRun.picked).join(Route)).all()
            assert sorted((row[0], row[1], row[2]) for row in found if row[1] != "1.2.6") == [
                ("each", "1.2.5", [[1, 2]]), ("each", "1.2.7", [[3, 5]]),
                ("settled", "1.2.5", [[1, 2]]), ("settled", "1.2.7", [[3, 5]]),
            ]  # fmt: skip
            service.delete_study(session, SYSTEM, "1.2.7")
            assert session.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'instance'")).scalar() == 5
            assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    finally:
        database.dispose()


def test_the_priorities_of_before_become_the_higher_the_earlier(tmp_path: Path) -> None:
    """Schema 0019: the job with the lowest number was first."""
    config = boot.load({"data": folder.unpack(tmp_path, folder.PRIORITIES)}, environ={})
    database = open_database(config)
    try:
        with database.read() as session:
            query = "SELECT id FROM job WHERE state = 'queued' ORDER BY priority, run_after, id"
            order = list(session.scalars(text(query)))
        migrate.upgrade(config, database)
        with database.write() as session:
            found = session.execute(
                select(Job.priority, PrintRequest.options, Job.kind, Job.state).outerjoin(
                    PrintRequest, PrintRequest.job_id == Job.id
                )
            ).all()
            prints = sorted((row[0], row[1]["priority"]) for row in found if row[1] is not None)
            assert prints == [(1, 1), (2, 2), (4, 4), (5, 5), (7, 7), (8, 8), (9, 9), (9, 9)]
            others = {row[2]: row[0] for row in found if row[1] is None}
            assert others == {"node.test": 9, "archive.remove_files": 4, "archive.prepare": 3, "node.echo": 2}
            kept = {one.options["priority"] for one in session.scalars(select(PrintRequest))}
            assert kept == {1, 2, 4, 5, 6, 7, 8, 9}, "also of the print whose job is gone"
            kinds = sorted({row[2] for row in found})
            taken = [jobs.claim(session, kinds, "w") for _ in order]
            assert [one.id for one in taken if one] == order
            plan = " ".join(
                str(row)
                for row in session.execute(
                    text(
                        "EXPLAIN QUERY PLAN SELECT id FROM job WHERE state = 'queued' ORDER BY priority DESC, run_after, id LIMIT 1"
                    )
                )
            )
            assert "ix_job_ready" in plan and "TEMP B-TREE" not in plan
    finally:
        database.dispose()
