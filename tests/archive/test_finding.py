"""C-FIND over the archive: every kind of matching, at every level, against a plain reading of the same rows."""

import random
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from app.archive import Archive, Source
from app.archive.models import Study
from app.archive.search.columns import Level
from app.archive.search.find import BadQuery, Finding
from app.archive.search.pages import SearchMatch, columns_model
from app.db import Database
from app.dicom import names
from app.dicom.matching import Key, attribute_path, matches, vr_of
from app.kit.errors import TooLarge
from app.security import Actor
from app.security.actor import SYSTEM
from tests.archive.make import ct_bytes
from tests.dimse.patients import prepare, study_uid
from tests.support import bulk

STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"


@pytest.fixture
def facilities(database: Database, archive: Archive) -> dict[str, str]:
    return prepare(database, archive)


def _key(name: str, value: str) -> Key:
    path = attribute_path(name)
    return Key(path, vr_of(path[-1]), value)


def found(
    database: Database, level: Level, *, actor: Actor = SYSTEM, fuzzy: bool = False, combined: bool = False, **keys: str
) -> list[tuple[str, ...]]:
    """The unique key of each match, as a row."""
    wanted = [_key(name.replace("__", "."), value) for name, value in keys.items()]
    unique = {"patient": "PatientID", "study": "StudyInstanceUID", "series": "SeriesInstanceUID"}.get(
        level, "SOPInstanceUID"
    )
    if unique not in keys:
        wanted.append(_key(unique, ""))
    finding = Finding(actor, level, wanted, fuzzy=fuzzy, combined=combined)
    place = finding.paths.index(attribute_path(unique)[0])
    return [row[place] for chunk in finding.chunks(database) for row in chunk.rows]


def studies(database: Database, **keys: str) -> set[int]:
    return {int(uid.rsplit(".", 1)[1]) for uid in found(database, "study", **keys)}  # type: ignore[attr-defined]


MATCHINGS: list[tuple[dict[str, str], set[int]]] = [
    ({}, {1, 2, 3, 4, 5}),
    ({"PatientName": "*"}, {1, 2, 3, 4, 5}),
    ({"PatientName": "Doe^Jane"}, {3, 4}),
    ({"PatientName": "doe^jane"}, {3, 4}),
    ({"PatientName": "Doe"}, set()),
    ({"PatientName": "Doe*"}, {3, 4}),
    ({"PatientName": "muller*"}, {1}),
    ({"PatientName": "Müller^J?rgen"}, {1}),
    ({"PatientName": "*^J*"}, {1, 3, 4}),
    ({"PatientName": "山田*"}, {2}),
    ({"PatientName": "*太郎"}, {2}),
    ({"PatientName": "やまだ^たろう"}, {2}),
    ({"PatientName": "Yamada^Tarou=山田^太郎"}, {2}),
    ({"PatientName": "иванов*"}, {5}),
    ({"PatientID": "P3"}, {3, 4}),
    ({"PatientID": "p3"}, set()),
    ({"PatientID": "P?"}, {1, 2, 3, 4, 5}),
    ({"PatientID": "P*"}, {1, 2, 3, 4, 5}),
    ({"PatientID": "P1\\P2"}, set()),
    ({"PatientID": "*3"}, {3, 4}),
    ({"PatientBirthDate": "19801231"}, {3, 4}),
    ({"PatientBirthDate": "1961.02.03"}, {1}),
    ({"PatientBirthDate": "19700101-"}, {2, 3, 4}),
    ({"PatientBirthDate": '""'}, {5}),
    ({"PatientSex": "M"}, {1, 2, 5}),
    ({"StudyDate": "20240102"}, {1, 5}),
    ({"StudyDate": "20240101-20240131"}, {1, 4, 5}),
    ({"StudyDate": "-20231231"}, {3}),
    ({"StudyDate": "20240102-"}, {1, 2, 5}),
    ({"StudyTime": "10"}, {1}),
    ({"StudyTime": "080000-120000"}, {1, 2}),
    ({"StudyTime": "101112"}, {1}),
    ({"StudyTime": "101113"}, set()),
    ({"StudyTime": "080000.25"}, {2}),
    ({"StudyDate": "20231231-20240101", "StudyTime": "220000-020000"}, set()),
    ({"AccessionNumber": "ACC1"}, {1}),
    ({"AccessionNumber": "acc1"}, set()),
    ({"AccessionNumber": "B-7?"}, {3, 4}),
    ({"AccessionNumber": "*77"}, {3}),
    ({"AccessionNumber": '""'}, {5}),
    ({"AccessionNumber": "ACC1\\B-78"}, {1, 4}),
    ({"StudyDescription": "CT Thorax"}, {1}),
    ({"StudyDescription": "ct thorax"}, set()),
    ({"StudyDescription": "*left"}, {3, 4}),
    ({"StudyDescription": "* ????n"}, {2}),
    ({"ReferringPhysicianName": "house*"}, {1, 3, 4, 5}),
    ({"ReferringPhysicianName": "Oster^Ase"}, {2}),
    ({"ModalitiesInStudy": "CT"}, {1}),
    ({"ModalitiesInStudy": "SR"}, {1}),
    ({"ModalitiesInStudy": "CT\\MR"}, {1, 2}),
    ({"ModalitiesInStudy": "?R"}, {1, 2, 3, 4}),
    ({"StudyInstanceUID": study_uid(2)}, {2}),
    ({"StudyInstanceUID": f"{study_uid(2)}\\{study_uid(5)}\\1.2.3"}, {2, 5}),
    ({"StudyInstanceUID": "1.2.826.0.1.77.*"}, set()),
    ({"SeriesInstanceUID": f"{study_uid(1)}.2"}, {1}),
    ({"SOPInstanceUID": f"{study_uid(4)}.1.2"}, {4}),
    ({"Modality": "MR"}, {2}),
    ({"SeriesDescription": "CR*"}, {3, 4}),
    ({"NumberOfStudyRelatedInstances": "2"}, {2, 4}),
    ({"NumberOfStudyRelatedSeries": "2"}, {1}),
    ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2"}, {1, 2, 3, 4, 5}),
    ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.4"}, set()),
    ({"PatientWeight": "70.50"}, {1}),
    ({"PatientWeight": "heavy"}, set()),
    ({"PatientAge": "062Y"}, {1}),
    ({"InstitutionName": "Klinik S?d"}, {1, 2, 3, 4, 5}),
    ({"InstitutionName": "Klinik"}, set()),
    ({"RequestingService": "Ward 4"}, {4}),
    ({"RequestingService": "ward*"}, set()),
    ({"RequestingService": '""'}, set()),
    ({"InstitutionalDepartmentName": '""'}, {1, 2, 3, 4, 5}),
    ({"PatientWeight": '""'}, {2, 3, 4, 5}),
    ({"PatientAge": '""'}, {2, 3, 4, 5}),
    ({"PatientName": "Doe*", "StudyDate": "20240101"}, {4}),
    ({"PatientName": "a\x00b"}, set()),
    ({"PatientID": "x'; DROP TABLE study;--"}, set()),
    ({"StudyDescription": "100%_!"}, set()),
]


