"""How a study search is answered within its time on a million studies (DESIGN 3.5).

Here a filter becomes conditions with what an index knows of each; `walks` answers it. Plain SQL: the planners would
choose badly here, so the index is named for SQLite."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.archive.rows import OTHER_MODALITY, modality_bit
from app.dicom import names
from app.dicom.matching import wildcard

FEW = 1000  # rows that are read one by one: each is a page of its own, to be read, authenticated and deciphered
PACKED = 4  # entries of a covering index that are read as quickly as one row, and more
SET = 8_000  # ids that are held to be looked up while an index is walked
CAPPED = 1000
PAGE_TIME, COUNT_TIME = 0.150, 0.006  # seconds a walk may look for the page; and go on counting once it is full
COVERED = frozenset(("dt", "id", "facility_id", "modmask", "fold", "pid_fold"))  # what every walk index holds
_LAST = "\U0010ffff"

Bound = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class SortOrder:
    """A sort: its column, direction and index."""

    column: str
    down: bool
    index: str


ORDERS = {
    "-date": SortOrder("dt", True, "ix_study_dt"),
    "date": SortOrder("dt", False, "ix_study_dt"),
    "name": SortOrder("fold", False, "ix_study_fold"),
    "-name": SortOrder("fold", True, "ix_study_fold"),
    "patient_id": SortOrder("pid_fold", False, "ix_study_pid"),
    "-patient_id": SortOrder("pid_fold", True, "ix_study_pid"),
    "-received": SortOrder("received_at", True, "ix_study_received"),
    "received": SortOrder("received_at", False, "ix_study_received"),
}


class SqlRunner:
    """Plain SQL with `?` on both databases."""

    def __init__(self, session: Session) -> None:
        connection = session.connection()
        self.postgresql = connection.dialect.name == "postgresql"
        self._connection = connection.connection
        self._cursor = self._connection.cursor()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql.replace("?", "%s") if self.postgresql else sql, tuple(values))
        return list(self._cursor.fetchall())

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Row by row as they are found (SQLite); a caller that stops early closes the generator."""
        cursor = self._connection.cursor()
        try:
            yield from cursor.execute(sql, tuple(values))
        finally:
            cursor.close()

    def close(self) -> None:
        self._cursor.close()


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """On `study s`. covered: the walk indexes hold what it looks at; ids: a SELECT of the study ids that fulfil it, from an
    index alone."""

    sql: str
    values: list[Any]
    covered: bool = False
    ids: Bound | None = None


@dataclass(frozen=True, slots=True)
class WalkRange:
    """A stretch of a walk index outside of which nothing can match; its entries hold all of COVERED."""

    index: str
    sql: str
    values: list[Any]


@dataclass(slots=True)
class CompiledFilter:
    """A compiled filter. drivers: SELECTs of study ids, without LIMIT, that name all that can match, in order of promise."""

    conditions: list[SqlCondition] = field(default_factory=list)
    drivers: list[Bound] = field(default_factory=list)
    ranges: list[WalkRange] = field(default_factory=list)
    empty: bool = False  # can match nothing
    facility: str | None = None  # of the one facility that is asked, for the walk's index
    dates: tuple[int, int] = (0, 0)  # inclusive range of dt; (0, 0): not asked

    def add(self, sql: str, *values: Any, covered: bool = False, ids: Bound | None = None) -> None:
        self.conditions.append(SqlCondition(sql, list(values), covered, ids))
        if ids is not None:
            self.drivers.append(ids)

    @property
    def covered(self) -> bool:
        return all(one.covered for one in self.conditions)

    def where(self) -> Bound:
        return (
            " AND ".join(one.sql for one in self.conditions) or "1 = 1",
            [value for one in self.conditions for value in one.values],
        )


# -- patterns ----------------------------------------------------------------------------------------------------


def like_pattern(wildcards: str) -> str:
    """`*` and `?` as a LIKE pattern with the escape `!`."""
    escaped = wildcards.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return escaped.replace("*", "%").replace("?", "_")


