"""The viewer's page and its parts, as the server gives them to those who may and may not."""

from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from sqlalchemy import select

from app.audit import AuditEvent
from app.viewing import content_tree, tags
from tests.support.client import Web


@pytest.fixture
def stored(web: Web, shared_data: Path) -> dict[str, Dataset]:
    """A CT and a report in the archive of the installation."""
    found = {}
    for name, path in {"ct": "modality/ct_brain_explicit.dcm", "sr": "sr/sr_comprehensive.dcm"}.items():
        data = (shared_data / path).read_bytes()
        answer = web.alice.post("/api/v1/imports", content=data, headers={"Content-Type": "application/dicom"})
        assert answer.json()["results"][0]["status"] == "stored", answer.text
        found[name] = pydicom.dcmread(shared_data / path)
    return found


def test_the_page_shows_the_first_picture_the_series_and_leaves_a_trace(web: Web, stored: dict[str, Dataset]) -> None:
    ct = stored["ct"]
    answer = web.alice.get("/viewer", params={"study": ct.StudyInstanceUID})
    assert answer.status_code == 200
    assert f'src="/api/v1/instances/{ct.SOPInstanceUID}/frames/1/preview' in answer.text
    assert f'data-series="{ct.SeriesInstanceUID}"' in answer.text
    assert " style=" not in answer.text and "<script>" not in answer.text
    with web.database.read() as session:
        trace = session.scalars(select(AuditEvent).where(AuditEvent.thing_id == ct.StudyInstanceUID)).all()
    assert ("alice", "study.view") in [(one.actor_name, one.verb) for one in trace]


def test_studies_chosen_together_are_neighbours(web: Web, stored: dict[str, Dataset]) -> None:
    uid = stored["ct"].StudyInstanceUID
    ask = lambda among: web.alice.get("/viewer", params={"study": uid, "among": among}).text  # noqa: E731
    middle = ask(f"1.2.3,{uid},1.2.3,4.5.6")
    assert "Study 2 of 3" in middle
    assert f'href="/viewer?study=1.2.3&amp;among=1.2.3%2C{uid}%2C4.5.6"' in middle
    assert f'href="/viewer?study=4.5.6&amp;among=1.2.3%2C{uid}%2C4.5.6"' in middle
    for alone in ("", uid, "1.2.3,4.5.6"):
        assert "Study 1 of" not in ask(alone)


def test_a_study_that_is_not_there_or_not_theirs_is_not_found(web: Web, stored: dict[str, Dataset]) -> None:
    ct = stored["ct"]
    assert web.alice.get("/viewer", params={"study": "1.2.3"}).status_code == 404
    assert web.alice.get("/viewer", params={"study": ct.StudyInstanceUID, "series": "1.2.3"}).status_code == 404
    for path in ("/viewer?study=" + ct.StudyInstanceUID, "/viewer/metadata?instance=" + ct.SOPInstanceUID):
        assert web.charlie.get(path).status_code == 404, path
        assert web.nobody.get(path).status_code in (303, 401), path


def test_a_series_of_another_study_is_refused(web: Web, stored: dict[str, Dataset]) -> None:
    ct, sr = stored["ct"], stored["sr"]
    answer = web.alice.get("/viewer", params={"study": ct.StudyInstanceUID, "series": sr.SeriesInstanceUID})
    assert answer.status_code == 404


def test_a_report_without_images_opens_with_a_document_in_the_panel(web: Web, stored: dict[str, Dataset]) -> None:
    sr = stored["sr"]
    answer = web.alice.get("/viewer", params={"study": sr.StudyInstanceUID})
    assert "cell-preview" not in answer.text
    assert f'data-document="{sr.SeriesInstanceUID}"' in answer.text
    part = web.alice.get("/viewer/report", params={"instance": sr.SOPInstanceUID})
    assert part.status_code == 200 and sr.ConceptNameCodeSequence[0].CodeMeaning in part.text


def test_attributes_are_grouped_and_complete(web: Web, stored: dict[str, Dataset]) -> None:
    ct = stored["ct"]
    part = web.alice.get("/viewer/metadata", params={"instance": ct.SOPInstanceUID}).text
    for keyword in ("StudyInstanceUID", "RescaleSlope", "Manufacturer"):
        assert keyword in part


def item(name: str, kind: str, **values: object) -> Dataset:
    made = Dataset()
    code = Dataset()
    code.CodeMeaning = name
    made.ConceptNameCodeSequence = [code]
    made.ValueType = kind
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def test_a_tree_reads_numbers_with_units_and_stops_in_the_deep() -> None:
    unit, measured = Dataset(), Dataset()
    unit.CodeValue, unit.CodeMeaning = "mm", "millimeter"
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", [unit]
    root = item("Report", "CONTAINER", ContentSequence=[item("Length", "NUM", MeasuredValueSequence=[measured])])
    node = content_tree.tree(root)
    assert (node.name, node.items[0].name, node.items[0].value) == ("Report", "Length", "12.5 mm")
    deep = item("Leaf", "TEXT", TextValue="x")
    for _ in range(2000):
        deep = item("Box", "CONTAINER", ContentSequence=[deep])
    depth, node = 0, content_tree.tree(deep)
    while node.items:
        depth, node = depth + 1, node.items[0]
    assert 10 < depth < 200


def test_tags_shorten_what_nobody_reads() -> None:
    ds = Dataset()
    ds.PatientName, ds.RescaleSlope = "A^B", "1"
    ds.add_new(0x00091001, "OB", b"x" * 5000)
    ds.add_new(0x00091002, "UT", "y" * 5000)
    found = tags.groups(ds)
    assert [one.value for one in found["patient"]] == ["A^B"]
    assert [one.keyword for one in found["image"]] == ["RescaleSlope"]
    values = {one.tag: one.value for one in found["everything"]}
    assert values["(0009,1001)"] == "[5000 B]"
    assert len(values["(0009,1002)"]) < 300
