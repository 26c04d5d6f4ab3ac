"""A store-and-forward box by one JSON file: storescu -> filmroom serve --config -> storescp, and the verbs behind it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app import config as boot
from app.audit import AuditEvent
from app.config import Config, ConfigError
from app.db import Database
from app.kit.classic import Classic
from app.kit.errors import Conflict, Invalid
from app.nodes import options, service
from app.nodes import queries as peers
from app.nodes.options import NodeValues
from app.routing import forwarder, queries
from app.routing import service as routes
from app.security.actor import SYSTEM
from tests.support import dcmtk
from tests.support.dimse import data_set_of
from tests.support.live import ROOT
from tests.support.postgres import free_port
from tests.support.waiting import eventually

BOX = Classic("DICOM_FORWARDER", 11112, "0.0.0.0", "10.0.0.5", 104, "PACS")


def _apply(database: Database, wanted: Classic) -> list[str]:
    with database.write() as session:
        return forwarder.apply_setup(session, SYSTEM, wanted)


def _state(database: Database) -> object:
    with database.read() as session:
        route = queries.route_named(session, forwarder.ROUTE)
        nodes = [(n.name, n.host, n.port, n.options, n.changed_at) for n in peers.nodes(session, SYSTEM)]
        events = session.scalar(select(func.count()).select_from(AuditEvent))
        return nodes, route and (route.rule, route.enabled, route.changed_at), events


def test_node_and_route_are_made_and_the_same_again_changes_nothing(config: Config, database: Database) -> None:
    assert _apply(database, BOX) == ["node", "route"]
    before = _state(database)
    assert _apply(database, BOX) == []
    assert _state(database) == before
    with database.read() as session:
        assert forwarder.current_setup(session, replace(config, aet="DICOM_FORWARDER")) == BOX
        route = queries.route_named(session, forwarder.ROUTE)
        assert route is not None and route.enabled
        assert route.rule["when"]["kind"] == "object" and [a["do"] for a in route.rule["actions"]] == ["send"]


def test_every_value_has_its_effect(database: Database) -> None:
    _apply(database, BOX)
    other = replace(
        BOX, pacs_host="10.0.0.6", pacs_port=105, pacs_ae_title="PACS2", store_locally=False,
        forward_immediately=False, retry_attempts=7,
    )  # fmt: skip
    assert _apply(database, other) == ["node", "route"]
    with database.read() as session:
        (node,) = peers.nodes(session, SYSTEM)
        assert (node.ae_title, node.host, node.port, options.node_options(node).retries) == (
            "PACS2",
            "10.0.0.6",
            105,
            7,
        )
        route = queries.route_named(session, forwarder.ROUTE)
        assert route is not None
        assert route.rule["when"]["kind"] == "hand" and [a["do"] for a in route.rule["actions"]] == ["send", "drop"]


def test_a_schedule_that_a_person_gave_stays(database: Database) -> None:
    waits = replace(BOX, forward_immediately=False)
    _apply(database, waits)
    with database.write() as session:
        route = queries.route_named(session, forwarder.ROUTE)
        assert route is not None
        rule = route.rule | {"when": {"kind": "schedule", "at": ["02:00"]}}
        routes.update_route(session, SYSTEM, route.id, data=rule)
    assert _apply(database, waits) == []
    assert _apply(database, BOX) == ["route"]


def test_a_node_that_is_there_is_taken(database: Database) -> None:
    with database.write() as session:
        service.create_node(session, SYSTEM, NodeValues(name="Main PACS", ae_title="PACS", host="10.0.0.5", port=104))
    _apply(database, BOX)
    with database.read() as session:
        assert [node.name for node in peers.nodes(session, SYSTEM)] == ["Main PACS"]


def test_a_fault_of_the_node_has_the_name_of_the_file(database: Database) -> None:
    with pytest.raises(Invalid) as raised:
        _apply(database, replace(BOX, pacs_host="169.254.169.254"))
    assert raised.value.extra["field"] == "pacs_host" and "pacs_host" in raised.value.extra["errors"]


def _file(folder: Path, **values: object) -> Path:
    file = folder / "forwarder.json"
    file.write_text(
        json.dumps({"pacs_host": "127.0.0.1", "pacs_port": 104, "pacs_ae_title": "PACS"} | values, indent=1)
    )
    return file


def test_the_file_lies_below_environment_and_command_line(tmp_path: Path) -> None:
    file = _file(tmp_path, local_port=1104, local_ae_title="BOX", storage_dir="kept", log_dir="/var/tmp/x")
    found = boot.load({"data": tmp_path / "d", "forwarder": str(file)}, {"FILMROOM_AET": "ENV"})
    assert (found.aet, found.dicom_port, found.dicom_host) == ("ENV", 1104, "0.0.0.0")
    assert found.store == tmp_path / "kept" and found.logs == Path("/var/tmp/x") and found.forwarder == str(file)
    by_environment = boot.load({"data": tmp_path / "d", "dicom_port": "7"}, {"FILMROOM_FORWARDER": str(file)})
    assert (by_environment.aet, by_environment.dicom_port) == ("BOX", 7)


def test_the_start_keeps_the_node_for_itself_until_there_is_no_file(
    config: Config, database: Database, tmp_path: Path
) -> None:
    given = replace(config, forwarder=str(_file(tmp_path)))
    forwarder.apply_file(given, database)
    with database.write() as session:
        assert forwarder.is_from_file(session)
        (node,) = peers.nodes(session, SYSTEM)
        administrator = replace(SYSTEM, kind="user")
        with pytest.raises(Conflict):
            service.update_node(session, administrator, node.id, NodeValues(port=105))
    before = _state(database)
    forwarder.apply_file(given, database)
    assert _state(database) == before
    forwarder.apply_file(config, database)
    with database.read() as session:
        assert not forwarder.is_from_file(session)
    with pytest.raises(ConfigError, match="line 2, pacs_host"):
        forwarder.apply_file(replace(config, forwarder=str(_file(tmp_path, pacs_host="169.254.1.1"))), database)


# -- the whole way, as a process -----------------------------------------------------------------------------------


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "app.cli", *map(str, arguments)]


ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("FILMROOM_")} | {"PYTHONPATH": str(ROOT)}


def _ask(verb: str, data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(verb, "--data", data), capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=120
    )


@contextmanager
def serving(data: Path, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        _command("serve", "--config", file, "--data", data, "--headless"),
        env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: _ask("status", data).returncode == 0, "filmroom runs", process=process)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _kept(folder: Path) -> bool:
    """Whether files are there; folders may go while they are walked."""
    try:
        return any(folder.rglob("*.dcm"))
    except FileNotFoundError:
        return True


@pytest.mark.slow
@pytest.mark.peer
def test_from_storescu_through_the_box_to_storescp(tmp_path: Path, shared_data: Path) -> None:
    """A PACS that is away at first; nothing is kept once it has everything; status and stop."""
    port, pacs_port, came = free_port(), free_port(), tmp_path / "pacs"
    file = _file(
        tmp_path, local_port=port, local_host="127.0.0.1", pacs_port=pacs_port, store_locally=False,
        storage_dir="kept", log_dir="logs", retry_attempts=20,
    )  # fmt: skip
    sent = [shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm"]
    with serving(tmp_path / "data", file) as process:
        assert "dicom: ready" in _ask("status", tmp_path / "data").stdout
        assert dcmtk.storescu(port, sent, "-R", called="DICOM_FORWARDER").code == 0
        eventually(lambda: _kept(tmp_path / "kept"), "the object is kept")
        with dcmtk.storescp(came, port=pacs_port, title="PACS"):
            eventually(lambda: came.exists() and any(p.is_file() for p in came.iterdir()), "the object is sent")
            (received,) = came.iterdir()
            assert data_set_of(sent[0]).startswith(data_set_of(received)), "storescu leaves trailing padding out"
            eventually(lambda: not _kept(tmp_path / "kept"), "what was sent is deleted")
        assert list((tmp_path / "logs").glob("*.log")) and not (tmp_path / "data" / "logs").exists()
        stopped = _ask("stop", tmp_path / "data")
        assert stopped.returncode == 0 and stopped.stdout == "stopped\n"
        assert process.wait(60) == 0
    gone = _ask("status", tmp_path / "data")
    assert gone.returncode == 3 and gone.stdout == "not running\n"
    assert _ask("stop", tmp_path / "data").returncode == 0


@pytest.mark.slow
def test_a_file_with_a_fault_starts_nothing(tmp_path: Path) -> None:
    file = _file(tmp_path, pacs_port="104", colour="blue")
    done = subprocess.run(
        _command("serve", "--config", file, "--data", tmp_path / "data"),
        capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and not (tmp_path / "data").exists()
    assert "line 3, pacs_port: enter a whole number without quotes" in done.stderr
    assert "line 5, colour: unknown key" in done.stderr
