"""Bad input through every interface of one running installation, and whatever of it was stored asked for in every way
(SEC-7): an answer by the contract, soon, in little memory, and nobody else the worse for it."""

import io
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from tests.support import hostile
from tests.support import live as live_server
from tests.support.hostile import Bad
from tests.support.live import Live
from tests.support.processes import ROLES, Watch, cpu, rss
from tests.support.sender import Prepared, Sender
from tests.support.waiting import eventually, job_ended

pytestmark = pytest.mark.slow
CPU_SECONDS = 5.0  # of any role for any one input; wall clock says more about the machine's load
WALL_SECONDS = 60.0  # a hang
MEGABYTES = 200  # above idle, of any role with its children
CASES = hostile.catalogue()


@dataclass
class Site:
    """The installation under attack, and what it has promised so far."""

    live: Live
    client: httpx.Client
    folder: Path
    pids: dict[str, int]
    idle: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, bytes] = field(default_factory=dict)  # SOP Instance UID: bytes that must be in its file
    number: int = 0
    around: set[str] = field(default_factory=set)

    def root(self) -> str:
        self.number += 1
        return f"2.25.77{self.number:08d}"

    def timed(self, what: str, act: Any) -> Any:
        """Does it and holds it to the limits of one input."""
        before = {role: cpu(pid) for role, pid in self.pids.items()}
        started = time.monotonic()
        result = act()
        wall = time.monotonic() - started
        spent = {role: cpu(pid) - before[role] for role, pid in self.pids.items()}
        assert wall < WALL_SECONDS, f"{what} took {wall:.0f} s"
        assert max(spent.values()) <= CPU_SECONDS, f"{what} took {spent} s of processor time"
        return result

    def get(self, path: str, **options: Any) -> httpx.Response:
        answer: httpx.Response = self.timed(path, lambda: self.client.get(path, **options))
        assert answer.status_code < 500, (path, answer.status_code, answer.text[:600])
        if answer.status_code >= 400:
            assert _says_why(answer), (path, answer.text[:300])
        return answer

    def job(self, path: str, order: dict[str, Any]) -> str:
        """Orders a job and waits for its end; the state it ended in, "" where the order was refused."""

        def run() -> str:
            answer = self.client.post(path, json=order)
            assert answer.status_code < 500, (path, answer.text[:600])
            if answer.status_code >= 400:
                assert _says_why(answer)
                return ""
            address = f"{path}/{answer.json()['id']}"
            row = job_ended(self.client, address, WALL_SECONDS)
            assert row["state"] == "done" or row["error"], row
            return str(row["state"])

        state: str = self.timed(path, run)
        return state

    def surroundings(self) -> set[str]:
        """Everything in and around the installation that is not inside its store, its caches and its logs."""
        free = ("store", "cache", "logs", "run", "anonymized", "prints")
        found = set()
        for path in self.folder.rglob("*"):
            parts = path.relative_to(self.folder).parts
            if not (parts[0] == "data" and len(parts) > 2 and parts[1] in free):
                found.add("/".join(parts))
        return {one for one in found if not one.endswith(("-wal", "-shm", "-journal"))}


def _says_why(answer: httpx.Response) -> bool:
    if answer.headers["content-type"].startswith("application/problem+json"):
        return bool(answer.json()["detail"])
    return "text/html" in answer.headers["content-type"] or "dicom" in answer.headers["content-type"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "tmp").mkdir()
    with live_server.running(folder / "data", environ={"TMPDIR": str(folder / "tmp")}) as live, live.client() as client:
        pids = {role: live.role_pids(role)[0] for role in ROLES}
        made = Site(live, client, folder, pids)
        root = made.root()
        assert _upload(made, [("good.dcm", hostile.good(root))])[0]["status"] == "stored"
        _store_by_dimse(made, hostile.good(made.root()))
        _ask_everything(made, f"{root}.1.1", root, f"{root}.1")  # what is imported on first use is no cost of bad input
        time.sleep(1)  # the memory of roles that do nothing
        made.idle = {role: rss(pid) for role, pid in pids.items()}
        made.around = made.surroundings()
        yield made