def prefix_of(wildcards: str) -> str:
    """The literal text before the first wildcard."""
    return wildcards.split("*", 1)[0].split("?", 1)[0]


def has_wildcards(text: str) -> bool:
    return "*" in text or "?" in text


_WALK_INDEX = {"fold": "ix_study_fold", "pid_fold": "ix_study_pid"}


def match_condition(asked: CompiledFilter, column: str, wanted: str) -> None:
    """Equality, or LIKE with wildcards; by the column's index where there is a literal beginning."""
    start, covered = prefix_of(wanted), column in COVERED
    if not has_wildcards(wanted):
        test, values = f"{column} = ?", [wanted]
    elif start:
        test, values = f"{column} >= ? AND {column} < ?", [start, start + _LAST]
    else:
        asked.add(f"s.{column} LIKE ? ESCAPE '!'", like_pattern(wanted), covered=covered)
        return
    of_study = test.replace(column, f"s.{column}")
    asked.add(of_study, *values, covered=covered, ids=(f"SELECT id FROM study WHERE {test}", values))
    if column in _WALK_INDEX:
        asked.ranges.append(WalkRange(_WALK_INDEX[column], of_study, values))
    if has_wildcards(wanted) and wanted != f"{start}*":
        asked.add(f"s.{column} LIKE ? ESCAPE '!'", like_pattern(wanted), covered=covered)


_MOST_DISTINCT = 3000  # descriptions or referring physicians that are looked through
_MOST_CHOSEN = 500  # of them, that one statement names
MOST_WORDS = 32  # that full text is asked for at once

# -- patients by full text ---------------------------------------------------------------------------------------


def words_of(box: str) -> list[str]:
    """The words of a search box, folded, CJK characters apart, at most eight."""
    return names.spaced(names.fold(box.replace("*", " ").replace("?", " "))).split()[:8]


def _trigrams(word: str) -> list[str]:
    return [word[i : i + 3] for i in range(len(word) - 2)]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def patients_with(runner: SqlRunner, beginnings: Iterable[str], parts: Iterable[str]) -> Bound | None:
    """SELECT of patient ids that may hold words beginning so and parts so (checked again by the conditions); None when
    full text cannot narrow anything."""
    begin = [b for b in dict.fromkeys(beginnings) if any(c.isalnum() for c in b)][:MOST_WORDS]
    part = [p for p in dict.fromkeys(parts) if len(p) >= 3][:MOST_WORDS]
    if not begin and not part:
        return None
    if runner.postgresql:
        patterns = ["%" + like_pattern(text) + "%" for text in (*begin, *part)]
        tests = " AND ".join(["(fold || ' ' || pid_fold) LIKE ? ESCAPE '!'"] * len(patterns))
        return f"SELECT id FROM patient WHERE {tests}", patterns
    words = "SELECT rowid FROM patient_words WHERE patient_words MATCH ?"
    beginning = " AND ".join(f"{_quoted(b)}*" for b in begin)
    if not part:
        return words, [beginning]
    if not begin and all(len(p) == 3 for p in part):
        pieces = " AND ".join(dict.fromkeys(map(_quoted, part)))
        return "SELECT rowid FROM patient_parts WHERE patient_parts MATCH ?", [pieces]
    # three-letter pieces do not define their order: the row is looked at before it counts
    tests = " AND ".join(["instr(p.fold || ' ' || p.pid_fold, ?) > 0"] * len(part))
    sql = f"SELECT p.id FROM patient_parts JOIN patient p ON p.id = patient_parts.rowid WHERE patient_parts MATCH ? AND {tests}"
    pieces = " AND ".join(dict.fromkeys(_quoted(t) for p in part for t in _trigrams(p)))
    if begin:
        return f"{sql} AND p.id IN ({words})", [pieces, *part, beginning]
    return sql, [pieces, *part]


