"""A large object streams to disk: the web role's memory does not follow its size (SEC-7)."""

import time
from collections.abc import Iterator

import pytest

from tests.support import hostile
from tests.support.live import Live
from tests.support.processes import ROLES, Watch, rss

pytestmark = pytest.mark.slow
MEGABYTES, SIZE = 40, 300  # measured: 5 to 7 of 300


def _large(root: str, before: bytes, after: bytes) -> Iterator[bytes]:
    """A multi-frame object of 300 MB of zeros, made while it is sent."""
    data = hostile.dataset(root, Rows=5000, Columns=5000, NumberOfFrames=6, pixels=b"\0\0")
    whole = hostile.part10(data)
    yield before + whole[: whole.index(b"\xe0\x7f\x10\x00OW")]
    yield hostile.element(0x7FE00010, b"OW", b"", SIZE << 20)
    for _ in range(SIZE):
        yield bytes(1 << 20)
    yield after


@pytest.mark.parametrize("interface", ["stow", "upload"])
def test_an_upload_of_300_mb_costs_little_memory(live: Live, interface: str) -> None:
    root = f"2.25.88{len(interface)}"
    url, kind, before, after = "/api/v1/imports", "application/dicom", b"", b""
    if interface == "stow":
        url, kind = "/dicom-web/studies", 'multipart/related; type="application/dicom"; boundary=edge'
        before, after = b"--edge\r\nContent-Type: application/dicom\r\n\r\n", b"\r\n--edge--\r\n"
    with live.client() as client:
        client.post("/api/v1/imports", files={"files": ("a.dcm", hostile.good(f"{root}.7"))})
        time.sleep(1)  # the memory of roles that do nothing
        pids = {role: live.role_pids(role)[0] for role in ROLES}
        with Watch(pids, {role: rss(pid) for role, pid in pids.items()}) as watch:
            answer = client.post(url, content=_large(root, before, after), headers={"Content-Type": kind})
        assert answer.status_code == 200, answer.text[:300]
        assert watch.above()["web"] < MEGABYTES, watch.above()
        assert client.get(f"/api/v1/instances/{root}.1.1").json()["bytes"] > SIZE << 20
