"""Nodes as files: out and in again, looked at first, Orthanc's configuration, and the file given at the start."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app import config as boot
from app.config import Config, ConfigError
from app.db import Database
from app.kit.errors import Conflict, Forbidden, Invalid
from app.nodes import exchange, file_schema, options, service
from app.nodes import queries as node_queries
from app.nodes.exchange import Report
from app.nodes.options import NodeValues
from app.security.actor import SYSTEM
from tests.support import live
from tests.support.client import Web, actor, add_cast

ORTHANC = Path("/etc/orthanc/orthanc.json")
HEAD = {"format": "filmroom-nodes", "version": 1}


def _file(*nodes: dict[str, Any]) -> str:
    return json.dumps(HEAD | {"nodes": list(nodes)}, indent=1)


def _import(database: Database, config: Config, text: str, dry_run: bool = False) -> Report:
    return exchange.import_file(database, actor(database, "admin"), text, config, dry_run)


def _many(database: Database, config: Config) -> None:
    admin = actor(database, "admin")
    with database.write() as session:
        north = actor(database, "bob").facility_id
        pacs = NodeValues("pacs", "PACS", "10.0.0.5", 104, facility_id=north, retries=7, capabilities=["find"])
        service.create_node(session, admin, pacs, config)
        web = NodeValues("cloud", protocol="dicomweb", url="https://x.example/dw", username="u", password="Tulip-7")
        service.create_node(session, admin, web, config)
        service.create_node(session, admin, NodeValues("out", protocol="folder", path="/srv/out"), config)


def test_an_export_comes_back_as_it_was(database: Database, config: Config) -> None:
    add_cast(database)
    _many(database, config)
    admin = actor(database, "admin")
    with database.write() as session:
        text = json.dumps(exchange.export_nodes(session, admin, sealed=True), indent=1)
        before = {n.name: (options.node_options(n), n.facility_id, n.host) for n in node_queries.nodes(session, admin)}
    assert "Tulip" not in text
    assert _import(database, config, text, dry_run=True).count("same") == 3
    with database.write() as session:
        for name in ("pacs", "cloud", "out"):
            service.delete_node(session, admin, name)
    report = _import(database, config, text)
    assert report.count("create") == 3
    with database.read() as session:
        after = {n.name: (options.node_options(n), n.facility_id, n.host) for n in node_queries.nodes(session, admin)}
    assert options.decrypt_secret(config, after["cloud"][0].password) == "Tulip-7"
    for name in ("pacs", "out"):
        assert after[name] == before[name]


def test_a_plain_export_holds_no_secret(peopled: Database, sqlite_config: Config) -> None:
    _many(peopled, sqlite_config)
    with peopled.write() as session:
        found = exchange.export_nodes(session, actor(peopled, "admin"))
    assert "password" not in json.dumps(found) and "sealed" not in json.dumps(found)
    with pytest.raises(Forbidden), peopled.write() as session:
        exchange.export_nodes(session, actor(peopled, "alice"))


def test_the_schema_fits_what_is_exported(peopled: Database, sqlite_config: Config) -> None:
    """Each key of an export has its place in the schema, and each place its words; types and choices hold."""
    _many(peopled, sqlite_config)
    with peopled.write() as session:
        found = exchange.export_nodes(session, actor(peopled, "admin"), sealed=True)
    properties = file_schema.schema()["properties"]["nodes"]["items"]["properties"]
    assert set(properties) == set(file_schema.value_types()) and all(one["description"] for one in properties.values())
    words = {"string": str, "integer": int, "boolean": bool, "array": (list, tuple), "null": type(None), "object": dict}
    for node in found["nodes"]:
        for key, value in node.items():
            rule = properties[key]
            kinds = rule.get("type") or [one["type"] for one in rule["anyOf"]]
            kinds = [kinds] if isinstance(kinds, str) else kinds
            assert any(isinstance(value, words[kind]) for kind in kinds), key
            assert "enum" not in rule or value in rule["enum"]


def test_a_dry_run_tells_and_changes_nothing(peopled: Database, sqlite_config: Config) -> None:
    _many(peopled, sqlite_config)
    text = _file(
        {"name": "PACS", "port": 105, "retries": None}, {"name": "new", "ae_title": "N", "host": "h", "port": 1}
    )
    report = _import(peopled, sqlite_config, text, dry_run=True)
    assert [(one.name, one.action) for one in report.changes] == [("PACS", "change"), ("new", "create")]
    assert report.changes[0].changes == {"name": ("pacs", "PACS"), "port": (104, 105), "retries": (7, None)}
    with peopled.read() as session:
        assert len(node_queries.nodes(session, actor(peopled, "admin"))) == 3
        assert node_queries.node(session, SYSTEM, "pacs").port == 104


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ('{"format": "filmroom-nodes",\n"version": 1,,', 2, "", "double quotes"),
        ("[]", 1, "", "neither a file of nodes"),
        ('{"format": "x", "version": 1, "nodes": []}', 1, "", "filmroom-nodes"),
        (_file({"name": "a", "port": "104"}), 7, "nodes[0].port", "number is needed"),
        (_file({"name": "a", "retries": -1}), 7, "nodes[0].retries", "from 0 to 100"),
        (_file({"name": "a", "tls": 1}), 7, "nodes[0].tls", "true or false is needed"),
        (_file({"name": "a", "ae_title": "A", "host": "h", "port": 70000}), 9, "nodes[0].port", "1 to 65535"),
        (_file({"name": "a", "colour": "red"}), 7, "nodes[0].colour", "not known"),
        (_file({"name": "a", "ae_title": "A", "host": "h"}), 5, "nodes[0]", "This is needed"),
        (_file({"name": "a", "facility": "West"}), 7, "nodes[0].facility", "no facility"),
        (_file({"name": "a", "password": {"sealed": "00"}}), 7, "nodes[0].password", "another installation"),
        (_file({"name": "a", "capabilities": ["fly"]}), 7, "nodes[0].capabilities", "A node can"),
        (_file({"ae_title": "A", "host": "h", "port": 1}), 5, "nodes[0]", "This is needed"),
    ],
)
def test_each_fault_has_its_line_and_key(
    peopled: Database, sqlite_config: Config, text: str, line: int, key: str, words: str
) -> None:
    faults = _import(peopled, sqlite_config, text, dry_run=True).faults
    assert any(f.line == line and f.key == key and words in f.message for f in faults), faults
    with pytest.raises(Invalid):
        _import(peopled, sqlite_config, text)


def test_one_fault_changes_nothing_and_names_stand_once(peopled: Database, sqlite_config: Config) -> None:
    good = {"name": "a", "ae_title": "A", "host": "h", "port": 104}
    with pytest.raises(Invalid) as raised:
        _import(peopled, sqlite_config, _file(good, good | {"name": "A"}))
    assert "has this name too" in str(raised.value)
    with peopled.read() as session:
        assert node_queries.nodes(session, SYSTEM) == []


MODALITIES = """{
  // a comment, as in Orthanc's own file
  "DicomModalities": {
    "old": ["OLD", "10.1.1.1", 104],
    "ge": ["GE_CT", "ge.example", "4242", "GE"],
    /* the long form */
    "full": {"AET": "FULL", "Host": "10.1.1.2", "Port": 2762, "UseDicomTls": true, "Timeout": 45,
      "AllowEcho": false, "AllowStore": false, "AllowFind": false, "AllowMove": false, "AllowGet": false,
      "LocalAet": "HERE", "RetrieveMethod": "C-GET", "AllowTranscoding": false}
  },
  "DicomWeb": {"Servers": {"cloud": ["https://x.example/dicom-web/", "user", "Iris-5"]}}
}"""


def test_orthancs_modalities_become_nodes(database: Database, config: Config) -> None:
    add_cast(database)
    report = _import(database, config, MODALITIES)
    assert report.count("create") == 4
    with database.read() as session:
        found = {n.name: n for n in node_queries.nodes(session, actor(database, "admin"))}
    old, ge, full = found["old"], found["ge"], options.node_options(found["full"])
    assert (old.ae_title, old.host, old.port) == ("OLD", "10.1.1.1", 104)
    assert (
        set(options.node_options(old).capabilities) == {"store", "find", "move"} and options.node_options(old).may_query
    )
    assert ge.port == 4242 and "GE" in options.node_options(ge).comment
    assert (full.tls, full.network_timeout, full.accept, full.may_query) == (True, 45, False, False)
    assert full.local_title == "HERE" and full.retrieve_by == "get" and "get" in full.capabilities
    notes = " ".join(next(one for one in report.changes if one.name == "full").notes)
    assert "echo of a known node is always answered" in notes and "as stored" in notes
    cloud = options.node_options(found["cloud"])
    assert cloud.url == "https://x.example/dicom-web" and options.decrypt_secret(config, cloud.password) == "Iris-5"


@pytest.mark.skipif(not ORTHANC.is_file(), reason="Debian's package orthanc is missing")
def test_orthancs_own_file_with_its_samples_is_taken(peopled: Database, sqlite_config: Config) -> None:
    """Debian's /etc/orthanc/orthanc.json as it is, and with the samples in its comments switched on."""
    text = ORTHANC.read_text("utf-8")
    assert _import(peopled, sqlite_config, text).changes == []
    at = text.index('"DicomModalities" : {')
    head, rest = text[:at], text[at:]
    rest = re.sub(r'// ("sample" : \[ "STORESCP".*\])', r"\1,", rest, count=1)
    rest = re.sub(r'// ("vitrea" : \[.*\])', r"\1,", rest, count=1)
    begin = rest.index('//"untrusted" : {')
    end = rest.index("//}", begin) + 3
    sample = re.sub(r"(?m)^\s*//", "", rest[begin:end])
    sample = re.sub(
        r'(?m)(" *: *(?:true|false|\d+|"\w+")),?( *//.*)?$', r"\1,\2", sample
    )  # its commas are not all there
    rest = rest[:begin] + re.sub(r",( *//.*)?\s*\}$", "}", sample) + rest[end:]
    report = _import(peopled, sqlite_config, head + rest)
    assert [one.name for one in report.changes] == ["sample", "vitrea", "untrusted"]
    with peopled.read() as session:
        assert options.node_options(node_queries.node(session, SYSTEM, "untrusted")).may_query is False


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ('["A", "h"]', "A modality is"),
        ('"A"', "a list or an object"),
        ('["A", "h", "many"]', "number is needed"),
        ('{"AET": "A", "Host": "h", "Port": 104, "AllowFind": "no"}', "true or false"),
        ('["A TITLE FAR TOO LONG", "h", 104]', "1 to 16 characters"),
    ],
)
def test_orthancs_faults_have_their_line(peopled: Database, sqlite_config: Config, one: str, words: str) -> None:
    text = '{"DicomModalities": {\n"x":\n' + one + "}}"
    (fault,) = _import(peopled, sqlite_config, text, dry_run=True).faults
    assert fault.line == 3 and fault.key.startswith("DicomModalities.x") and words in fault.message


