"""A full disk and a read-only store: nothing is taken in, senders are told to come again, and people sign in, look and delete as
ever. Intake goes on by itself."""

import contextlib
import io
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.archive.make import ct_bytes
from tests.support.live import PASSWORD, Live, running
from tests.support.sender import Prepared, Sender, make_ct
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
MIB = 1 << 20


@contextlib.contextmanager
def _disk(folder: Path, size: str, *more: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *more)), "filmroom", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The store on a disk of its own, 80 MiB, of which 32 are the reserve; read-only at first."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk of a given size")
    folder = tmp_path_factory.mktemp("disks")
    with _disk(folder / "store", "80m", "ro") as store, running(folder / "data", "--store-dir", str(store)) as live:
        yield live


def _store(live: Live) -> Path:
    return live.data.parent / "store"


def _free(live: Live) -> int:
    disk = os.statvfs(_store(live))
    return disk.f_bavail * disk.f_frsize


def _leave(live: Live, mib: int) -> None:
    """Another program takes or frees space until that many MiB are left."""
    with (_store(live) / "of-another-program").open("ab") as other:
        size = other.tell()
        more = _free(live) - mib * MIB
        if more > 0:
            os.posix_fallocate(other.fileno(), size, more)
        else:
            os.ftruncate(other.fileno(), size + more)


def _send(live: Live, item: Prepared) -> tuple[int, str]:
    sender = Sender(live.dicom_port)
    try:
        return sender.send(item)
    finally:
        sender.release()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.dcm", content)
    return out.getvalue()


def _answers(client: httpx.Client) -> list[httpx.Response]:
    """Every way in by HTTP."""
    content = ct_bytes("1.2.9.1.1", "1.2.9", "1.2.9.1")
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--\r\n"
    related = {
        "content-type": 'multipart/related; type="application/dicom"; boundary=b',
        "accept": "application/dicom+json",
    }
    return [
        client.post("/api/v1/imports", content=content, headers={"content-type": "application/dicom"}),
        client.post("/api/v1/imports", content=_zip(content), headers={"content-type": "application/zip"}),
        client.post("/api/v1/imports", files={"files": ("a.dcm", content)}),
        client.post("/dicom-web/studies", content=part, headers=related),
    ]


def _signs_in(live: Live) -> None:
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as browser:
        signed = browser.post("/api/v1/sessions", json={"user": "admin", "password": PASSWORD})
        assert signed.status_code < 300, signed.text
        assert browser.get("/storage").status_code == 200


def _storage(live: Live) -> str:
    answer = httpx.get(f"{live.url}/healthz", trust_env=False)
    assert answer.status_code == 200, "every role is ready"
    return str(answer.json()["storage"]["state"])


def test_a_read_only_store_answers_503_and_goes_on_by_itself(live: Live) -> None:
    status, words = _send(live, make_ct("1.2.3.8", "1.2.3.8.1", 1, size=64))
    assert status & 0xFF00 == 0xA700 and "read-only" in words, f"{status:04X} {words}"
    with live.client() as client:
        for answer in _answers(client):
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert _storage(live) == "read-only"
    _signs_in(live)
    subprocess.run(["mount", "-o", "remount,rw", _store(live)], check=True)
    assert _storage(live) == "ready"
    assert _send(live, make_ct("1.2.3.8", "1.2.3.8.1", 1, size=64))[0] == 0