def test_each_matching_at_study_level(database: Database, facilities: dict[str, str]) -> None:
    assert [(keys, studies(database, **keys)) for keys, _ in MATCHINGS] == MATCHINGS


def test_combined_date_time_and_fuzzy_names_when_they_are_agreed(
    database: Database, facilities: dict[str, str]
) -> None:
    ranges = {"StudyDate": "20231231-20240101", "StudyTime": "220000-020000"}
    assert len(found(database, "study", combined=True, **ranges)) == 2
    assert len(found(database, "study", combined=True, **ranges | {"StudyTime": "233000-020000"})) == 1
    assert len(found(database, "study", combined=True, **ranges | {"StudyTime": "220000-003000"})) == 1
    assert found(database, "study", PatientName="jan doe") == []
    assert len(found(database, "study", fuzzy=True, PatientName="jan do")) == 2
    assert len(found(database, "study", fuzzy=True, PatientName="Jurgen Muller")) == 1


def test_the_other_levels(database: Database, facilities: dict[str, str]) -> None:
    assert sorted(found(database, "patient")) == ["P1", "P2", "P3", "P5"]
    assert found(database, "patient", PatientName="Doe*") == ["P3"]
    assert found(database, "patient", PatientID="P?", PatientSex="F") == ["P3"]
    assert found(database, "patient", StudyDate="20240203") == ["P2"]
    assert found(database, "patient", Modality="US") == ["P5"]
    of_one = found(database, "series", StudyInstanceUID=study_uid(1))
    assert of_one == [f"{study_uid(1)}.1", f"{study_uid(1)}.2"]
    assert found(database, "series", StudyInstanceUID=study_uid(1), Modality="SR") == [f"{study_uid(1)}.2"]
    assert found(database, "series", PatientID="P2") == [f"{study_uid(2)}.1"]
    assert len(found(database, "series", Modality="CR")) == 2
    assert len(found(database, "series", SeriesDescription="?R 1")) == 3
    assert found(database, "series", SeriesNumber="2") == [f"{study_uid(1)}.2"]
    assert found(database, "series", SOPInstanceUID=f"{study_uid(4)}.1.2") == [f"{study_uid(4)}.1"]
    assert found(database, "series", InstitutionName="Klinik S?d", PatientID="P5") == [f"{study_uid(5)}.1"]
    in_series = found(database, "instance", SeriesInstanceUID=f"{study_uid(1)}.1")
    assert in_series == [f"{study_uid(1)}.1.{n}" for n in (1, 2, 3)]
    assert found(database, "instance", StudyInstanceUID=study_uid(1), InstanceNumber="2") == [f"{study_uid(1)}.1.2"]
    some = f"{study_uid(4)}.1.1\\{study_uid(1)}.1.3\\1.2.3.4"
    assert sorted(found(database, "instance", SOPInstanceUID=some)) == sorted(some.split("\\")[:2])
    assert found(database, "instance", SOPInstanceUID=some, PatientID="P1") == [f"{study_uid(1)}.1.3"]
    assert len(found(database, "instance", Modality="CR", Rows="4")) == 3
    assert found(database, "instance", SliceThickness="3.5") == [f"{study_uid(1)}.1.3"]


