"""The DICOMweb client against a real Filmroom, and against servers that misbehave."""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from app.archive import Source
from app.config import Config
from app.kit.errors import PeerFault
from app.kit.ids import new_id
from app.network.settings import DicomSettings
from app.nodes import dicomweb, options
from app.nodes.models import Node
from tests.support.dimse import Station
from tests.support.live import PASSWORD, Live
from tests.support.pacs import make_study
from tests.support.web_peers import sends_body, web_server

SETTINGS = DicomSettings(network_timeout=20, connect_timeout=5)
FILE_SIZE_LIMIT = 1 << 30


def _node(url: str, **more: object) -> Node:
    set_to = {"protocol": "dicomweb", "url": url, **more}
    return Node(id=new_id(), name="web", ae_title="", host="", port=0, options=set_to)


@pytest.mark.slow
def test_it_finds_and_fetches_from_another_filmroom(
    live: Live, receiver: Station, sqlite_config: Config, tmp_path: Path
) -> None:
    made = make_study(tmp_path, 11)
    with live.client() as admin:
        for file in made.files:
            assert admin.post("/api/v1/imports", files=[("files", file.read_bytes())]).status_code == 200
    node = _node(f"{live.url}/dicom-web", username="admin", password=options.seal(sqlite_config, PASSWORD))
    with dicomweb.client(node, SETTINGS, sqlite_config) as http:
        found = list(dicomweb.find(http, "web", "STUDY", {"PatientName": "Ram*"}))
        assert [f["StudyInstanceUID"] for f in found] == [made.uid]
        assert found[0]["PatientName"] == "Ramírez^Lucía" and found[0]["NumberOfStudyRelatedInstances"] == "5"
        series = list(dicomweb.find(http, "web", "SERIES", {"StudyInstanceUID": made.uid}))
        assert {s["SeriesInstanceUID"] for s in series} == set(made.series)
        uid = series[0]["SeriesInstanceUID"]
        images = list(dicomweb.find(http, "web", "IMAGE", {"StudyInstanceUID": made.uid, "SeriesInstanceUID": uid}))
        assert {i["SOPInstanceUID"] for i in images} == set(made.series[uid]) and images[0]["SOPClassUID"]
        done = dicomweb.retrieve(
            http, "web", receiver.archive, Source(kind="dicomweb"), f"studies/{made.uid}", limit=FILE_SIZE_LIMIT
        )
        assert (done.stored, done.failed) == (5, 0)
    assert {i.sop_instance_uid for i in receiver.instances()} == set(made.instances)
    with (
        dicomweb.client(_node(f"{live.url}/dicom-web"), SETTINGS, sqlite_config) as http,
        pytest.raises(PeerFault, match="refused us"),
    ):
        list(dicomweb.find(http, "web", "STUDY", {}))


def test_a_broken_part_loses_no_good_one_and_a_cut_response_keeps_what_was_whole(
    receiver: Station, sqlite_config: Config, tmp_path: Path
) -> None:
    made = make_study(tmp_path, 12, series=[("CT", 3)])
    parts = [made.files[0].read_bytes(), b"this is no DICOM", made.files[1].read_bytes()]
    whole = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts)
    last = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + made.files[2].read_bytes()
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    body = whole + last[: len(last) // 2]
    told: list[int] = []
    with (
        web_server(sends_body(body, kind, len(body) + 9000)) as url,
        dicomweb.client(_node(url), SETTINGS, sqlite_config) as http,
        pytest.raises(PeerFault, match="broke off"),
    ):
        dicomweb.retrieve(
            http,
            "web",
            receiver.archive,
            Source(kind="dicomweb"),
            f"studies/{made.uid}",
            limit=FILE_SIZE_LIMIT,
            tell=lambda f: told.append(f.stored * 10 + f.failed),
        )
    assert told == [10, 11, 21]
    assert [i.sop_instance_uid for i in receiver.instances()] == made.instances[:2]
    assert len(receiver.files()) == 2, "nothing of the cut object may stay"


def test_a_server_that_knows_no_star_is_asked_for_its_default_form(
    receiver: Station, sqlite_config: Config, tmp_path: Path
) -> None:
    made = make_study(tmp_path, 13, series=[("CT", 2)])
    body = b"".join(
        b"--b\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n" for path in made.files
    )
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers["Accept"])
        good = "transfer-syntax" not in asked[-1]
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        sends_body(body + b"--b--\r\n" if good else b"", kind, status=200 if good else 406)(handler)

    with web_server(answer) as url, dicomweb.client(_node(url), SETTINGS, sqlite_config) as http:
        source = Source(kind="dicomweb")
        done = dicomweb.retrieve(http, "web", receiver.archive, source, f"studies/{made.uid}", limit=FILE_SIZE_LIMIT)
    assert (done.stored, done.failed, len(asked)) == (2, 0, 2)
    with (
        web_server(sends_body(b"", status=406)) as url,
        dicomweb.client(_node(url), SETTINGS, sqlite_config) as http,
        pytest.raises(PeerFault, match="406"),
    ):
        dicomweb.retrieve(http, "web", receiver.archive, source, "studies/1.2.3", limit=FILE_SIZE_LIMIT)


