"""Options of nodes: their defaults, what is refused, secrets that are kept sealed, and the tests of other protocols."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from app.config import Config
from app.db import Database
from app.kit.errors import Invalid
from app.network.settings import DicomSettings
from app.nodes import options, service
from app.nodes import queries as node_queries
from app.nodes.options import BY_SETTING, NodeOptions, NodeValues, faults
from app.nodes.probe_others import probe_folder
from tests.support.client import actor, add_cast
from tests.support.live import PASSWORD, Live
from tests.support.postgres import free_port

DICOM = NodeValues("pacs", "PACS", "10.0.0.5", 104)


def _made(database: Database, config: Config, values: NodeValues) -> NodeOptions:
    with database.write() as session:
        return options.node_options(service.create_node(session, actor(database, "admin"), values, config))


def test_a_new_node_has_the_defaults(peopled: Database, sqlite_config: Config) -> None:
    assert _made(peopled, sqlite_config, DICOM) == options.DEFAULTS


def test_options_are_kept_changed_and_given_back_to_the_settings(database: Database, config: Config) -> None:
    add_cast(database)
    admin = actor(database, "admin")
    change = NodeValues(parallel=4, window="22:00-06:00", retries=0, max_pdu=16384, tls=True, connect_timeout=3)
    with database.write() as session:
        service.create_node(session, admin, DICOM, config)
        service.update_node(session, admin, "pacs", change, config)
    with database.read() as session:
        node = node_queries.node(session, admin, "pacs")
        found = options.node_options(node)
        assert (found.parallel, found.window, found.retries, found.max_pdu, found.tls) == (
            4,
            "22:00-06:00",
            0,
            16384,
            True,
        )
        peer = service.peer_of(node, "US", DicomSettings(network_timeout=77))
        assert (peer.connect_timeout, peer.network_timeout, peer.max_pdu, peer.tls) == (3, 77, 16384, True)
        assert peer.effective_settings(DicomSettings()).connect_timeout == 3
    with database.write() as session:
        service.update_node(session, admin, "pacs", NodeValues(retries=BY_SETTING, max_pdu=BY_SETTING), config)
    with database.read() as session:
        found = options.node_options(node_queries.node(session, admin, "pacs"))
        assert (found.retries, found.max_pdu, found.connect_timeout) == (None, None, 3)


def test_secrets_are_sealed_replaced_and_forgotten(peopled: Database, sqlite_config: Config) -> None:
    admin = actor(peopled, "admin")
    values = NodeValues("cloud", protocol="dicomweb", url="https://x.example/dw", username="u", password="Tulip-7")
    found = _made(peopled, sqlite_config, values)
    assert "Tulip" not in found.password and options.decrypt_secret(sqlite_config, found.password) == "Tulip-7"
    with peopled.read() as session:
        row = session.execute(text("SELECT options FROM node")).scalar_one()
        trail = session.execute(text("SELECT group_concat(detail) FROM audit_event")).scalar_one()
        shown = service.node_json(node_queries.node(session, admin, "cloud"))
    assert "Tulip-7" not in f"{row}{trail}{shown}"
    assert shown["password_set"] is True and shown["token_set"] is False and "password" not in shown
    with peopled.write() as session:
        service.update_node(session, admin, "cloud", NodeValues(url="https://y.example"), sqlite_config)
        service.update_node(session, admin, "cloud", NodeValues(token="T-1"), sqlite_config)
    with peopled.write() as session:
        kept = options.node_options(
            service.update_node(session, admin, "cloud", NodeValues(password=""), sqlite_config)
        )
    assert kept.password == "" and options.decrypt_secret(sqlite_config, kept.token) == "T-1"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (NodeValues(url="ftp://x"), "url"),
        (NodeValues(url="https://user:pw@x"), "url"),
        (NodeValues(url="https://x/?q=1"), "url"),
        (NodeValues(url="http://169.254.169.254/latest"), "url"),
        (NodeValues(url="http://[::1"), "url"),
        (NodeValues(path="out"), "path"),
        (NodeValues(path="/srv/../etc"), "path"),
        (NodeValues(window="22-6"), "window"),
        (NodeValues(window="24:00-06:00"), "window"),
        (NodeValues(parallel=0), "parallel"),
        (NodeValues(parallel=17), "parallel"),
        (NodeValues(priority=10), "priority"),
        (NodeValues(bandwidth_kib=-1), "bandwidth_kib"),
        (NodeValues(max_pdu=100), "max_pdu"),
        (NodeValues(protocol="gopher"), "protocol"),
        (NodeValues(character_set="UTF-16"), "character_set"),
        (NodeValues(transfer_syntax="zip"), "transfer_syntax"),
        (NodeValues(tls_profile="ssl3"), "tls_profile"),
        (NodeValues(username="a:b"), "username"),
    ],
)
def test_nonsense_is_named_by_field(values: NodeValues, field: str) -> None:
    assert list(faults(values)) == [field]


def test_what_is_right_has_no_faults() -> None:
    good = NodeValues(url="https://pacs.example:8443/dicom-web", path="/srv/out", window="00:00-23:59", priority=0)
    assert faults(good) == {} and faults(NodeValues(url="", path="", window="", retries=BY_SETTING)) == {}


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (NodeValues("x"), {"ae_title", "host", "port"}),
        (NodeValues("x", protocol="dicomweb"), {"url"}),
        (NodeValues("x", protocol="folder"), {"path"}),
        (NodeValues(protocol="folder", path="/srv"), {"name"}),
    ],
)
def test_each_protocol_needs_its_own(
    peopled: Database, sqlite_config: Config, values: NodeValues, missing: set[str]
) -> None:
    with pytest.raises(Invalid) as raised:
        _made(peopled, sqlite_config, values)
    assert set(raised.value.extra["errors"]) == missing


def test_a_node_that_changes_its_protocol_needs_the_others_fields(peopled: Database, sqlite_config: Config) -> None:
    _made(peopled, sqlite_config, DICOM)
    admin = actor(peopled, "admin")
    with pytest.raises(Invalid), peopled.write() as session:
        service.update_node(session, admin, "pacs", NodeValues(protocol="dicomweb"), sqlite_config)
    with pytest.raises(Invalid), peopled.write() as session:
        service.update_node(session, admin, "pacs", NodeValues(host=""), sqlite_config)


def test_a_folder_of_our_own_data_is_refused(peopled: Database, sqlite_config: Config, tmp_path: Path) -> None:
    for path in (sqlite_config.store / "out", sqlite_config.data, sqlite_config.data.parent):
        with pytest.raises(Invalid) as raised:
            _made(peopled, sqlite_config, NodeValues("out", protocol="folder", path=str(path)))
        assert "own data" in raised.value.extra["errors"]["path"]
    link = tmp_path / "link"
    link.symlink_to(sqlite_config.store)
    with pytest.raises(Invalid):
        _made(peopled, sqlite_config, NodeValues("out", protocol="folder", path=str(link)))


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    found = probe_folder(str(tmp_path))
    assert (
        found.ok and [s.name for s in found.steps] == ["folder", "write", "space"] and "GB free" in found.steps[2].words
    )
    assert list(tmp_path.iterdir()) == []
    gone = probe_folder(str(tmp_path / "gone"))
    assert not gone.ok and "is not a folder" in gone.message


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX")
def test_a_folder_that_cannot_be_written_to_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.kit.folders.is_system", lambda path: False)
    found = probe_folder("/proc/self/fdinfo")  # not even root writes there
    assert not found.ok and "cannot be written to" in found.message and "right to write" in found.message


@pytest.mark.slow
def test_a_dicomweb_server_is_tried_by_a_search(live: Live, peopled: Database, sqlite_config: Config) -> None:
    admin = actor(peopled, "admin")
    values = NodeValues("web", protocol="dicomweb", url=f"{live.url}/dicom-web", username="admin", password=PASSWORD)
    _made(peopled, sqlite_config, values)
    found = service.probe_node(peopled, admin, "web", sqlite_config)
    assert found.ok and [s.name for s in found.steps] == ["reach", "search"], found.message
    for change, words in (
        (NodeValues(password="wrong"), "refused us (401)"),
        (NodeValues(password=PASSWORD, url=f"{live.url}/nowhere"), "no DICOMweb service"),
        (NodeValues(url=f"http://127.0.0.1:{free_port()}"), "cannot be reached"),
    ):
        with peopled.write() as session:
            service.update_node(session, admin, "web", change, sqlite_config)
        found = service.probe_node(peopled, admin, "web", sqlite_config)
        assert not found.ok and words in found.message
