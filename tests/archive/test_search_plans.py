"""The search answers what a naive filter answers, on both databases and by every plan; and it reads no table from end to end."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.archive.models import Study
from app.archive.search import plans, walks
from app.archive.search.study_list import StudyFilter, search_studies
from app.db import Database
from app.dicom import names
from app.kit.clock import now
from app.kit.errors import BadRequest
from app.security import SYSTEM, Actor, may_see
from app.security.models import Facility
from tests.support import bulk

A, B = "a" * 26, "b" * 26
COUNT = 1200


class _Studies(list[Study]):
    """Short in failure reports."""

    def __repr__(self) -> str:
        return f"<{len(self)} studies>"


@pytest.fixture
def filled(database: Database) -> Iterator[list[Study]]:
    with database.write() as session:
        for name in (A, B):
            session.add(Facility(id=name, name=name[:3], created_at=now()))
    bulk.fill(database, COUNT, [A, B, None], series_each=1)
    with database.read() as session:
        yield _Studies(session.scalars(select(Study)))


def _wild(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def _in_box(box: str, study: Study) -> bool:
    text = " " + study.fold.replace("=", " ") + " " + study.pid_fold
    words = plans.words_of(box)
    found = all((w in text) if len(w) >= 3 or names.is_ideograph(w) else (" " + w in text) for w in words)
    return (bool(words) and found) or study.accession_number.startswith(box.strip())


def _described(box: str, study: Study) -> bool:
    words = plans.words_of(box)
    return bool(words) and all(word in names.spaced(study.description_fold) for word in words)


def naive(study: Study, actor: Actor, f: StudyFilter) -> bool:
    """The filter's meaning, in as few words as it can be said."""
    folded = names.fold
    tests = [
        may_see(actor, study.facility_id),
        not f.facility_id or study.facility_id == f.facility_id,
        not f.text.strip() or _in_box(f.text, study),
        not f.everything.strip() or _in_box(f.everything, study) or _described(f.everything, study),
        not f.patient_name or any(_wild(folded(f.patient_name), g) for g in (*study.fold.split("="), study.fold)),
        not f.patient_id or _wild(folded(f.patient_id), study.pid_fold),
        not f.birth_date or study.birth_date == f.birth_date,
        not f.accession_number or _wild(f.accession_number, study.accession_number),
        not f.description or _wild(folded(f.description), study.description_fold),
        not f.modalities or bool(set(f.modalities) & set(study.modalities.split("\\"))),
        f.study_date is None or (f.study_date[0] or "0") <= study.study_date <= (f.study_date[1] or "9"),
    ]
    return all(tests)


KEYS: dict[str, Any] = {
    "-date": lambda s: (-s.dt, -s.id),
    "date": lambda s: (s.dt, s.id),
    "name": lambda s: (s.fold.encode(), s.id),
    "patient_id": lambda s: (s.pid_fold.encode(), s.id),
    "-received": lambda s: (-s.received_at.timestamp(), -s.id),
}

_box = st.sampled_from(
    [
        "smith",
        "SMI",
        "s",
        "jü",
        "müll anna",
        "山田",
        "山",
        "o'br",
        "p00001",
        "ACC0000012",
        "a",
        "qq",
        "-",
        "mi ma",
        "김 희중",
    ]
)
filters = st.builds(
    StudyFilter,
    text=st.one_of(st.just(""), _box),
    everything=st.one_of(
        st.just(""), st.just(""), _box, st.sampled_from(["thorax", "CT thor", "brain mr", "hand smith"])
    ),
    patient_name=st.sampled_from(
        ["", "", "Smith*", "*ith*", "SMITH^ANNA", "?mith*", "山田*", "*太郎", "M*^J*", "nobody", "O'B*"]
    ),
    patient_id=st.sampled_from(["", "", "", "P*", "*12*", "*0123", "p0000001", "MRN000000?"]),
    accession_number=st.sampled_from(["", "", "", "ACC00000001", "ACC000000*", "*9"]),
    description=st.sampled_from(["", "", "*thorax*", "CT*", "MR Brain", "*nothing*", "??*hand*"]),
    modalities=st.sampled_from([(), (), ("CT",), ("ZZ",), ("NM", "XA"), ("CT", "ZZ"), ("SR",)]),
    study_date=st.sampled_from(
        [None, None, ("20200101", "20201231"), ("20240101", ""), ("", "20150301"), ("20190505", "20190505")]
    ),
    facility_id=st.sampled_from(["", "", "", A]),
)
actors = st.sampled_from([SYSTEM, SYSTEM, Actor(name="bob", facility_id=B), Actor(name="nobody")])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=filters,
    actor=actors,
    sort=st.sampled_from(sorted(KEYS)),
    limit=st.sampled_from([3, 50]),
    few=st.sampled_from([2, 40, 1500]),
)
def test_it_answers_what_a_naive_filter_answers(
    database: Database, filled: list[Study], wanted: StudyFilter, actor: Actor, sort: Any, limit: int, few: int
) -> None:
    expected = [s.id for s in sorted((s for s in filled if naive(s, actor, wanted)), key=KEYS[sort])]
    before, plans.FEW = plans.FEW, few
    try:
        got, cursor, pages = [], None, 0
        with database.read() as session:
            while pages < 4:
                page = search_studies(session, actor, wanted, sort, limit, cursor)
                got += [s.id for s in page.items]
                pages, cursor = pages + 1, page.next
                if not page.total_capped:
                    assert page.total == len(expected)
                if cursor is None:
                    break
    finally:
        plans.FEW = before
    assert got == expected[: len(got)]
    assert len(got) == min(len(expected), 4 * limit)