def limited_ids(runner: SqlRunner, found: Bound, most: int | None = None) -> list[Any] | None:
    """The ids a select names, None when they are more than `most` (FEW)."""
    most = FEW if most is None else most
    sql, values = found
    ids = [row[0] for row in runner.rows(f"SELECT * FROM ({sql}) AS few LIMIT {most + 1}", values)]
    return ids if len(ids) <= most else None


def _limited_patients(runner: SqlRunner, found: Bound) -> list[Any] | None:
    """Each patient costs a look for its studies: where they are many, a walk is quicker."""
    return limited_ids(runner, found, max(2, FEW * 2 // 5))


def add_text(asked: CompiledFilter, runner: SqlRunner, box: str, *, described: bool = False) -> None:
    """The one box: each word of three letters and more is a part of the name or patient id, each shorter one begins a
    word there; or the whole begins an accession number; or, with `described`, all words are parts of the description."""
    words = words_of(box)
    accession = box.strip()
    tests, values = [], []
    inside = "strpos" if runner.postgresql else "instr"
    for word in words:
        if len(word) < 3 and not names.is_ideograph(word):
            tests.append(f"{inside}(' ' || replace(s.fold, '=', ' ') || ' ' || s.pid_fold, ?) > 0")
            values.append(f" {word}")
        else:
            tests.append(f"({inside}(s.fold, ?) > 0 OR {inside}(s.pid_fold, ?) > 0)")
            values += [word, word]
    by_number = "s.accession_number >= ? AND s.accession_number < ?"
    by_number_ids = "SELECT id FROM study WHERE accession_number >= ? AND accession_number < ?"
    number = [accession, accession + _LAST]
    if not words:
        asked.add(by_number, *number, ids=(by_number_ids, number))
        return
    either = " AND ".join(tests)
    if described and (by_description := _descriptions_with(runner, words)):
        marks = ", ".join("?" * len(by_description))
        by_number = f"{by_number} OR s.description_fold IN ({marks})"
        by_number_ids = f"{by_number_ids} UNION SELECT id FROM study WHERE description_fold IN ({marks})"
        number = [*number, *by_description]
    numbers = limited_ids(runner, (by_number_ids, number))
    if numbers == []:
        asked.add(f"({either})", *values, covered=True)
    elif numbers is not None:  # by id: tested on the index entry, without the row
        asked.add(f"(({either}) OR s.id IN ({', '.join(map(str, map(int, numbers)))}))", *values, covered=True)
    else:
        asked.add(f"(({either}) OR ({by_number}))", *values, *number)
    short_ones = [w for w in words if len(w) < 3]
    patients = patients_with(runner, short_ones, [w for w in words if len(w) >= 3])
    if patients is None or numbers is None:
        return
    chosen = _limited_patients(runner, patients)
    if chosen is not None:
        _drive_by_patients(asked, chosen, numbers)


def _descriptions_with(runner: SqlRunner, words: Sequence[str]) -> list[str]:
    """The distinct descriptions that hold all these words; none where there are too many descriptions to look through."""
    distinct = [row[0] for row in runner.rows(_DISTINCT.format("description_fold"))]
    if len(distinct) >= _MOST_DISTINCT:
        return []
    return [one for one in distinct if one and all(word in names.spaced(one) for word in words)][:_MOST_CHOSEN]


def _drive_by_patients(asked: CompiledFilter, patients: list[int], more: Sequence[int] = ()) -> None:
    if not patients and not more:
        asked.empty = True
        return
    parts: list[str] = []
    if patients:
        parts.append(f"SELECT id FROM study WHERE patient_pk IN ({', '.join(map(str, map(int, patients)))})")
    if more:
        parts.append(f"SELECT id FROM study WHERE id IN ({', '.join(map(str, map(int, more)))})")
    asked.drivers.append((" UNION ".join(parts), []))


def add_patients(asked: CompiledFilter, runner: SqlRunner, beginnings: Iterable[str], parts: Iterable[str]) -> None:
    """Only studies of patients who have words beginning so and parts so, where full text names few of them."""
    patients = patients_with(runner, beginnings, parts)
    if patients is not None and (chosen := _limited_patients(runner, patients)) is not None:
        _drive_by_patients(asked, chosen)


def add_name(asked: CompiledFilter, runner: SqlRunner, wanted: str) -> None:
    """A person name with wildcards, matched against each component group and against all of it."""
    pattern = "=".join(names.fold(group) for group in wanted.split("="))
    if pattern.endswith("*") and not has_wildcards(pattern[:-1]):
        inside = "strpos" if runner.postgresql else "instr"
        asked.add(
            f"{inside}('=' || s.fold, ?) > 0", f"={pattern[:-1]}", covered=True
        )  # several times quicker than LIKE
    else:
        asked.add("('=' || s.fold || '=') LIKE ? ESCAPE '!'", f"%={like_pattern(pattern)}=%", covered=True)
    begin, parts = [], []
    for position, chunk in enumerate(pattern.replace("?", "*").replace("=", "*").split("*")):
        words = names.spaced(chunk).split()
        for number, word in enumerate(words):
            whole_start = number > 0 or (position == 0 and not pattern.startswith(("*", "?")))
            if whole_start and word.isalnum():
                begin.append(word)
            elif len(word) >= 3:
                parts.append(word)
    add_patients(asked, runner, begin, parts)


def add_patient_id(asked: CompiledFilter, runner: SqlRunner, pattern: str) -> None:
    """A patient id with wildcards: by its beginning, or by parts of three characters and more."""
    match_condition(asked, "pid_fold", pattern)
    if prefix_of(pattern):
        return
    add_patients(asked, runner, [], [part for part in pattern.replace("?", "*").split("*") if len(part) >= 3])


_DISTINCT = """WITH RECURSIVE d(v) AS (
  SELECT min({0}) FROM study
  UNION ALL SELECT (SELECT min({0}) FROM study WHERE {0} > d.v) FROM d WHERE d.v IS NOT NULL
) SELECT v FROM (SELECT v FROM d WHERE v IS NOT NULL LIMIT 3000) AS hops"""


def add_listed(asked: CompiledFilter, runner: SqlRunner, column: str, pattern: str) -> None:
    """Descriptions and referring physicians are few however many studies there are: the distinct ones that match are
    looked up first, by hops over the index."""
    if not has_wildcards(pattern) or prefix_of(pattern):
        match_condition(asked, column, pattern)
        return
    distinct = [row[0] for row in runner.rows(_DISTINCT.format(column))]
    if len(distinct) >= _MOST_DISTINCT:
        match_condition(asked, column, pattern)
        return
    fits = wildcard(pattern)
    chosen = [v for v in distinct if fits.matches(v)]
    if not chosen:
        asked.empty = True
        return
    marks = ", ".join("?" * len(chosen))
    asked.add(f"s.{column} IN ({marks})", *chosen, ids=(f"SELECT id FROM study WHERE {column} IN ({marks})", chosen))


def add_modalities(asked: CompiledFilter, modalities: Sequence[str]) -> None:
    mask = 0
    for modality in modalities:
        mask |= modality_bit(modality)
    asked.add("(s.modmask & ?) <> 0", mask, covered=True)
    marks = ", ".join("?" * len(modalities))
    if mask & OTHER_MODALITY:  # the bit of all that have none of their own: the table knows better
        # One EXISTS for each: SQLite 3.51 repeats a study that has several of the modalities of an IN.
        one = "EXISTS (SELECT 1 FROM study_modality m WHERE m.study_pk = s.id AND m.modality = ?)"
        asked.add(f"({' OR '.join([one] * len(modalities))})", *modalities)
    first, last = asked.dates
    between = " AND dt >= ? AND dt <= ?" if asked.dates != (0, 0) else ""
    asked.drivers.append(
        (
            f"SELECT DISTINCT study_pk AS id FROM study_modality WHERE modality IN ({marks}){between}"
            if len(modalities) > 1
            else f"SELECT study_pk AS id FROM study_modality WHERE modality IN ({marks}){between}",
            [*modalities, *((first, last) if between else ())],
        )
    )