def test_a_server_that_misbehaves_is_told_in_words(sqlite_config: Config) -> None:
    study = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}}
    cases = [
        (sends_body(b"<html>", "text/html"), "not DICOM JSON"),
        (sends_body(b"[" * 100_000), "not DICOM JSON"),
        (sends_body(b"", status=404), "404"),
        (sends_body(b"", status=503), "503"),
        (sends_body(b"", status=302), "elsewhere"),
        (sends_body(b'[{"0020', length=500), "broke off"),
    ]
    for answer, words in cases:
        with (
            web_server(answer) as url,
            dicomweb.client(_node(url), SETTINGS, sqlite_config) as http,
            pytest.raises(PeerFault, match=words),
        ):
            list(dicomweb.find(http, "web", "STUDY", {}))
    odd = [study, {"x": 3}, "?", {"0020000D": {"vr": "UI"}}, {"0020000D": {"vr": "UI", "Value": ["1.2.4"]}}]
    with (
        web_server(sends_body(json.dumps(odd).encode())) as url,
        dicomweb.client(_node(url), SETTINGS, sqlite_config) as http,
    ):
        search = dicomweb.RemoteSearch()
        found = list(dicomweb.find(http, "web", "STUDY", {}, limit=50, search=search))
    assert [f["StudyInstanceUID"] for f in found] == ["1.2.3", "1.2.4"] and search.broken == 3
    many = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{n}"]}} for n in range(900)]
    with (
        web_server(sends_body(json.dumps(many).encode())) as url,
        dicomweb.client(_node(url), SETTINGS, sqlite_config) as http,
    ):
        search = dicomweb.RemoteSearch()
        assert len(list(dicomweb.find(http, "web", "STUDY", {}, limit=50, search=search))) == 50 and search.limited
    with (
        dicomweb.client(_node("http://169.254.169.254/x"), SETTINGS, sqlite_config) as http,
        pytest.raises(PeerFault, match="cannot be reached"),
    ):
        list(dicomweb.find(http, "web", "STUDY", {}))


def test_texts_that_no_page_can_show_are_cleaned_and_a_uid_with_them_is_unreadable(sqlite_config: Config) -> None:
    """One unpaired surrogate in a name made the whole query an internal error."""
    names = ["Good^One", "Half\ud800^Two", "Zero\0^Three", "Turned\u202e^Four", "Escaped\x1b^Five"]
    answers = [
        {"0020000D": {"vr": "UI", "Value": [f"1.2.{n}"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}
        for n, name in enumerate(names)
    ]
    answers += [{"0020000D": {"vr": "UI", "Value": [uid]}} for uid in ("1.2.9\ud800", "1.2.9\0")]
    search = dicomweb.RemoteSearch()
    with (
        web_server(sends_body(json.dumps(answers).encode())) as url,
        dicomweb.client(_node(url), SETTINGS, sqlite_config) as http,
    ):
        found = list(dicomweb.find(http, "web", "STUDY", {}, search=search))
    assert [one["PatientName"] for one in found] == [
        "Good^One", "Half ^Two", "Zero ^Three", "Turned ^Four", "Escaped ^Five"
    ]  # fmt: skip
    assert search.broken == 2