def test_a_full_disk_stops_intake_and_nothing_else(live: Live) -> None:
    with live.client() as client:
        if _storage(live) == "read-only":
            subprocess.run(["mount", "-o", "remount,rw", _store(live)], check=True)
        with (_store(live) / "of-another-program").open("wb") as other:
            os.posix_fallocate(other.fileno(), 0, _free(live) - 38 * MIB)
        taken = []
        sender = Sender(live.dicom_port)
        for number in range(100):
            item = make_ct("1.2.3.7", "1.2.3.7.1", number + 1)
            status, words = sender.send(item)
            if status:
                break
            taken.append(item.sop_instance_uid)
        assert status & 0xFF00 == 0xA700 and "full" in words and len(taken) > 5, f"{status:04X} {words} {len(taken)}"
        assert sender.send(item)[0] & 0xFF00 == 0xA700, "the association goes on"
        assert 30 * MIB < _free(live) < 33 * MIB
        for answer in _answers(client):
            assert (answer.status_code, answer.json()["code"]) == (507, "storage-full"), answer.text
        assert _storage(live) == "full"
        _signs_in(live)
        (study,) = [s for s in client.get("/api/v1/studies").json()["items"] if s["study_instance_uid"] == "1.2.3.7"]
        assert study["instance_count"] == len(taken)
        shown = client.get(f"/dicom-web/studies/1.2.3.7/series/1.2.3.7.1/instances/{taken[0]}/rendered")
        assert shown.status_code == 200 and shown.headers["content-type"].startswith("image/")
        assert client.delete("/api/v1/studies/1.2.3.7").status_code < 300
        eventually(lambda: sender.send(item)[0] == 0, "intake goes on once the files are gone")
        sender.release()
        assert _storage(live) == "ready"


def test_jobs_leave_the_reserve(live: Live) -> None:
    """A print that would not fit fails with the reason; at the reserve none is accepted, and nothing is made."""
    if _storage(live) == "read-only":
        subprocess.run(["mount", "-o", "remount,rw", _store(live)], check=True)
    with live.client() as client:
        _leave(live, 48)
        items = [make_ct("1.2.3.5", "1.2.3.5.1", number + 1) for number in range(6)]
        assert [_send(live, item)[0] for item in items] == [0] * 6
        _leave(live, 33)
        order = {"study_instance_uid": "1.2.3.5", "attach": "dicom"}
        accepted = client.post("/api/v1/prints", json=order)
        assert accepted.status_code == 202, accepted.text
        address = f"/api/v1/prints/{accepted.json()['id']}"
        why = eventually(lambda: client.get(address).json()["error"], "the reason of the print")
        assert "disk is full" in why
        _leave(live, 31)
        refused = client.post("/api/v1/prints", json=order)
        assert (refused.status_code, refused.json()["code"]) == (507, "storage-full"), refused.text
        assert abs(_free(live) - 31 * MIB) < MIB
        assert client.delete("/api/v1/studies/1.2.3.5").status_code < 300
        _signs_in(live)


def test_a_disk_without_a_byte_left_is_named(tmp_path: Path) -> None:
    """Database and store on one disk that another program fills: what cannot be written says that the disk is full."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk of a given size")
    with _disk(tmp_path / "disk", "160m") as disk, running(disk / "data") as live, live.client() as client:
        with (disk / "of-another-program").open("wb", buffering=0) as other, contextlib.suppress(OSError):
            while other.write(bytes(4096)):
                pass
        signed = httpx.post(
            f"{live.url}/api/v1/sessions", json={"user": "admin", "password": PASSWORD}, trust_env=False, timeout=60
        )
        token = client.post("/api/v1/tokens", json={"name": "t"})
        for answer in (signed, token):
            assert (answer.status_code, answer.json()["code"]) == (507, "storage-full"), answer.text
        (disk / "of-another-program").unlink()
        _signs_in(live)


def test_a_disk_that_is_filled_during_one_large_object(live: Live) -> None:
    """What was begun is given up at the reserve, and nothing of it stays."""
    if _storage(live) == "read-only":
        subprocess.run(["mount", "-o", "remount,rw", _store(live)], check=True)
    before = _free(live)
    status, words = _send(live, make_ct("1.2.3.6", "1.2.3.6.1", 1, size=5000))  # 50 MB
    assert status & 0xFF00 == 0xA700, f"{status:04X} {words}"
    assert abs(_free(live) - before) < MIB
