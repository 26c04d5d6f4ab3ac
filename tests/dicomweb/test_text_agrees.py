"""List, search, metadata as JSON and XML, QIDO, C-FIND, routes and paper say the same text of an object, whatever its character set."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from app.archive import content, queries
from app.dicom import lookup
from app.dicom.lookup import Attributes
from app.printing import facts, wording
from app.security.actor import SYSTEM
from tests.support.client import Web

CASES = Path(__file__).parents[1] / "cases"
NAME, COMMENTS = "00100010", "00104000"


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
    keywords = {"PatientName": NAME, "PatientID": "00100020", "StudyDescription": "00081030"}
    return {
        "json": {k: _json_text(model, tag).rstrip("=") for k, tag in keywords.items()},
        "xml": {k: _xml_text(xml, tag).rstrip("=") for k, tag in keywords.items()},
        "qido": {k: _json_text(study, tag).rstrip("=") for k, tag in keywords.items()},
        "routes": {k: "\\".join(routes.values(lookup.parse(k)) or []).rstrip("=") for k in keywords},
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
