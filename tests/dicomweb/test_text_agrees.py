"""List, search, metadata as JSON and XML, QIDO, C-FIND, routes and paper say the same text of an object, whatever its character set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydicom.valuerep import PersonName
from pynetdicom.association import Association

from app.archive import content, queries
from app.dicom import lookup
from app.dicom.lookup import Attributes
from app.nodes import service
from app.nodes.options import NodeValues
from app.printing import facts, wording
from app.security.actor import SYSTEM
from tests.support.client import Web, actor
from tests.support.dimse import station
from tests.support.finding import STUDY_ROOT, ask, connected, data_set

CASES = Path(__file__).parents[1] / "cases"
NAME = "00100010"
KEYWORDS = {"PatientName": NAME, "PatientID": "00100020", "StudyDescription": "00081030"}


UTF_8 = "ISO_IR 192"


@pytest.fixture
def finder(web: Web) -> Iterator[Association]:
    """An association with a receiver that runs over the same database."""
    with web.database.write() as session:
        node = NodeValues("finder", "PYNETDICOM", "127.0.0.1", 104)
        service.create_node(session, actor(web.database, "admin"), node)
    with station(web.services.config, web.database) as running, connected(running.port) as association:
        yield association


def _found_by(finder: Association, study_uid: str, character_set: str | None) -> dict[str, str]:
    """What C-FIND answers of a study, asked in this character set, decoded by pydicom by the answer's own."""
    keys = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=study_uid, **dict.fromkeys(KEYWORDS, ""))
    if character_set:
        keys.SpecificCharacterSet = character_set
    found = ask(finder, STUDY_ROOT, keys)
    assert (found.status, len(found.answers)) == (0, 1), found
    found.answers[0].decode()
    values = {keyword: found.answers[0].get(keyword, "") for keyword in KEYWORDS}
    return {
        k: str(v) if isinstance(v, str | PersonName) or v is None else "\\".join(map(str, v)) for k, v in values.items()
    }


def _import(web: Web, paths: list[Path]) -> list[dict[str, Any]]:
    files = [("files", (path.name, path.read_bytes(), "application/dicom")) for path in paths]
    answer = web.admin.post("/api/v1/imports", files=files)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert {one["status"] for one in results} == {"stored"}, results
    return results


def _metadata(web: Web, uid: str) -> tuple[dict[str, Any], ElementTree.Element]:
    """Of one object, by QIDO for its address."""
    (found,) = web.admin.get(f"/dicom-web/instances?SOPInstanceUID={uid}").json()
    path = f"/dicom-web/studies/{found['0020000D']['Value'][0]}/series/{found['0020000E']['Value'][0]}/instances/{uid}"
    model = web.admin.get(f"{path}/metadata", headers={"Accept": "application/dicom+json"}).json()[0]
    xml = web.admin.get(
        f"{path}/metadata", headers={"Accept": 'multipart/related; type="application/dicom+xml"'}
    ).content
    start = xml.index(b"<?xml")
    return model, ElementTree.fromstring(xml[start : xml.index(b"</NativeDicomModel>") + 19])


def _xml_text(root: ElementTree.Element, tag: str) -> str:
    for node in root:
        if node.get("tag") == tag:
            values = [
                "=".join("^".join(part.text or "" for part in group) for group in value)
                if value.tag.endswith("PersonName")
                else value.text or ""
                for value in node
            ]
            return "\\".join(values)
    return ""


def _json_text(model: dict[str, Any], tag: str) -> str:
    values = model.get(tag, {}).get("Value", [])
    return "\\".join("=".join(v.values()) if isinstance(v, dict) else str(v) for v in values)


def _said(web: Web, uid: str) -> dict[str, dict[str, str]]:
    """Surface -> {attribute: text}."""
    model, xml = _metadata(web, uid)
    with web.database.read() as session:
        instance = queries.instance(session, SYSTEM, uid)
        header = content.header(session, instance)
        routes = Attributes(queries.header_row(session, instance).raw)
    paper = facts.header_values(header, wording.words("en"))
    path = f"/api/v1/studies/{model['0020000D']['Value'][0]}"
    listed = web.admin.get(path).json()
    (study,) = web.admin.get(f"/dicom-web/studies?StudyInstanceUID={model['0020000D']['Value'][0]}").json()
    return {
        "json": {k: _json_text(model, tag).rstrip("=") for k, tag in KEYWORDS.items()},
        "xml": {k: _xml_text(xml, tag).rstrip("=") for k, tag in KEYWORDS.items()},
        "qido": {k: _json_text(study, tag).rstrip("=") for k, tag in KEYWORDS.items()},
        "routes": {k: "\\".join(routes.values(lookup.parse(k)) or []).rstrip("=") for k in KEYWORDS},
        "list": {
            "PatientName": listed["patient_name"],
            "PatientID": listed["patient_id"],
            "StudyDescription": listed["description"],
        },
        "paper": {
            "PatientName": paper["PatientName"],
            "PatientID": paper["PatientID"],
            "StudyDescription": paper["StudyDescription"],
        },
    }


