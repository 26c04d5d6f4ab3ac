"""Queries by attributes (QIDO-RS, C-FIND) find what a naive filter finds by every plan, page by page, and read no table
from end to end where an index can name the studies."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from app.archive.models import Series, Study
from app.archive.search import pages, plans
from app.archive.search.pages import SearchMatch, columns_model
from app.db import Database
from app.dicom import names
from app.dicom.matching import Key, attribute_path, matches, vr_of
from app.kit.clock import now
from app.security import SYSTEM, Actor, may_see
from app.security.models import Facility
from tests.support import bulk

A, B = "a" * 26, "b" * 26
QUERIES: list[dict[str, str]] = [
    {},
    {"PatientID": "P0000001"},
    {"PatientID": "P00001*"},
    {"PatientID": "*12?"},
    {"PatientID": "p0000001"},
    {"PatientName": "Smith*"},
    {"PatientName": "*ith^*"},
    {"PatientName": "M?ller*"},
    {"PatientName": "Müller^*"},
    {"PatientName": "O'Brien^*", "PatientID": "MRN*"},
    {"PatientName": "*nobody*"},
    {"StudyDate": "20190505"},
    {"StudyDate": "20190101-20191231", "ModalitiesInStudy": "CT"},
    {"StudyDate": "-20160101", "ModalitiesInStudy": "ZZ"},
    {"ModalitiesInStudy": "S*"},
    {"ModalitiesInStudy": "NM"},
    {"AccessionNumber": "ACC00000017"},
    {"AccessionNumber": "ACC0000001*"},
    {"StudyInstanceUID": "1.2.826.0.1.7,1.2.826.0.1.9,1.2.3"},
    {"StudyID": "5"},
    {"StudyDescription": "CT Thorax*"},
    {"StudyDescription": "*emergency"},
    {"PatientBirthDate": "19700101-19751231"},
    {"PatientSex": "F", "StudyDate": "20200101-"},
    {"PatientID": "*00012*"},
    {"PatientID": "?RN*7"},
    {"PatientName": "*jos*"},
    {"StudyTime": "10-12"},
    {"StudyTime": "-0830"},
    {"StudyTime": "221500-", "StudyDate": "20190101-20191231"},
    {"StudyDescription": "*Tho*con*"},
    {"StudyDate": "20150101-"},
]
BELOW: list[dict[str, str]] = [
    {"Modality": "MR"},
    {"SeriesInstanceUID": "1.2.826.0.1.7.1"},
    {"SeriesNumber": "2", "PatientID": "P0000001*"},
    {"SeriesDescription": "Series 1", "StudyDate": "20190101-20190630"},
]


def keys_of(query: dict[str, str]) -> list[Key]:
    paths = {name: attribute_path(name) for name in query}
    return [Key(paths[name], vr_of(paths[name][-1]), value) for name, value in query.items()]


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as session:
        for name in (A, B):
            session.add(Facility(id=name, name=name[:3], created_at=now()))
    bulk.fill(database, 600, [A, B, None], series_each=2)
    return database


def _all(database: Database, series: bool) -> list[SearchMatch]:
    newest = (Study.dt.desc(), Study.id.desc())
    with database.read() as session:
        if not series:
            return [SearchMatch(one) for one in session.scalars(select(Study).order_by(*newest))]
        joined = select(Study, Series).join(Series, Series.study_pk == Study.id)
        return [SearchMatch(*one) for one in session.execute(joined.order_by(*newest, Series.series_number, Series.id))]


@pytest.mark.parametrize("few", [2, 40, 1000])
def test_it_finds_what_a_naive_filter_finds(filled: Database, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "FEW", few)
    for level, queries in (("study", QUERIES), ("series", [*QUERIES, *BELOW])):
        models = [(row, columns_model(row)) for row in _all(filled, level == "series")]
        for actor in (SYSTEM, Actor(name="bob", facility_id=B), Actor(name="nobody")):
            seen = [(row, model) for row, model in models if may_see(actor, row.study.facility_id)]
            for query in queries:
                keys = keys_of(query)
                expected = [_name(row) for row, model in seen if matches(model, keys, fold=names.fold)]
                got: list[Any] = []
                with filled.read() as session:
                    for offset in (0, 7, 14):
                        found = pages.search(session, actor, level, keys, limit=7, offset=offset)  # type: ignore[arg-type]
                        got += map(_name, found.rows)
                        assert found.more == (len(expected) > offset + 7), (level, query, offset)
                assert got == expected[:21], (level, query, actor.name)


def _name(row: SearchMatch) -> tuple[int, int]:
    return row.study.id, row.series.id if row.series else 0


def test_fuzzy_names_are_found(filled: Database) -> None:
    keys = keys_of({"PatientName": "joh"})
    models = [(row, columns_model(row)) for row in _all(filled, False)]
    expected = [_name(row) for row, model in models if matches(model, keys, fold=names.fold, fuzzy=True)]
    with filled.read() as session:
        found = pages.search(session, SYSTEM, "study", keys, fuzzy=True)
    assert expected and [_name(row) for row in found.rows] == expected


NARROW: list[tuple[str, dict[str, str]]] = [
    ("study", {"PatientID": "P0000001"}),
    ("study", {"PatientName": "Smith*"}),
    ("study", {"StudyDate": "20190505"}),
    ("study", {"StudyDate": "20190501-20190531", "ModalitiesInStudy": "CT"}),
    ("study", {"AccessionNumber": "ACC00000017"}),
    ("study", {"StudyInstanceUID": "1.2.826.0.1.7"}),
    ("study", {"SeriesInstanceUID": "1.2.826.0.1.7.1"}),
    ("series", {"StudyInstanceUID": "1.2.826.0.1.7"}),
    ("series", {"SeriesInstanceUID": "1.2.826.0.1.7.1"}),
    ("series", {"PatientID": "P0000001", "Modality": "CT"}),
    ("instance", {"StudyInstanceUID": "1.2.826.0.1.7"}),
    ("instance", {"SOPInstanceUID": "1.2.3"}),
    ("instance", {"PatientID": "P0000001"}),
]


@pytest.mark.parametrize(("level", "query"), NARROW, ids=[f"{level} {'+'.join(query)}" for level, query in NARROW])
def test_no_table_is_read_from_end_to_end(filled: Database, level: Any, query: dict[str, str]) -> None:
    if filled.dialect != "sqlite":
        pytest.skip("PostgreSQL scans small tables on purpose")
    asked: list[str] = []

    with filled.read() as session:
        driver: Any = session.connection().connection.driver_connection
        driver.set_trace_callback(asked.append)
        try:
            pages.search(session, SYSTEM, level, keys_of(query), limit=25)
        finally:
            driver.set_trace_callback(None)
        for sql in [one for one in asked if one.lstrip().startswith("SELECT")]:
            for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}"):
                assert not re.fullmatch(r"SCAN (s|study|series|instance|patient)( USING .*)?", row[3]), (sql, row[3])
