"""QIDO-RS and C-FIND find the same for the same keys, in generated archives with odd values, and what the plain matching of
a data set (`dicom.matching.matches`) finds on what the columns say."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from sqlalchemy import select

from app.archive import Archive, Source
from app.archive.models import Instance, Series, Study
from app.archive.search import pages
from app.archive.search.find import Finding
from app.archive.search.pages import SearchMatch, columns_model
from app.db import Database
from app.dicom import names
from app.dicom.matching import Key, attribute_path, is_universal, matches, vr_of
from app.security.actor import SYSTEM
from tests.archive.make import ct_bytes

_UNIQUE = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}
_NAMES = [
    "Müller^Jürgen", "MULLER^JURGEN", "Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^太郎", "=Smith^John", "Smith^John",
    "Foo^Bar=Smith^Jane", "O'Brien^Seán", "Straße^Iß", "Doe^Jane^^Dr", "Doe  Jane", "Ørsted^Hans", "",
]  # fmt: skip
_TEXTS = ["A1", "a1", "A\\1", "A", "100%_!", "Ümlaut", "CT  Thorax", "CT Thorax", "ct thorax left", "Straße", "x^y", ""]
_DAYS = ["20240102", "2024.01.03", "20241399", "20231231", "2024/1/1", "unknown", ""]
_TIMES = ["101112", "10:11", "1011", "10", "235959.999999", "995959", "9", ""]
_STORED: dict[str, list[Any]] = {
    "PatientName": _NAMES,
    "ReferringPhysicianName": _NAMES,
    "PhysiciansOfRecord": [*_NAMES, ["Roe^A", "Müller^B"], ["", "Doe^Jane"]],
    "NameOfPhysiciansReadingStudy": [["Roe^A", "Müller^B"], "Doe^Jane", ""],
    "PerformingPhysicianName": [*_NAMES, ["Roe^A", "Ørsted^B"]],
    "AccessionNumber": _TEXTS,
    "StudyID": _TEXTS,
    "StudyDescription": _TEXTS,
    "SeriesDescription": _TEXTS,
    "InstitutionName": _TEXTS,
    "ProtocolName": _TEXTS,
    "RequestingService": _TEXTS,
    "AdmittingDiagnosesDescription": [["Fall", "Stroke"], "stroke", "100%", ["", ""], ""],
    "OtherPatientIDs": [["X1", "X2"], "X1", ""],
    "PatientSex": ["M", "F", "O", ""],
    "PatientAge": ["062Y", "62", ""],
    "PatientWeight": ["70.5", "70.50", "7e1", ""],
    "StudyDate": _DAYS,
    "SeriesDate": _DAYS,
    "ContentDate": _DAYS,
    "PatientBirthDate": _DAYS,
    "StudyTime": _TIMES,
    "SeriesTime": _TIMES,
    "ContentTime": _TIMES,
    "Modality": ["CT", "MR", "SR", "ZZ", ""],
    "SeriesNumber": ["1", "-3", ""],
    "InstanceNumber": ["1", "2", ""],
    "NumberOfFrames": ["1", ""],
    "SliceThickness": ["1.5", "1.50", ""],
    "FrameOfReferenceUID": ["1.2.3", "1.2.4", ""],
}
_REQUESTS = [("S1", "R1"), ("S2", "R2"), ("", "R1"), ("s1", ""), ("S\\1", "R1")]
_ASKED: dict[str, list[str]] = {
    "ModalitiesInStudy": ["CT", "MR", "S*", "?R", "CT\\SR", "ZZ", "ct", '""', "Q"],
    "SOPClassesInStudy": ["1.2.840.10008.5.1.4.1.1.2", "1.2.3"],
    "NumberOfStudyRelatedInstances": ["1", "2", "x"],
    "NumberOfPatientRelatedStudies": ["1", "2"],
    "Rows": ["4", "0", '""'],
    "RequestAttributesSequence.ScheduledProcedureStepID": ["S1", "S?", "s1", '""', "S2\\s1", "S\\1"],
    "RequestAttributesSequence.RequestedProcedureID": ["R1", "R?", '""'],
}
_NO_ORACLE = frozenset(
    ("PatientWeight", "RequestAttributesSequence.RequestedProcedureID")
)  # the model says less of them


def _fill(archive: Archive, chance: random.Random, patients: list[dict[str, Any]]) -> None:
    """Thirty studies of few patients, one or two series of one or two objects each."""
    for study in range(30):
        person = chance.choice(patients)
        of_study = {name: chance.choice(values) for name, values in _STORED.items() if chance.random() < 0.8}
        for series in range(chance.randint(1, 2)):
            of_series = {name: chance.choice(_STORED[name]) for name in ("Modality", "SeriesDescription", "SeriesTime")}
            for number in range(chance.randint(1, 2)):
                uid = f"1.2.826.0.1.79.{study}.{series}"
                own = {"InstanceNumber": str(number + 1), "ContentDate": chance.choice(_DAYS)}
                more: dict[str, Any] = of_study | of_series | own | person
                more["RequestAttributesSequence"] = _items(chance)
                if chance.random() < 0.3:
                    more["pixels"] = None
                with pydicom_config.disable_value_validation():
                    data = ct_bytes(f"{uid}.{number}", f"1.2.826.0.1.79.{study}", uid, **more)
                incoming = archive.receive(Source("test"))
                incoming.write(data)
                assert archive.ingest(incoming).status == "stored"


def _items(chance: random.Random) -> list[Dataset]:
    items = []
    for step, procedure in chance.sample(_REQUESTS, chance.randint(0, 3)):
        item = Dataset()
        item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
        items.append(item)
    return items


def _patients(chance: random.Random) -> list[dict[str, Any]]:
    ids = ["P1", "p1", "P\\1", "P1 x", "Ü9", "100%", ""]
    return [{"PatientID": pid, "OtherPatientIDs": chance.choice(_STORED["OtherPatientIDs"])} for pid in ids]


def _value(name: str, chance: random.Random) -> str:
    """A value to ask for: as it is stored, changed, with wildcards, a list, a range, empty."""
    if name in _ASKED:
        return chance.choice(_ASKED[name])
    if vr_of(attribute_path(name)[-1]) in ("DA", "TM"):
        return _range(vr_of(attribute_path(name)[-1]), chance)
    found = chance.choice([one for one in _pool(name) if one] or ["P1"])
    text = str(found if isinstance(found, str) else chance.choice([one for one in found if one] or ["Fall"]))
    ways: list[Callable[[str], str]] = [
        lambda t: t, lambda t: t, str.upper, str.lower, lambda t: f"{t[:2]}*", lambda t: f"*{t[-3:]}", lambda _: '""',
        lambda t: f"*{t[1:3]}*", lambda t: f"?{t[1:]}", lambda t: f"{t[:1]}?{t[2:]}", lambda _: "*", lambda t: f"{t}\\A1",
        lambda t: t.split("=", 1)[-1], lambda t: f" {t} ", lambda t: f"{t[:3]}*{t[4:]}", lambda _: "nobody",
    ]  # fmt: skip
    return chance.choice(ways)(text)


def _pool(name: str) -> list[Any]:
    return ["P1", "p1", "P\\1", "P1 x", "Ü9", "100%"] if name == "PatientID" else _STORED[name]


def _range(vr: str, chance: random.Random) -> str:
    if vr == "DA":
        return chance.choice(
            [
                "20240102",
                "20240101-20240131",
                "-20231231",
                "20240102-",
                "2024.01.02",
                '""',
                "20240103\\20231231",
                "20241399",
            ]
        )
    return chance.choice(["10", "1011", "101112", "0900-1012", "-11", "23-", '""', "10\\23"])


def _query(chance: random.Random) -> tuple[dict[str, str], bool]:
    known = sorted({*_STORED, *_ASKED, "PatientID"})
    chosen = chance.sample(known, chance.choice([1, 1, 1, 2, 2, 3]))
    return {name: _value(name, chance) for name in chosen}, chance.random() < 0.2


def _keys(query: dict[str, str]) -> list[Key]:
    paths = {name: attribute_path(name) for name in query}
    return [Key(paths[name], vr_of(paths[name][-1]), value) for name, value in query.items()]


def _by_qido(database: Database, level: Any, keys: list[Key], fuzzy: bool) -> tuple[list[str], bool]:
    with database.read() as session:
        found = pages.search(session, SYSTEM, level, keys, fuzzy=fuzzy)
        assert not found.more and not found.given_up
        return [_uid(row) for row in found.rows], bool(found.unsupported)


def _by_find(database: Database, level: Any, keys: list[Key], fuzzy: bool) -> tuple[list[str], bool]:
    finding = Finding(SYSTEM, level, [*keys, Key((_UNIQUE[level],), "UI", "")], fuzzy=fuzzy)
    place = finding.paths.index(_UNIQUE[level])
    return [row[place] for chunk in finding.chunks(database) for row in chunk.rows], finding.unsupported


def _uid(row: SearchMatch) -> str:
    if row.instance is not None:
        return row.instance.sop_instance_uid
    return row.series.series_instance_uid if row.series is not None else row.study.study_instance_uid


def _models(database: Database) -> dict[str, list[tuple[str, Any]]]:
    """level -> what the columns of each row say."""
    with database.read() as session:
        joined = select(Study, Series).join(Series, Series.study_pk == Study.id)
        rows = {
            "study": [SearchMatch(one) for one in session.scalars(select(Study))],
            "series": [SearchMatch(*one) for one in session.execute(joined)],
            "instance": [
                SearchMatch(*one)
                for one in session.execute(joined.add_columns(Instance).join(Instance, Instance.series_pk == Series.id))
            ],
        }
        return {level: [(_uid(row), columns_model(row)) for row in found] for level, found in rows.items()}


@pytest.mark.parametrize("seed", [1])
def test_both_interfaces_find_the_same(database: Database, archive: Archive, seed: int) -> None:
    chance = random.Random(seed)
    _fill(archive, chance, _patients(chance))
    models = _models(database)
    hits = judged = 0
    for _ in range(150):
        query, fuzzy = _query(chance)
        keys = _keys(query)
        for level in _UNIQUE:
            qido, find = _by_qido(database, level, keys, fuzzy), _by_find(database, level, keys, fuzzy)
            assert sorted(qido[0]) == sorted(find[0]), (level, query, fuzzy)
            assert qido[1] == find[1] or any(is_universal(key) for key in keys), (level, query)
            hits += len(qido[0])
            if all(key.path[0] in models[level][0][1] for key in keys) and not _NO_ORACLE & set(query):
                bare = [replace(key, value=key.value.strip()) for key in keys]
                plain = [uid for uid, model in models[level] if matches(model, bare, fold=names.fold, fuzzy=fuzzy)]
                assert sorted(qido[0]) == sorted(plain), (level, query, fuzzy)
                judged += 1
    assert hits > 1500 and judged > 120, (hits, judged)