# Interfaces ------------------------------------------------------------------------------------------------------------


def _upload(site: Site, files: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    answer = site.timed(
        f"upload of {[name for name, _ in files]}",
        lambda: site.client.post("/api/v1/imports", files=[("files", (name, data)) for name, data in files]),
    )
    assert answer.status_code == 200, answer.text[:600]
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def _stow(site: Site, parts: list[bytes]) -> dict[str, Any]:
    edge = "hostile-edge-7f3a"
    body = b"".join(b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (edge.encode(), part) for part in parts)
    answer = site.timed(
        "STOW-RS",
        lambda: site.client.post(
            "/dicom-web/studies",
            content=body + b"--%s--\r\n" % edge.encode(),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={edge}',
                "Accept": "application/dicom+json",
            },
        ),
    )
    assert answer.status_code in (200, 202, 409), answer.text[:600]
    model: dict[str, Any] = answer.json()
    return model


def _prepared(data: bytes) -> Prepared | None:
    """The data set of a Part 10 file and what a sender would say of it; None where there is nothing to send."""
    if data[128:132] != b"DICM" or len(data) < 400:
        return None
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    try:
        meta = pydicom.dcmread(io.BytesIO(data[:start])).file_meta
    except Exception:
        return None
    uids = [
        str(meta.get(k, "")) for k in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    ]
    return Prepared(*uids, data[start:]) if all(uids) and start < len(data) else None


def _store_by_dimse(site: Site, data: bytes) -> int | None:
    """The status of the C-STORE; None where it cannot be sent so. A good one follows on the same association."""
    item = _prepared(data)
    if item is None:
        return None
    try:
        sender = Sender(site.live.dicom_port, syntax=item.transfer_syntax, sop_class=item.sop_class_uid)
    except ConnectionError:
        return None  # nobody offers such a transfer syntax: refused before anything was sent
    try:
        status, comment = site.timed("C-STORE", lambda: sender.send(item))
        if status not in (0, 0xB007, 0xB000):
            assert comment, f"{status:04x} without a reason"
        if item.transfer_syntax == "1.2.840.10008.1.2.1":
            beside = _prepared(hostile.good(site.root()))
            assert beside is not None
            assert sender.send(beside) == (0, "")
            site.acknowledged[beside.sop_instance_uid] = beside.data
        sender.release()
    finally:
        sender.socket.close()
    return int(status)


# Every way to ask ----------------------------------------------------------------------------------------------------