def _start(config: Config, database: Database, file: Path | None) -> None:
    given = boot.load({"data": config.data, "database_url": config.database_url, "nodes": str(file or "")}, environ={})
    exchange.apply_file(given, database)


def test_the_file_of_the_start_is_read_only_until_it_is_left_out(
    database: Database, config: Config, tmp_path: Path
) -> None:
    add_cast(database)
    admin = actor(database, "admin")
    file = tmp_path / "nodes.json"
    file.write_text(_file({"name": "pacs", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}))
    _start(config, database, file)
    with database.read() as session:
        assert service.node_json(node_queries.node(session, admin, "pacs"))["from_file"] is True
    for act in (
        lambda s: service.update_node(s, admin, "pacs", NodeValues(port=1)),
        lambda s: service.delete_node(s, admin, "pacs"),
        lambda s: exchange.write_nodes(
            s, admin, exchange.check_nodes(s, admin, _file({"name": "pacs", "port": 1}), config), config
        ),
    ):
        with pytest.raises((Conflict, Invalid)) as raised, database.write() as session:
            act(session)
        assert "file given at the start" in str(raised.value)
    file.write_text(_file({"name": "pacs", "ae_title": "PACS", "host": "10.0.0.6", "port": 104}))
    _start(config, database, file)
    with database.read() as session:
        assert node_queries.node(session, admin, "pacs").host == "10.0.0.6"
    _start(config, database, None)
    with database.write() as session:
        service.update_node(session, admin, "pacs", NodeValues(port=105))


