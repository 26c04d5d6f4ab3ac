"""Lists of values in QIDO-RS (case H06; PS3.18 8.3.4.5): any of them matches, however the list is written."""

from pathlib import Path
from typing import Any

import pytest

from tests.archive.make import ct_bytes
from tests.support.client import Web

CASE = Path(__file__).parents[1] / "cases" / "H06"
CT, MR, US = (f"2.25.{n}" for n in (
    "377041007307137381560614020430011463", "1255599008949390446998028154809491335", "1078652753064413320369518213738714369",
))  # fmt: skip
BOTH = "1.2.6.9"  # a study with two rare modalities


@pytest.fixture
def stored(web: Web) -> Web:
    files = [("files", (path.name, path.read_bytes())) for path in sorted(CASE.glob("*.dcm"))]
    for number, modality in enumerate(("ANN", "SM"), 1):
        more: dict[str, Any] = {"Modality": modality, "InstanceNumber": number, "StudyDescription": "Slide, label"}
        data = ct_bytes(f"{BOTH}.{number}.1", BOTH, f"{BOTH}.{number}", **more, PatientID="A\\B")
        files.append(("files", (f"{modality}.dcm", data)))
    answer = web.bob.post("/api/v1/imports", files=files)
    assert all(one["status"] == "stored" for one in answer.json()["results"]), answer.text
    return web


def _found(web: Web, query: str, level: str = "studies", tag: str = "0020000D") -> list[str]:
    answer = web.bob.get(f"/dicom-web/{level}?{query}")
    assert answer.status_code in (200, 204), answer.text
    return sorted(one[tag]["Value"][0] for one in (answer.json() if answer.status_code == 200 else []))


@pytest.mark.parametrize(
    "query",
    [
        "ModalitiesInStudy=CT%5CMR", "ModalitiesInStudy=CT,MR", "ModalitiesInStudy=CT&ModalitiesInStudy=MR",
        "00080061=CT,%20MR", "ModalitiesInStudy=CT,MR&multiplevaluematching=true", "ModalitiesInStudy=C*,M?",
        "Modality=CT,MR", f"StudyInstanceUID={CT},{MR}", f"StudyInstanceUID={CT}&StudyInstanceUID={MR}",
        "ModalitiesInStudy=CT&ModalitiesInStudy=MR&ModalitiesInStudy=CT", "ModalitiesInStudy=XX,CT,MR",
    ],
)  # fmt: skip
def test_both_are_found_and_nothing_else(stored: Web, query: str) -> None:
    assert _found(stored, query) == sorted([CT, MR])


def test_a_study_with_several_of_them_is_found_once(stored: Web) -> None:
    for query in ("ModalitiesInStudy=ANN,SM", "ModalitiesInStudy=SM%5CANN%5CCT&StudyDescription=Slide*"):
        assert _found(stored, query) == [BOTH]


@pytest.mark.parametrize(
    ("query", "many"),
    [
        ("InstanceNumber=1,2&multiplevaluematching=true", 2), ("InstanceNumber=1&InstanceNumber=2", 2),
        ("InstanceNumber=2,7&multiplevaluematching=true", 1), ("Modality=ANN,SM", 2), ("Modality=SM,XX", 1),
    ],
)  # fmt: skip
def test_lists_at_the_instance_level(stored: Web, query: str, many: int) -> None:
    assert len(_found(stored, f"StudyInstanceUID={BOTH}&{query}", "instances", "00080018")) == many


def test_a_comma_in_a_text_separates_only_where_lists_are_asked_for(stored: Web) -> None:
    assert _found(stored, "StudyDescription=Slide,%20label") == [BOTH]
    assert _found(stored, "StudyDescription=Slide,%20label&multiplevaluematching=true") == []
    assert _found(stored, "StudyDescription=Nothing,Slide*&multiplevaluematching=true") == [BOTH]


def test_an_id_with_a_backslash_is_found_as_it_is(stored: Web) -> None:
    assert _found(stored, "PatientID=A%5CB") == [BOTH]


def test_dates_may_be_a_list_and_each_must_be_one(stored: Web) -> None:
    assert BOTH in _found(stored, "StudyDate=19990101,20240102&multiplevaluematching=true")
    answer = stored.bob.get("/dicom-web/studies?StudyDate=20240102,tomorrow&multiplevaluematching=true")
    assert answer.status_code == 400 and "StudyDate" in answer.json()["detail"]


def test_a_list_of_thousands_is_refused_in_words(stored: Web) -> None:
    values = ",".join(f"V{n}" for n in range(2000))
    for query in (f"Modality={values}", f"AccessionNumber={values}&multiplevaluematching=true"):
        answer = stored.bob.get(f"/dicom-web/studies?{query}")
        assert answer.status_code == 400 and "At most 200 values" in answer.json()["detail"]
    most = ",".join(f"V{n}" for n in range(198))
    assert _found(stored, f"AccessionNumber={most},A1&multiplevaluematching=true") == [BOTH]


def test_an_empty_value_is_found_by_two_quotation_marks(stored: Web) -> None:
    stored.bob.post(
        "/api/v1/imports",
        files={"files": ("e.dcm", ct_bytes("1.2.6.8.1.1", "1.2.6.8", "1.2.6.8.1", AccessionNumber=""))},
    )
    assert _found(stored, 'AccessionNumber=""&emptyvaluematching=true') == ["1.2.6.8"]
