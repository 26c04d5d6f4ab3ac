"""What the identifier of a retrieval means. On both databases."""

from collections.abc import Iterator

import pytest

from app.archive import Archive, Source
from app.archive.retrieving import BadKeys, select_instances
from app.config import Config
from app.db import Database
from app.security import Actor
from tests.archive.make import ct_bytes
from tests.support.client import actor, add_cast

PATIENT_ROOT, STUDY_ROOT = ("PATIENT", "STUDY", "SERIES", "IMAGE"), ("STUDY", "SERIES", "IMAGE")
ALL = Actor(name="pacs", kind="node", sees_all=True)


@pytest.fixture
def filled(config: Config, database: Database) -> Iterator[Database]:
    """Patients A (studies 1 and 2) and B (study 3 of North); two series of two images each."""
    add_cast(database)
    archive = Archive(config, database)
    north = actor(database, "charlie").facility_id
    for study, patient, facility in (("1.2.1", "A", None), ("1.2.2", "A", None), ("1.2.3", "B\u00c9", north)):
        for number in range(4):
            series = f"{study}.{1 + number // 2}"
            data = ct_bytes(f"{series}.{number}", study, series, PatientID=patient, InstanceNumber=9 - number)
            incoming = archive.receive(Source(kind="upload", actor_name="admin", facility_id=facility))
            incoming.write(data)
            assert archive.ingest(incoming).status == "stored"
    archive.close()
    yield database


def _select(
    database: Database, levels: tuple[str, ...], relational: bool = False, who: Actor = ALL, **keys: str
) -> list[str]:
    keys["QueryRetrieveLevel"] = keys.pop("level", "")
    with database.read() as session:
        found = select_instances(session, who, levels, keys, relational=relational)
    return [one.sop_instance_uid for one in found]


def _study(uid: str) -> list[str]:
    return [f"{uid}.1.1", f"{uid}.1.0", f"{uid}.2.3", f"{uid}.2.2"]  # by series, then by number


def test_each_level_of_both_models(filled: Database) -> None:
    assert _select(filled, PATIENT_ROOT, level="PATIENT", PatientID="A") == _study("1.2.1") + _study("1.2.2")
    assert _select(filled, PATIENT_ROOT, level="PATIENT", PatientID="B\u00c9") == _study("1.2.3")
    assert _select(filled, PATIENT_ROOT, level="PATIENT", PatientID="b\u00e9") == [], "an id is matched exactly"
    assert _select(filled, PATIENT_ROOT, level="STUDY", PatientID="A", StudyInstanceUID="1.2.2") == _study("1.2.2")
    assert _select(filled, PATIENT_ROOT, level="STUDY", PatientID="B\u00c9", StudyInstanceUID="1.2.2") == []
    assert _select(filled, STUDY_ROOT, level="STUDY", StudyInstanceUID="1.2.1") == _study("1.2.1")
    series = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.2"}
    assert _select(filled, STUDY_ROOT, level="SERIES", **series) == ["1.2.1.2.3", "1.2.1.2.2"]
    assert _select(filled, STUDY_ROOT, level="IMAGE", **series, SOPInstanceUID="1.2.1.2.2") == ["1.2.1.2.2"]
    assert _select(filled, STUDY_ROOT, level="IMAGE", **series, SOPInstanceUID="1.2.1.1.1") == [], "of another series"


def test_lists_of_uids_at_the_level_that_is_asked_for(filled: Database) -> None:
    both = "1.2.2\\1.2.1\\1.2.1\\1.2.9"
    assert sorted(_select(filled, STUDY_ROOT, level="STUDY", StudyInstanceUID=both)) == sorted(
        _study("1.2.1") + _study("1.2.2")
    )
    many = "\\".join(f"1.3.{n}" for n in range(1200)) + "\\1.2.1.1.1"
    keys = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
    assert _select(filled, STUDY_ROOT, level="IMAGE", **keys, SOPInstanceUID=many) == ["1.2.1.1.1"]


def test_a_patient_of_another_issuer_is_another(filled: Database) -> None:
    assert _select(filled, PATIENT_ROOT, level="PATIENT", PatientID="A", IssuerOfPatientID="ELSEWHERE") == []


@pytest.mark.parametrize(
    ("keys", "tag"),
    [
        ({}, 0x00080052),
        ({"level": "PATIENT", "PatientID": "A"}, 0x00080052),  # not in this model
        ({"level": "STUDY"}, 0x0020000D),
        ({"level": "STUDY", "StudyInstanceUID": "*"}, 0x0020000D),
        ({"level": "SERIES", "SeriesInstanceUID": "1.2.1.1"}, 0x0020000D),
        ({"level": "SERIES", "StudyInstanceUID": "1.2.1\\1.2.2", "SeriesInstanceUID": "1.2.1.1"}, 0x0020000D),
        ({"level": "IMAGE", "StudyInstanceUID": "1.2.1", "SOPInstanceUID": "1.2.1.1.1"}, 0x0020000E),
    ],
)
def test_what_does_not_fit_the_model_is_refused(filled: Database, keys: dict[str, str], tag: int) -> None:
    with pytest.raises(BadKeys) as refused:
        _select(filled, STUDY_ROOT, **keys)
    assert (refused.value.tag, refused.value.dimse) == (tag, 0xA900)


def test_relational_retrieval_needs_no_keys_above(filled: Database) -> None:
    assert _select(filled, STUDY_ROOT, True, level="SERIES", SeriesInstanceUID="1.2.1.1") == ["1.2.1.1.1", "1.2.1.1.0"]
    assert _select(filled, PATIENT_ROOT, True, level="IMAGE", SOPInstanceUID="1.2.1.1.1") == ["1.2.1.1.1"]
    with pytest.raises(BadKeys):
        _select(filled, STUDY_ROOT, True, level="SERIES", StudyInstanceUID="1.2.1")


def test_another_facilitys_objects_are_not_there(filled: Database) -> None:
    north, south = actor(filled, "charlie"), actor(filled, "dora")
    for who, found in ((north, _study("1.2.3")), (south, [])):
        assert _select(filled, STUDY_ROOT, who=who, level="STUDY", StudyInstanceUID="1.2.3") == found
    assert _select(filled, PATIENT_ROOT, who=north, level="PATIENT", PatientID="A") == []
