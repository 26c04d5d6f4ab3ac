"""One real installation with real files for all tests of the viewer, and two browsers: with WebGL and without."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Playwright, sync_playwright
from pydicom.uid import generate_uid

from tests.support import live as live_server
from tests.support.live import Live
from tests.viewer.screen import NO_WEBGL, Screen, window


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`filmroom serve` as people run it."""
    with live_server.running(tmp_path_factory.mktemp("viewer") / "data") as live:
        yield live


def send(live: Live, data: bytes) -> dict[str, str]:
    """One object into the archive; what became of it."""
    with live.client() as client:
        answer = client.post("/api/v1/imports", content=data, headers={"Content-Type": "application/dicom"})
    assert answer.status_code == 200, answer.text
    result: dict[str, str] = answer.json()["results"][0]
    return result


@pytest.fixture(scope="session")
def put(station: Live, shared_data: Path) -> Callable[..., pydicom.Dataset]:
    """Puts files of the test collection into the archive (once) and returns the header of the first, pixels and all."""
    known: set[Path] = set()

    def store(*names: str) -> pydicom.Dataset:
        paths = [path for name in names for path in sorted(shared_data.glob(name))]
        assert paths, f"no such test file: {names}"
        for path in paths:
            if path not in known:
                result = send(station, path.read_bytes())
                assert result["status"] in ("stored", "duplicate"), result
                known.add(path)
        return pydicom.dcmread(paths[0])

    return store


@pytest.fixture(scope="session")
def put_alone(station: Live, shared_data: Path) -> Callable[[str], pydicom.Dataset | None]:
    """Puts a file under new UIDs, since many of the collection share theirs; None when the archive refuses it."""

    def store(name: str) -> pydicom.Dataset | None:
        ds = pydicom.dcmread(shared_data / name, force=True)
        if "TransferSyntaxUID" not in ds.file_meta:
            return None
        if ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.8.1":  # pydicom cannot write it yet
            return ds if send(station, (shared_data / name).read_bytes())["status"] != "refused" else None
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        buffer = BytesIO()
        ds.save_as(buffer)
        return ds if send(station, buffer.getvalue())["status"] == "stored" else None

    return store


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """One a module: two cannot run at a time, and other packages have their own."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def screen(playwright: Playwright, station: Live) -> Iterator[Screen]:
    """A browser with WebGL (SwiftShader draws it)."""
    with window(playwright, station) as opened:
        yield opened


@pytest.fixture(scope="module")
def plain_screen(playwright: Playwright, station: Live) -> Iterator[Screen]:
    """A browser without WebGL: Cornerstone draws on the CPU."""
    with window(playwright, station, *NO_WEBGL) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing may complain: no script, no refused style, no failed request, unless a test says which."""
    yield
    for name in ("screen", "plain_screen"):
        if name in request.fixturenames:
            opened: Screen = request.getfixturevalue(name)
            faults, opened.faults[:] = list(opened.faults), []
            assert faults == []
