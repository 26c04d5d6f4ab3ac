"""The wheel carries everything: an installation from it needs neither Node nor the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.support.live import PASSWORD, ROOT
from tests.support.postgres import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "web" / "dist" / "manifest.json").is_file():
        pytest.fail("the web bundle is not built: `make setup` first")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "-o", str(out), str(ROOT)],
        check=True,
        timeout=120,
    )
    (built,) = out.glob("filmroom-*.whl")
    return built


@pytest.mark.parametrize(
    "name",
    [
        "app/_bundled/web/manifest.json",
        "app/_bundled/templates/shell/base.html",
        "app/_bundled/migrations/env.py",
        "app/_bundled/migrations/versions/0001_initial.py",
        "app/locale/es/LC_MESSAGES/filmroom.mo",
    ],
)
def test_the_wheel_holds_what_lies_beside_the_code(wheel: Path, name: str) -> None:
    assert name in zipfile.ZipFile(wheel).namelist()


def test_an_installed_wheel_serves_its_own_bundle(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    port, dicom_port = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")}
    environment |= {"PYTHONPATH": str(target), "FILMROOM_ADMIN_PASSWORD": PASSWORD}
    command = [
        sys.executable,
        "-m",
        "app.cli",
        "serve",
        "--data",
        str(tmp_path / "data"),
        "--port",
        str(port),
        "--dicom-port",
        str(dicom_port),
    ]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        transport = httpx.HTTPTransport(retries=30)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, trust_env=False, timeout=20
        ) as client:
            for _ in range(100):
                if client.get("/healthz").status_code == 200:
                    break
                subprocess.run(["sleep", "0.1"], check=True)
            page = client.get("/login")
            assert page.status_code == 200
            script = page.text.split('src="/static/')[1].split('"')[0]
            assert client.get(f"/static/{script}").status_code == 200
            loaded = subprocess.run(
                [sys.executable, "-c", "import app; print(app.__file__)"],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            assert str(target) in loaded
    finally:
        process.terminate()
        process.wait(15)