def test_sequences_match_by_their_items(database: Database, facilities: dict[str, str]) -> None:
    step = "RequestAttributesSequence__ScheduledProcedureStepID"
    assert found(database, "series", **{step: "STEP2"}) == [f"{study_uid(2)}.1"]
    assert len(found(database, "series", **{step: "STEP?"})) == 6
    finding = Finding(SYSTEM, "series", [_key("RequestAttributesSequence", ""), _key("SeriesInstanceUID", "")])
    chunk = next(finding.chunks(database))
    assert "00400275" in finding.paths
    assert str(chunk.rows[0][finding.paths.index("00400275")]).startswith("STEP5")


def _requested(*pairs: tuple[str, str]) -> list[Dataset]:
    items = []
    for step, procedure in pairs:
        item = Dataset()
        item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
        items.append(item)
    return items


def test_several_items_are_each_a_match_and_keys_of_one_item_belong_together(
    database: Database, archive: Archive
) -> None:
    uid = "1.2.826.0.1.78.1"
    incoming = archive.receive(Source("test"))
    requests = _requested(("S1", "R1"), ("S2", "R2"))
    incoming.write(ct_bytes(f"{uid}.1.1", uid, f"{uid}.1", RequestAttributesSequence=requests))
    assert archive.ingest(incoming).status == "stored"
    step, procedure = (
        "RequestAttributesSequence__ScheduledProcedureStepID",
        "RequestAttributesSequence__RequestedProcedureID",
    )
    for level in ("series", "instance"):
        for keys, count in (
            ({step: "S1"}, 1),
            ({step: "S2"}, 1),
            ({procedure: "R?"}, 1),
            ({step: "S3"}, 0),
            ({step: "S1", procedure: "R1"}, 1),
            ({step: "S2", procedure: "R2"}, 1),
            ({step: "S1", procedure: "R2"}, 0),  # each is met, by no one item both
        ):
            assert len(found(database, level, **keys)) == count, (level, keys)  # type: ignore[arg-type]


def test_a_facility_is_not_left(database: Database, facilities: dict[str, str]) -> None:
    south = Actor("node", kind="node", facility_id=facilities["South"])
    nowhere = Actor("node", kind="node")
    for level, count in (("patient", 1), ("study", 1), ("series", 1), ("instance", 1)):
        assert len(found(database, level, actor=south)) == count  # type: ignore[arg-type]
        assert found(database, level, actor=nowhere) == []  # type: ignore[arg-type]
    assert found(database, "study", actor=south, StudyInstanceUID=study_uid(1)) == []
    assert found(database, "series", actor=south, SeriesInstanceUID=f"{study_uid(1)}.1") == []
    assert found(database, "instance", actor=south, SOPInstanceUID=f"{study_uid(1)}.1.1") == []
    assert found(database, "patient", actor=south, PatientID="P1") == []


def test_what_cannot_be_asked_is_said(database: Database, facilities: dict[str, str]) -> None:
    for name, value in (("StudyDate", "tomorrow"), ("StudyTime", "25h"), ("PatientName", "x" * 2000)):
        with pytest.raises(BadQuery) as raised:
            Finding(SYSTEM, "study", [_key(name, value)])
        assert raised.value.tag == int(attribute_path(name)[0], 16) and raised.value.dimse == 0xC000
    with pytest.raises(TooLarge):
        Finding(SYSTEM, "study", [_key("StudyInstanceUID", "\\".join(f"1.2.{n}" for n in range(30_000)))])
    assert Finding(SYSTEM, "study", [_key("SeriesDescription", "")]).unsupported
    assert Finding(SYSTEM, "study", [_key("00091001", "x")]).unsupported
    assert not Finding(SYSTEM, "study", [_key("StudyDescription", ""), _key("RequestingService", "")]).unsupported