CASES = [
    (StudyFilter(), "-date"),
    (StudyFilter(), "name"),
    (StudyFilter(), "-received"),
    (StudyFilter(text="smith"), "-date"),
    (StudyFilter(text="s"), "name"),
    (StudyFilter(everything="thorax"), "-date"),
    (StudyFilter(everything="smith"), "name"),
    (StudyFilter(patient_name="Smith*"), "-date"),
    (StudyFilter(patient_id="P0000001"), "-date"),
    (StudyFilter(patient_id="*0001*"), "patient_id"),
    (StudyFilter(birth_date="19700101"), "-date"),
    (StudyFilter(accession_number="ACC000001*"), "-date"),
    (StudyFilter(study_id="5"), "-date"),
    (StudyFilter(modalities=("CT",)), "-date"),
    (StudyFilter(modalities=("ZZ",)), "name"),
    (StudyFilter(description="*thorax*"), "-date"),
    (StudyFilter(study_date=("20200101", "20200131")), "-date"),
    (StudyFilter(study_uids=("1.2.826.0.1.7",)), "-date"),
    (StudyFilter(state="receiving"), "-date"),
]


@pytest.mark.parametrize("few", [5, 1500])
def test_every_plan_uses_an_index(
    database: Database, filled: list[Study], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL scans small tables on purpose")
    monkeypatch.setattr(plans, "FEW", few)
    seen: list[tuple[str, list[Any]]] = []
    real = plans.SqlRunner.rows

    def spy(self: plans.SqlRunner, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
        seen.append((sql, list(values)))
        return real(self, sql, values)

    def spy_each(self: plans.SqlRunner, sql: str, values: Any = ()) -> Iterator[tuple[Any, ...]]:
        seen.append((sql, list(values)))
        return walked(self, sql, values)

    walked = plans.SqlRunner.each
    monkeypatch.setattr(plans.SqlRunner, "rows", spy)
    monkeypatch.setattr(plans.SqlRunner, "each", spy_each)
    for actor in (SYSTEM, Actor(name="bob", facility_id=B)):
        for wanted, sort in CASES:
            with database.read() as session:
                search_studies(session, actor, wanted, sort, 20)  # type: ignore[arg-type]
    assert len(seen) > 50
    with database.read() as session:
        cursor = session.connection().connection.cursor()
        for sql, values in seen:
            steps = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            for step in steps:
                whole = re.fullmatch(r"SCAN (s|study|p|patient|m)( .*)?", step)
                assert not whole or "INDEX" in step, (sql, steps)


def test_a_hopeless_walk_ends_and_says_how_far_it_came(
    database: Database, filled: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "PAGE_TIME", 0.0)
    monkeypatch.setattr(walks, "_FIRST_SLICE", 200)
    monkeypatch.setattr(plans, "FEW", 2)
    wanted, found, cursor = StudyFilter(modalities=("ZZ", "NM")), [], None
    expected = [s.id for s in sorted((s for s in filled if naive(s, SYSTEM, wanted)), key=KEYS["-date"])]
    with database.read() as session:
        page = search_studies(session, SYSTEM, wanted)
        assert page.searched_back_to and page.total_capped and page.next
        for _ in range(20):
            page = search_studies(session, SYSTEM, wanted, cursor=cursor)
            found += [s.id for s in page.items]
            cursor = page.next
            if cursor is None:
                break
    assert found == expected  # following the cursor finds the rest


@pytest.mark.parametrize(
    "cursor", ["x", "e30", "WyJuYW1lIiwiYSIsMSwxLHRydWVd", "WyItZGF0ZSIsIngiLDEsMSx0cnVlXQ", "💥", "bnVsbA"]
)
def test_a_false_cursor_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(BadRequest), database.read() as session:
        search_studies(session, SYSTEM, sort="-date", cursor=cursor)


def test_a_false_sort_or_date_is_refused(database: Database) -> None:
    with database.read() as session:
        with pytest.raises(BadRequest):
            search_studies(session, SYSTEM, sort="id; DROP TABLE study")  # type: ignore[arg-type]
        with pytest.raises(BadRequest):
            search_studies(session, SYSTEM, StudyFilter(study_date=("1'--", "")))


@pytest.mark.parametrize(
    "text", ['"', "'; DROP TABLE study; --", "a\0b", "%", "_", "*", "!", "(", "NEAR(a b)", "a OR b", "𠮷", "x" * 5000]
)
def test_any_text_may_be_typed(database: Database, filled: list[Study], text: str) -> None:
    with database.read() as session:
        for wanted in (
            StudyFilter(text=text), StudyFilter(patient_name=text), StudyFilter(patient_id=text), StudyFilter(description=text),
            StudyFilter(accession_number=text), StudyFilter(referring_physician="*" + text),
        ):  # fmt: skip
            assert search_studies(session, SYSTEM, wanted).total <= COUNT