def test_a_wrong_file_stops_the_start_with_line_and_key(
    peopled: Database, sqlite_config: Config, tmp_path: Path
) -> None:
    file = tmp_path / "nodes.json"
    for text, words in (
        (_file({"name": "a", "ae_title": "A", "host": "h", "port": 0.5}), "line 9, nodes[0].port"),
        ("{", "line 1: "),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError) as raised:
            _start(sqlite_config, peopled, file)
        assert words in str(raised.value)
    with pytest.raises(ConfigError):
        _start(sqlite_config, peopled, tmp_path / "gone.json")


def test_over_rest(web: Web) -> None:
    assert web.alice.get("/api/v1/nodes/schema").json()["properties"]["nodes"]
    assert web.alice.get("/api/v1/nodes/export").status_code == 403
    assert web.alice.post("/api/v1/nodes/import", content=MODALITIES).status_code == 403
    dry = web.admin.post("/api/v1/nodes/import?dry_run=true", content=MODALITIES).json()
    assert (dry["created"], dry["dry_run"], dry["faults"]) == (4, True, [])
    assert web.admin.get("/api/v1/nodes").json()["total"] == 0
    assert web.admin.post("/api/v1/nodes/import", content=MODALITIES).json()["created"] == 4
    export = web.admin.get("/api/v1/nodes/export").json()
    assert {one["name"] for one in export["nodes"]} == {"old", "ge", "full", "cloud"}
    again = web.admin.post("/api/v1/nodes/import", json=export).json()
    assert again["same"] == 4
    wrong = web.admin.post("/api/v1/nodes/import", content='{\n"nodes"')
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["line"] == 2
    assert web.admin.post("/api/v1/nodes", json={"name": "export"}).json()["errors"][0]["field"] == "name"