# -- many studies ------------------------------------------------------------------------------------------------

_COUNT = 3000


@pytest.fixture
def many(database: Database) -> Iterator[list[tuple[str, dict[str, object]]]]:
    """Each study's UID with what its columns say as DICOM JSON."""
    bulk.fill(database, _COUNT, series_each=2)
    with database.read() as session:
        yield [(s.study_instance_uid, columns_model(SearchMatch(s))) for s in session.scalars(select(Study))]


def _random_keys(chance: random.Random) -> list[Key]:
    choices = {
        "PatientName": ["garcía*", "*son*", "MARIA*", "*^Anna", "Chen^?i*", "山田*", "smith^john", "*"],
        "PatientID": ["P0000012", "P*", "*77", "A-00000??", "MRN*1"],
        "AccessionNumber": ["ACC00000100", "ACC0000*", "*99", ""],
        "StudyDate": ["20200101-20201231", "20240229", "-20160101", "20150601-20150630", "20190101-"],
        "StudyTime": ["0800-1200", "23", "-0030"],
        "ModalitiesInStudy": ["CT", "SR\\ZZ", "US", "M*", "ZZ"],
        "StudyDescription": ["CT Thorax", "*contrast", "MR*", "ct*"],
        "PatientBirthDate": ["19500101-19501231", "19800615"],
        "PatientSex": ["F", "O"],
        "StudyInstanceUID": ["1.2.826.0.1.17", "1.2.826.0.1.1\\1.2.826.0.1.2999\\1.9"],
    }
    return [_key(name, chance.choice(choices[name])) for name in chance.sample(sorted(choices), chance.randint(1, 3))]


def test_random_queries_find_what_reading_everything_finds(
    database: Database, many: list[tuple[str, dict[str, object]]]
) -> None:
    chance = random.Random(11)
    hits = 0
    for _ in range(60):
        keys = _random_keys(chance)
        asked = [*keys, _key("StudyInstanceUID", "")] if all(k.path[0] != STUDY_UID for k in keys) else keys
        finding = Finding(SYSTEM, "study", asked)
        place = finding.paths.index(STUDY_UID)
        ours = [row[place] for chunk in finding.chunks(database) for row in chunk.rows]
        each = _alternatives(keys)
        plain = {uid for uid, model in many if any(matches(model, one, fold=names.fold) for one in each)}
        assert len(ours) == len(set(ours)) and set(ours) == plain, keys
        hits += len(plain)
    assert hits > 3000, "the queries must find something"


def _alternatives(keys: list[Key]) -> list[list[Key]]:
    """A list of modalities as one query each: the plain matcher knows no lists of them."""
    for place, key in enumerate(keys):
        if key.path[0] == "00080061":
            return [[*keys[:place], Key(key.path, key.vr, one), *keys[place + 1 :]] for one in key.value.split("\\")]
    return [keys]


def test_all_of_it_comes_in_bounded_chunks(database: Database, many: list[tuple[str, dict[str, object]]]) -> None:
    for level, count in (("patient", _COUNT // 2), ("study", _COUNT), ("series", _COUNT * 2)):
        unique = {"patient": "PatientID", "study": "StudyInstanceUID"}.get(level, "SeriesInstanceUID")
        finding = Finding(SYSTEM, level, [_key(unique, "")])  # type: ignore[arg-type]
        sizes = [len(chunk.rows) for chunk in finding.chunks(database)]
        assert sum(sizes) == count and max(sizes) <= 2000 and sizes[0] <= 2000


def test_long_lists_of_uids_at_several_levels_together(database: Database, facilities: dict[str, str]) -> None:
    uids = [f"1.{number}" for number in range(4_000)]
    study, series, instance = study_uid(1), f"{study_uid(1)}.1", f"{study_uid(1)}.1.1"
    lists = ["\\".join([*uids, one]) for one in (study, series, instance)]
    keys = dict(zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), lists, strict=True))
    assert found(database, "study", **keys) == [study]  # type: ignore[arg-type]
    assert found(database, "series", **keys) == [series]  # type: ignore[arg-type]
    assert found(database, "instance", **keys) == [instance]  # type: ignore[arg-type]