def _find_agrees(web: Web, finder: Association, study_uid: str) -> None:
    """C-FIND says what the list says, in UTF-8 and in the character set that it chooses itself."""
    listed = web.admin.get(f"/api/v1/studies/{study_uid}").json()
    wanted = dict(zip(KEYWORDS, (listed["patient_name"], listed["patient_id"], listed["description"]), strict=True))
    for character_set in (UTF_8, None):
        assert _found_by(finder, study_uid, character_set) == wanted, (study_uid, character_set)


@pytest.mark.parametrize("case", ["H48", "H56", "H17"])
def test_find_agrees_with_the_list(web: Web, finder: Association, case: str) -> None:
    paths = sorted((CASES / case).glob("*.dcm"))
    assert paths
    for path in paths:
        (result,) = _import(web, [path])
        _find_agrees(web, finder, result["study_instance_uid"])


def _agree(said: dict[str, dict[str, str]]) -> dict[str, str]:
    """What all of them say; paper writes a name as people do."""
    first = said["json"]
    for surface, texts in said.items():
        expected = (
            first | {"PatientName": wording.words("en").person(first["PatientName"])} if surface == "paper" else first
        )
        assert texts == expected, (surface, said)
    return first


def test_every_file_of_the_collection_reads_alike(web: Web) -> None:
    for path in sorted((CASES / "H48").glob("*.dcm")):
        (result,) = _import(web, [path])
        text = _agree(_said(web, result["sop_instance_uid"]))
        number = int(path.stem)
        if number in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16):
            assert text["PatientName"] == "MÜLLER^JÖRG", path
            found = web.admin.get("/api/v1/studies", params={"text": "Müller", "limit": 100}).json()["items"]
            assert text["PatientID"] in {one["patient_id"] for one in found}
        if number in (14, 15):
            assert text["PatientName"] == "Wang^XiaoDong=王^小东"
        if number == 16:
            assert "NONSENSE" in " ".join(result["warnings"])


def test_chinese_with_code_extensions(web: Web) -> None:
    (result,) = _import(web, [CASES / "H56" / "x.dcm"])
    text = _agree(_said(web, result["sop_instance_uid"]))
    assert text["PatientName"] == "Zhang^XiaoDong=张^小东"
    assert text["StudyDescription"] == "1. 第一行文字。"
    for wanted in ("张", "小东", "Zhang"):
        found = web.admin.get("/api/v1/studies", params={"text": wanted}).json()["items"]
        assert [one["patient_id"] for one in found] == [text["PatientID"]], wanted
    assert len(web.admin.get("/dicom-web/studies", params={"PatientName": "张*"}).json()) == 1


def test_two_patients_with_backslashes_in_their_ids_stay_two(web: Web) -> None:
    results = _import(web, [CASES / "H17" / "x.dcm", CASES / "H17" / "other.dcm"])
    texts = [_agree(_said(web, one["sop_instance_uid"])) for one in results]
    assert [text["PatientID"] for text in texts] == ["HUNT\\17", "HUNT\\18"]
    assert texts[0]["StudyDescription"] == "Lung 2.5 venous\\Axial & <Ref>"
    patients = web.admin.get("/api/v1/patients").json()["items"]
    assert {one["patient_id"] for one in patients} == {"HUNT\\17", "HUNT\\18"}
    for wanted, count in (("HUNT\\17", 1), ("HUNT\\18", 1), ("HUNT", 0), ("HUNT*", 2)):
        assert len(web.admin.get("/dicom-web/studies", params={"PatientID": wanted}).json()) == count, wanted
    page = web.admin.get("/storage").text
    assert "HUNT\\17" in page and "[&#39;" not in page


@pytest.mark.parametrize(
    ("stem", "birth", "age"),
    [("10", "0101", ""), ("3", "19600230", "64 Y"), ("5", "", "0 Y"), ("6", "", "18 M"), ("7", "", "64")],
)
def test_ages_and_dates_print_as_they_come(web: Web, stem: str, birth: str, age: str) -> None:
    (result,) = _import(web, [CASES / "H49" / f"{stem}.dcm"])
    with web.database.read() as session:
        header = content.header(session, queries.instance(session, SYSTEM, result["sop_instance_uid"]))
    paper = facts.header_values(header, wording.words("en"))
    assert (paper["PatientBirthDate"], paper["PatientAge"]) == (birth, age)
    model, _ = _metadata(web, result["sop_instance_uid"])
    (study,) = web.admin.get(f"/dicom-web/studies?StudyInstanceUID={model['0020000D']['Value'][0]}").json()
    assert study["00100030"].get("Value", [""]) == model["00100030"].get("Value", [""]) == [birth]
