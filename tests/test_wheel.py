"""The wheel carries everything: an installation from it needs neither Node nor the checkout."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import dcmtk
from tests.support.live import PASSWORD, ROOT
from tests.support.postgres import free_port
from tests.support.waiting import eventually

NEWEST = max((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
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
        f"app/_bundled/migrations/versions/{NEWEST.name}",
        "app/locale/es/LC_MESSAGES/filmroom.mo",
        "app/_bundled/constraints.txt",
    ],
)
def test_the_wheel_holds_what_lies_beside_the_code(wheel: Path, name: str) -> None:
    assert name in zipfile.ZipFile(wheel).namelist()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel put in by pip; what it depends on is lent by ours (named in a path file, which
    does not bring our editable filmroom along), so that no test asks an index. Answers its folder of programs."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", "--ignore-installed", wheel], check=True, timeout=120)
    return folder / "bin"


def _alone(programs: Path) -> dict[str, str]:
    """The environment of somebody who has nothing but that: no checkout, no Node."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FILMROOM_", "PYTHON", "VIRTUAL_ENV", "NODE"))}
    return kept | {"PATH": f"{programs}:/bin", "FILMROOM_ADMIN_PASSWORD": PASSWORD}


def test_it_needs_nothing_that_the_wheel_does_not_name(installed: Path) -> None:
    """Every package our code imports at its top comes with the wheel's own requirements, at versions it accepts."""
    asked = "import importlib.metadata as m; print('\\n'.join(m.requires('filmroom')))"
    words = subprocess.run(
        [installed / "python", "-c", asked], env=_alone(installed), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(words) > 15
    for requirement in map(Requirement, words):
        assert requirement.specifier.contains(metadata.version(requirement.name)), requirement
        assert {one.operator for one in requirement.specifier} == {">=", "<"}, f"{requirement} lacks a bound"


def test_what_builds_and_tests_it_is_not_in_its_lock(wheel: Path) -> None:
    """And every requirement of its own is, with hashes."""
    lock = zipfile.ZipFile(wheel).read("app/_bundled/constraints.txt").decode()
    locked = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.M))
    assert not locked & {"hatchling", "editables", "pip-tools", "pytest", "ruff", "mypy"}
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {canonicalize_name(Requirement(one).name) for one in named} <= locked
    assert lock.count("--hash=sha256:") > len(locked)


@pytest.mark.peer
def test_an_installed_wheel_serves_a_store_and_forward_box_with_pages(installed: Path, tmp_path: Path) -> None:
    """`filmroom serve --config that.json`, from the wheel alone: schema, pages, bundle, translations, DICOM."""
    port, dicom_port = free_port(), free_port()
    said = {"local_ae_title": "BOX", "local_port": dicom_port, "local_host": "127.0.0.1"}
    said |= {"pacs_host": "127.0.0.1", "pacs_port": free_port(), "pacs_ae_title": "PACS"}
    (tmp_path / "that.json").write_text(json.dumps(said))
    command = [installed / "filmroom", "serve", "--config", "that.json", "--data", "data", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=_alone(installed), stdout=log, stderr=log)
    try:
        status = [installed / "filmroom", "status", "--data", "data"]
        eventually(
            lambda: subprocess.run(status, cwd=tmp_path, env=_alone(installed), capture_output=True).returncode == 0,
            f"the installed Filmroom runs (log: {tmp_path / 'log'})",
            seconds=90,
            process=process,
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            page = client.get("/login", headers={"Accept-Language": "es"})
            assert page.status_code == 200 and "Contraseña" in page.text
            scripts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
            assert scripts and all(client.get(script).status_code == 200 for script in scripts)
            shown = client.get("/api/v1/nodes", auth=("admin", PASSWORD)).json()["items"]
            assert [(node["ae_title"], node["port"]) for node in shown] == [("PACS", said["pacs_port"])]
        assert dcmtk.echoscu(dicom_port, called="BOX").code == 0
    finally:
        process.terminate()
        process.wait(60)


def test_what_runs_is_what_was_installed(installed: Path) -> None:
    found = subprocess.run(
        [installed / "python", "-c", "import app, app.kit.paths as p; print(app.__file__, p.templates(), p.web_dist())"],
        env=_alone(installed), cwd=installed, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert all(Path(one).is_relative_to(installed.parent) for one in found), found
