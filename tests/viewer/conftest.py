"""One real installation with real files for all tests of the viewer, and two browsers: with WebGL and without."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Playwright, sync_playwright

from tests.support import live as live_server
from tests.support.live import Live
from tests.viewer.screen import NO_WEBGL, Screen, window


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`filmroom serve` as people run it."""
    with live_server.running(tmp_path_factory.mktemp("viewer") / "data") as live:
        yield live


@pytest.fixture(scope="session")
def put(station: Live, shared_data: Path) -> Callable[..., pydicom.Dataset]:
    """Puts files of the test collection into the archive (once) and returns the header of the first, pixels and all."""
    known: set[Path] = set()

    def store(*names: str) -> pydicom.Dataset:
        paths = [path for name in names for path in sorted(shared_data.glob(name))]
        assert paths, f"no such test file: {names}"
        with station.client() as client:
            for path in paths:
                if path in known:
                    continue
                answer = client.post(
                    "/api/v1/imports", content=path.read_bytes(), headers={"Content-Type": "application/dicom"}
                )
                assert answer.status_code == 200, answer.text
                result = answer.json()["results"][0]
                assert result["status"] in ("stored", "duplicate"), result
                known.add(path)
        return pydicom.dcmread(paths[0])

    return store


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """One a module: two cannot run at a time, and other rooms have their own."""
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