def test_a_file_is_checked_without_the_write_lock_and_has_a_bounded_number_of_nodes(web: Web) -> None:
    node = {"ae_title": "A", "host": "h", "port": 104}
    nodes = [node | {"name": f"n{n}"} for n in range(exchange.MAX_NODES + 1)]
    assert web.admin.get("/settings/nodes/import").status_code == 200  # signed in before the lock is taken
    with web.database.write():  # another writer: a check waits for nobody
        dry = web.admin.post("/api/v1/nodes/import?dry_run=true", content=_file(*nodes[:3]))
        assert (dry.status_code, dry.json()["created"]) == (200, 3)
        assert web.admin.post("/settings/nodes/import", data={"text": _file(*nodes[:3])}).status_code == 200
        for faulty in (_file(*nodes), "{"):
            assert web.admin.post("/api/v1/nodes/import", content=faulty).status_code == 422
    many = web.admin.post("/api/v1/nodes/import", content=_file(*nodes)).json()
    assert many["detail"].startswith("Line 1: The file has 2001 nodes; the maximum is 2000.")
    large = web.admin.post("/api/v1/nodes/import", content=" " * (exchange.LIMIT + 1))
    assert large.status_code == 413 and "4 MB" in large.json()["detail"]


def test_on_the_page(web: Web) -> None:
    assert web.alice.get("/settings/nodes/import").status_code == 403
    assert "data-file-into" in web.admin.get("/settings/nodes/import").text
    shown = web.admin.post("/settings/nodes/import", data={"text": MODALITIES})
    assert shown.status_code == 200 and "4 nodes are made or changed" in shown.text and "Iris-5" in shown.text
    assert shown.text.count("Iris-5") == 2, "only in what was typed: the field and its copy"
    assert web.admin.get("/api/v1/nodes").json()["total"] == 0
    assert web.admin.post("/settings/nodes/import/apply", data={"text": MODALITIES}).status_code == 303
    assert web.admin.get("/api/v1/nodes").json()["total"] == 4
    wrong = web.admin.post("/settings/nodes/import", data={"text": '{\n"a": }'})
    assert wrong.status_code == 422 and "Line 2" in wrong.text
    assert web.admin.post("/settings/nodes/import/apply", data={"text": "{"}).status_code == 422


@pytest.mark.slow
def test_a_start_with_a_file_of_nodes(tmp_path: Path) -> None:
    """`filmroom serve --nodes FILE`: there at once, read-only on the page; a wrong file ends the start with its line."""
    file = tmp_path / "nodes.json"
    file.write_text(_file({"name": "pacs", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}))
    with live.running(tmp_path / "data", "--nodes", str(file)) as station, station.client() as client:
        assert client.get("/api/v1/nodes/pacs").json()["from_file"] is True
        assert client.patch("/api/v1/nodes/pacs", json={"port": 105}).status_code == 409
        page = client.get("/settings/nodes").text
        assert "From the file given at the start" in page and "from file" in page and "<fieldset" in page
    file.write_text(_file({"name": "pacs", "ae_title": "PACS", "host": "10.0.0.5", "port": "x"}))
    with pytest.raises(RuntimeError) as raised:
        live.start(tmp_path / "data", "--nodes", str(file))
    assert "line 9, nodes[0].port: Here a number is needed." in str(raised.value)