def _ask_everything(site: Site, sop: str, study: str, series: str) -> None:
    web, api = f"/dicom-web/studies/{study}/series/{series}/instances/{sop}", f"/api/v1/instances/{sop}"
    for path in (
        f"/dicom-web/studies/{study}/metadata", f"{web}/metadata", f"{web}/frames/1", f"{web}/rendered",
        f"{web}/frames/1/rendered", f"{web}/thumbnail", f"/dicom-web/studies/{study}/rendered",
        f"/dicom-web/studies/{study}/thumbnail", f"{api}", f"{api}/attributes", f"{api}/frames/1",
        f"{api}/frames/1/preview", f"{api}/frames/1/rendered", f"/api/v1/series/{series}/thumbnail",
        f"/api/v1/series/{series}/frames", f"/api/v1/studies/{study}/manifest", f"/api/v1/studies/{study}",
        f"/viewer?study={study}", f"/viewer/metadata?uid={sop}", f"/storage/studies/{study}/series",
        f"/storage/studies/{study}/panel", f"/print?study={study}", f"/dicom-web/studies?StudyInstanceUID={study}&includefield=all",
    ):  # fmt: skip
        site.get(path)
    site.get(
        f"{web}/frames/1",
        headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'},
    )
    site.get(
        f"/dicom-web/studies/{study}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    )
    site.get(
        f"{web}", headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'}
    )
    site.get(f"{web}/frames/1", headers={"Accept": 'multipart/related; type="image/jp2"'})
    site.get(f"{web}/rendered", headers={"Accept": "image/gif"})
    site.get(f"{api}/frames/1/rendered?size=1200")
    site.get(f"{web}/metadata", headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    export = site.get(f"/api/v1/studies/{study}/archive")
    assert export.content[:2] == b"PK"
    site.job("/api/v1/prints", {"study_instance_uid": study, "layout": "1x1"})
    site.job("/api/v1/anonymizations", {"study_instance_uid": study})


# The test ------------------------------------------------------------------------------------------------------------


def _by_upload(site: Site, bad: Bad) -> list[str]:
    root, before, after = site.root(), site.root(), site.root()
    data = bad.make(root)
    files = [("a.dcm", hostile.good(before)), ("bad", data), ("z.dcm", hostile.good(after))]
    results = _upload(site, files)
    assert (results[0]["status"], results[-1]["status"]) == ("stored", "stored"), "a good file beside a bad one"
    for one, (_, content) in ((results[0], files[0]), (results[-1], files[-1])):
        site.acknowledged[one["sop_instance_uid"]] = content
    for one in results[1:-1]:
        assert one["status"] in (*bad.status, "stored"), one
        assert one["status"] in ("stored", "duplicate") or one["reason"], one
        if one["status"] == "stored":
            site.acknowledged[one["sop_instance_uid"]] = hostile.good(root) if bad.is_zip else data
    if not bad.is_zip:
        assert len(results) == 3 and results[1]["status"] in bad.status, results
    return [one["sop_instance_uid"] for one in results[1:-1] if one["status"] == "stored"]


def _by_stow(site: Site, bad: Bad) -> list[str]:
    root, beside = site.root(), site.root()
    data = bad.make(root)
    model = _stow(site, [data, hostile.good(beside)])
    stored = [item["00081155"]["Value"][0] for item in model.get("00081199", {}).get("Value", [])]
    assert f"{beside}.1.1" in stored, model
    refused = len(model.get("00081198", {}).get("Value", [])) + len(model.get("0008119A", {}).get("Value", []))
    assert len(stored) + refused == 2, model
    others = [uid for uid in stored if uid != f"{beside}.1.1"]
    site.acknowledged[f"{beside}.1.1"] = hostile.good(beside)
    return others


@pytest.mark.parametrize("bad", CASES, ids=str)
def test_bad_input(site: Site, bad: Bad) -> None:
    with Watch(site.pids, site.idle) as watch:
        stored = _by_upload(site, bad)
        if not bad.is_zip:
            stored += _by_stow(site, bad)
            root = site.root()
            if _store_by_dimse(site, bad.make(root)) in (0, 0xB007, 0xB000):
                stored.append(f"{root}.1.1")
        for uid in stored[:1] + stored[2:3]:  # once as a file, once as C-STORE made it
            one = site.get(f"/api/v1/instances/{uid}").json()
            _ask_everything(site, uid, one["study_instance_uid"], one["series_instance_uid"])
        site.get("/storage")
        site.get("/api/v1/studies")
    print(json.dumps({bad.name: watch.above()}))
    assert {role: site.live.role_pids(role) for role in ROLES} == {role: [pid] for role, pid in site.pids.items()}
    assert max(watch.above().values()) <= MEGABYTES, f"MB above idle: {watch.above()}"
    _settle(site)


def _settle(site: Site) -> None:
    """Nothing outside the store, no temporary file left."""
    eventually(lambda: site.surroundings() - site.around, "nothing outside the store", until=lambda odd: not odd)
    assert [p for p in (site.live.data / "store" / ".incoming").rglob("*") if p.is_file() and p.name != "lock"] == []


def test_afterwards_everything_that_was_acknowledged_is_there(site: Site) -> None:
    assert site.acknowledged
    for uid, content in site.acknowledged.items():
        answer = site.client.get(f"/api/v1/instances/{uid}/file")
        assert answer.status_code == 200, uid
        assert answer.content.endswith(content) or answer.content == content, uid
    for path in (site.live.data / "store").rglob("*.dcm"):
        assert path.resolve().is_relative_to((site.live.data / "store").resolve())
    assert "Traceback" not in site.live.log.read_text()
