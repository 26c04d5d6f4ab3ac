"""Nodes: made, changed, removed, tested against real peers."""

import socket
import threading
from pathlib import Path

import pytest

from app import audit
from app.config import Config
from app.db import Database
from app.kit.errors import Conflict, Forbidden, Invalid, NotFound
from app.network import pdu
from app.network.probe import Probe
from app.network.settings import DicomSettings
from app.nodes import queries as node_queries
from app.nodes import service
from app.nodes.service import NodeValues
from app.settings import save
from tests.support import dcmtk
from tests.support.client import actor
from tests.support.network_log import logged
from tests.support.postgres import free_port


def _node(
    database: Database, port: int = 104, title: str = "PACS", name: str = "pacs", host: str = "127.0.0.1"
) -> None:
    with database.write() as session:
        service.create_node(session, actor(database, "admin"), NodeValues(name, title, host, port))


def test_a_node_is_made_changed_and_removed(peopled: Database) -> None:
    _node(peopled)
    admin = actor(peopled, "admin")
    with peopled.write() as session:
        service.update_node(session, admin, "pacs", NodeValues(port=105, capabilities=["store", "find"]))
    with peopled.read() as session:
        node = node_queries.node(session, admin, "pacs")
        assert (node.port, node.options["capabilities"], node.changed_by) == (105, ["store", "find"], "admin")
        assert node_queries.node(session, admin, node.id).name == "pacs"
        verbs = [e.verb for e in audit.list_events(session, thing_id="pacs")[0]]
        assert verbs == ["node.edit", "node.create"]
    with peopled.write() as session:
        service.delete_node(session, admin, "pacs")
    with peopled.read() as session, pytest.raises(NotFound):
        node_queries.node(session, admin, "pacs")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (NodeValues("x", "TOO LONG A TITLE!", "h", 1), "ae_title"),
        (NodeValues("x", "OK", "169.254.169.254", 104), "host"),
        (NodeValues("x", "OK", "h", 70104), "port"),
        (NodeValues("", "OK", "h", 104), "name"),
        (NodeValues("x", None, "h", 104), "ae_title"),
        (NodeValues("x", "OK", "h", 104, capabilities=["fly"]), "capabilities"),
    ],
)
def test_nonsense_is_refused_by_field(peopled: Database, values: NodeValues, field: str) -> None:
    with pytest.raises(Invalid) as raised, peopled.write() as session:
        service.create_node(session, actor(peopled, "admin"), values)
    assert field in raised.value.extra["errors"]


def test_a_name_stands_once(peopled: Database) -> None:
    _node(peopled)
    with pytest.raises(Conflict):
        _node(peopled, name="PACS")


def test_only_administrators_edit_nodes(peopled: Database) -> None:
    with pytest.raises(Forbidden), peopled.write() as session:
        service.create_node(session, actor(peopled, "alice"), NodeValues("x", "X", "h", 104))


def _echo(database: Database, config: Config) -> Probe:
    return service.probe_node(database, actor(database, "admin"), "pacs", config)


@pytest.mark.peer
def test_an_echo_that_works_is_remembered(peopled: Database, sqlite_config: Config, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp", title="STORESCP") as port:
        _node(peopled, port)
        found = _echo(peopled, sqlite_config)
    assert found.ok and found.message == "It answered." and found.seconds > 0
    with peopled.read() as session:
        node = node_queries.node(session, actor(peopled, "admin"), "pacs")
        assert node.last_ok_at and node.last_fault is None
    assert logged(peopled) == [("echo", "pacs", "success")]


def test_a_closed_port_is_said_in_words(peopled: Database, sqlite_config: Config) -> None:
    _node(peopled, free_port())
    found = _echo(peopled, sqlite_config)
    assert not found.ok and "refuses connections" in found.message
    with peopled.read() as session:
        assert node_queries.node(session, actor(peopled, "admin"), "pacs").last_fault == found.message
    assert logged(peopled) == [("echo", "pacs", "failure")]


def test_an_unknown_host_is_said_in_words(peopled: Database, sqlite_config: Config) -> None:
    _node(peopled, host="no-such-host.invalid")
    assert "is not known" in _echo(peopled, sqlite_config).message


def test_a_wrong_title_is_said_in_words(peopled: Database, sqlite_config: Config, receiver: object) -> None:
    _node(peopled, receiver.port, title="WRONG")  # type: ignore[attr-defined]
    found = _echo(peopled, sqlite_config)
    assert not found.ok and "called AE title not recognized" in found.message and "case-sensitive" in found.message


def _one_shot(answer: bytes, wait: float = 0.0) -> int:
    """A peer that answers the first request with these bytes, then waits and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            sock.sendall(answer)
            threading.Event().wait(wait)
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (pdu.encode_reject(1, 1, 3), "AE title of this station is not known there"),
        (pdu.encode_reject(2, 3, 2), "for now: its limit of associations is reached"),
        (pdu.encode_abort(2, 6), "aborted the association because a PDU parameter was invalid"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak DICOM"),
        (b"", "closed the connection during the association"),
        (pdu.encode_accept(pdu.Associate("A", "B", titles=bytes(64)), [], 16384), "not Verification"),
    ],
)
def test_each_failure_has_its_words(peopled: Database, sqlite_config: Config, answer: bytes, words: str) -> None:
    _node(peopled, _one_shot(answer))
    found = _echo(peopled, sqlite_config)
    assert not found.ok and words in found.message


def test_a_silent_peer_is_given_up(peopled: Database, sqlite_config: Config) -> None:
    with peopled.write() as session:
        save(session, DicomSettings(network_timeout=2), "test")
    _node(peopled, _one_shot(b"\x02\x00", wait=30))
    found = _echo(peopled, sqlite_config)
    assert not found.ok and "did not answer within 2 s" in found.message and found.seconds < 25, (
        "it did not wait for the peer"
    )
