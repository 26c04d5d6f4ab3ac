"""How a study search is answered within its time on a million studies (DESIGN 3.5).

A *driver* is a condition that an index answers by itself. The first one that names few studies (`FEW`) is taken: these are
filtered and sorted, and the total is exact. Where none does, the sort index is walked in growing slices with all conditions
tested on the index entries, until the page and the capped total are full or the time is over. Plain SQL: the planners would
choose badly here, and SQLite is told the index."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.archive.rows import OTHER_MODALITY, modality_bit
from app.dicom import names

FEW = 1500
CAPPED = 1000
PAGE_TIME, COUNT_TIME = 0.150, 0.020  # seconds a walk may look for the page; and go on counting once it is full
_FIRST_SLICE, _LARGEST_SLICE = 1000, 32000
_LAST = "\U0010ffff"

Bound = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Order:
    """A sort: its column, direction and index."""

    column: str
    down: bool
    index: str


ORDERS = {
    "-date": Order("dt", True, "ix_study_dt"),
    "date": Order("dt", False, "ix_study_dt"),
    "name": Order("fold", False, "ix_study_fold"),
    "-name": Order("fold", True, "ix_study_fold"),
    "patient_id": Order("pid_fold", False, "ix_study_pid"),
    "-patient_id": Order("pid_fold", True, "ix_study_pid"),
    "-received": Order("received_at", True, "ix_study_received"),
    "received": Order("received_at", False, "ix_study_received"),
}


class Runner:
    """Plain SQL with `?` on both databases."""

    def __init__(self, session: Session) -> None:
        connection = session.connection()
        self.postgresql = connection.dialect.name == "postgresql"
        self._cursor = connection.connection.cursor()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql.replace("?", "%s") if self.postgresql else sql, tuple(values))
        return list(self._cursor.fetchall())

    def close(self) -> None:
        self._cursor.close()


@dataclass(slots=True)
class Asked:
    """A compiled filter: conditions on `study s`, and drivers in order of promise."""

    conditions: list[Bound] = field(default_factory=list)
    drivers: list[Bound] = field(default_factory=list)  # SELECT of study ids, without LIMIT
    empty: bool = False  # can match nothing
    facility: str | None = None  # of the one facility that is asked, for the walk's index
    dates: tuple[int, int] = (0, 0)  # inclusive range of dt; (0, 0): not asked

    def add(self, sql: str, *values: Any) -> None:
        self.conditions.append((sql, list(values)))

    def where(self) -> Bound:
        return (
            " AND ".join(sql for sql, _ in self.conditions) or "1 = 1",
            [value for _, values in self.conditions for value in values],
        )


# -- patterns ----------------------------------------------------------------------------------------------------


def like(wildcards: str) -> str:
    """`*` and `?` as a LIKE pattern with the escape `!`."""
    escaped = wildcards.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return escaped.replace("*", "%").replace("?", "_")


def prefix_of(wildcards: str) -> str:
    """The literal text before the first wildcard."""
    return wildcards.split("*", 1)[0].split("?", 1)[0]


def has_wildcards(text: str) -> bool:
    return "*" in text or "?" in text


def matched(asked: Asked, column: str, wanted: str, driver: bool = False) -> None:
    """Equality, or LIKE with wildcards; with a driver by range where there is a literal beginning."""
    start = prefix_of(wanted)
    if has_wildcards(wanted):
        asked.add(f"{column} LIKE ? ESCAPE '!'", like(wanted))
        if start:
            asked.add(f"{column} >= ?", start)
            asked.add(f"{column} < ?", start + _LAST)
    else:
        asked.add(f"{column} = ?", wanted)
    if driver and start:
        plain = column.removeprefix("s.")
        if has_wildcards(wanted):
            asked.drivers.append((f"SELECT id FROM study WHERE {plain} >= ? AND {plain} < ?", [start, start + _LAST]))
        else:
            asked.drivers.append((f"SELECT id FROM study WHERE {plain} = ?", [wanted]))


# -- patients by full text ---------------------------------------------------------------------------------------


def words_of(box: str) -> list[str]:
    """The words of a search box, folded, CJK characters apart, at most eight."""
    return names.spaced(names.fold(box.replace("*", " ").replace("?", " "))).split()[:8]


def _trigrams(word: str) -> list[str]:
    return [word[i : i + 3] for i in range(len(word) - 2)]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def patients_with(runner: Runner, beginnings: Iterable[str], parts: Iterable[str]) -> Bound | None:
    """SELECT of patient ids that may hold words beginning so and parts so (checked again by the conditions); None when
    full text cannot narrow anything."""
    begin = [b for b in beginnings if any(c.isalnum() for c in b)]
    part = [p for p in parts if len(p) >= 3]
    if not begin and not part:
        return None
    if runner.postgresql:
        patterns = ["%" + like(text) + "%" for text in (*begin, *part)]
        tests = " AND ".join(["(fold || ' ' || pid_fold) LIKE ? ESCAPE '!'"] * len(patterns))
        return f"SELECT id FROM patient WHERE {tests}", patterns
    words = "SELECT rowid FROM patient_words WHERE patient_words MATCH ?"
    beginning = " AND ".join(f"{_quoted(b)}*" for b in begin)
    if not part:
        return words, [beginning]
    # three-letter pieces say nothing of their order: the row is looked at before it counts
    tests = " AND ".join(["instr(p.fold || ' ' || p.pid_fold, ?) > 0"] * len(part))
    sql = f"SELECT p.id FROM patient_parts JOIN patient p ON p.id = patient_parts.rowid WHERE patient_parts MATCH ? AND {tests}"
    pieces = " AND ".join(dict.fromkeys(_quoted(t) for p in part for t in _trigrams(p)))
    if begin:
        return f"{sql} AND p.id IN ({words})", [pieces, *part, beginning]
    return sql, [pieces, *part]


def _few(runner: Runner, found: Bound) -> list[Any] | None:
    """The ids a select names, None when they are more than FEW."""
    sql, values = found
    ids = [row[0] for row in runner.rows(f"SELECT * FROM ({sql}) AS few LIMIT {FEW + 1}", values)]
    return ids if len(ids) <= FEW else None


def add_text(asked: Asked, runner: Runner, box: str) -> None:
    """The one box: each word of three letters and more is a part of the name or patient id, each shorter one begins a
    word there; or the whole begins an accession number."""
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
    number = [accession, accession + _LAST]
    if not words:
        asked.add(by_number, *number)
        return
    either = " AND ".join(tests)
    numbers = _few(runner, ("SELECT id FROM study WHERE accession_number >= ? AND accession_number < ?", number))
    if numbers == []:
        asked.add(f"({either})", *values)
    elif numbers is not None:  # by id: tested on the index entry, without the row
        asked.add(f"(({either}) OR s.id IN ({', '.join(map(str, map(int, numbers)))}))", *values)
    else:
        asked.add(f"(({either}) OR ({by_number}))", *values, *number)
    short_ones = [w for w in words if len(w) < 3]
    patients = patients_with(runner, short_ones, [w for w in words if len(w) >= 3])
    if patients is None or numbers is None:
        return
    chosen = _few(runner, patients)
    if chosen is not None:
        _drive_by_patients(asked, chosen, numbers)


def _drive_by_patients(asked: Asked, patients: list[int], more: Sequence[int] = ()) -> None:
    if not patients and not more:
        asked.empty = True
        return
    parts: list[str] = []
    if patients:
        parts.append(f"SELECT id FROM study WHERE patient_pk IN ({', '.join(map(str, map(int, patients)))})")
    if more:
        parts.append(f"SELECT id FROM study WHERE id IN ({', '.join(map(str, map(int, more)))})")
    asked.drivers.append((" UNION ".join(parts), []))


def add_name(asked: Asked, runner: Runner, wanted: str) -> None:
    """A person name with wildcards, matched against each component group and against all of it."""
    pattern = "=".join(names.fold(group) for group in wanted.split("="))
    if pattern.endswith("*") and not has_wildcards(pattern[:-1]):
        inside = "strpos" if runner.postgresql else "instr"
        asked.add(f"{inside}('=' || s.fold, ?) > 0", f"={pattern[:-1]}")  # several times quicker than LIKE
    else:
        asked.add("('=' || s.fold || '=') LIKE ? ESCAPE '!'", f"%={like(pattern)}=%")
    begin, parts = [], []
    for position, chunk in enumerate(pattern.replace("?", "*").replace("=", "*").split("*")):
        words = names.spaced(chunk).split()
        for number, word in enumerate(words):
            whole_start = number > 0 or (position == 0 and not pattern.startswith(("*", "?")))
            if whole_start and word.isalnum():
                begin.append(word)
            elif len(word) >= 3:
                parts.append(word)
    patients = patients_with(runner, begin, parts)
    if patients is not None and (chosen := _few(runner, patients)) is not None:
        _drive_by_patients(asked, chosen)


def add_patient_id(asked: Asked, runner: Runner, pattern: str) -> None:
    """A patient id with wildcards: by its beginning, or by parts of three characters and more."""
    matched(asked, "s.pid_fold", pattern, driver=True)
    if prefix_of(pattern):
        return
    parts = [part for part in pattern.replace("?", "*").split("*") if len(part) >= 3]
    patients = patients_with(runner, [], parts)
    if patients is not None and (chosen := _few(runner, patients)) is not None:
        _drive_by_patients(asked, chosen)


_DISTINCT = """WITH RECURSIVE d(v) AS (
  SELECT min({0}) FROM study
  UNION ALL SELECT (SELECT min({0}) FROM study WHERE {0} > d.v) FROM d WHERE d.v IS NOT NULL
) SELECT v FROM (SELECT v FROM d WHERE v IS NOT NULL LIMIT 3000) AS hops"""


def add_listed(asked: Asked, runner: Runner, column: str, pattern: str) -> None:
    """Descriptions and referring physicians are few however many studies there are: the distinct ones that match are
    looked up first, by hops over the index."""
    if not has_wildcards(pattern) or prefix_of(pattern):
        matched(asked, f"s.{column}", pattern, driver=True)
        return
    distinct = [row[0] for row in runner.rows(_DISTINCT.format(column))]
    if len(distinct) >= 3000:
        matched(asked, f"s.{column}", pattern)
        return
    fits = re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL).fullmatch
    chosen = [v for v in distinct if fits(v)]
    if not chosen:
        asked.empty = True
        return
    marks = ", ".join("?" * len(chosen))
    asked.add(f"s.{column} IN ({marks})", *chosen)
    asked.drivers.append((f"SELECT id FROM study WHERE {column} IN ({marks})", chosen))


def add_modalities(asked: Asked, modalities: Sequence[str]) -> None:
    mask = 0
    for modality in modalities:
        mask |= modality_bit(modality)
    asked.add("(s.modmask & ?) <> 0", mask)
    marks = ", ".join("?" * len(modalities))
    if mask & OTHER_MODALITY:  # the bit of all that have none of their own: the table knows better
        asked.add(
            f"EXISTS (SELECT 1 FROM study_modality m WHERE m.study_pk = s.id AND m.modality IN ({marks}))", *modalities
        )
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


# -- answers -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answer:
    """keys: (sort key, id) in order, at most need; total so far, whether there may be more; where the time ended it."""

    keys: list[tuple[Any, int]] = field(default_factory=list)
    total: int = 0
    capped: bool = False
    stopped_at: tuple[Any, int] | None = None


def run(
    runner: Runner, asked: Asked, order: Order, after: tuple[Any, int] | None, need: int, *, count: bool = True
) -> Answer:
    """The page of (key, id) after a cursor, and with `count` the total."""
    if asked.empty:
        return Answer()
    for driver in asked.drivers:
        ids = _few(runner, driver)
        if ids is not None:
            return _filtered(runner, asked, order, after, need, ids)
    return _walk(runner, asked, order, after, need, CAPPED + 1 if count else need)


def _filtered(
    runner: Runner, asked: Asked, order: Order, after: tuple[Any, int] | None, need: int, ids: list[int]
) -> Answer:
    if not ids:
        return Answer()
    where, values = asked.where()
    rows = runner.rows(
        f"SELECT s.{order.column}, s.id FROM study s WHERE s.id IN ({', '.join(map(str, map(int, ids)))}) AND {where} "
        f"ORDER BY s.{order.column} {_way(order)}, s.id {_way(order)}",
        values,
    )
    keys = [(row[0], int(row[1])) for row in rows]
    total = len(keys)
    if after is not None:
        keys = [key for key in keys if (key < after if order.down else key > after)]
    return Answer(keys[:need], min(total, CAPPED), total > CAPPED)


def _way(order: Order) -> str:
    return "DESC" if order.down else "ASC"


def _walk(runner: Runner, asked: Asked, order: Order, after: tuple[Any, int] | None, need: int, most: int) -> Answer:
    """Slices of the sort index, each bounded by (key, id) pairs, so that both databases use the index as a range."""
    started = time.monotonic()
    where, values = asked.where()
    by_facility = asked.facility is not None and order.column == "dt"
    index = "ix_study_facility_dt" if by_facility else order.index
    most = max(most, need)
    hint = "" if runner.postgresql else f" INDEXED BY {index}"
    column, way = order.column, _way(order)
    further, until = ("<", ">=") if order.down else (">", "<=")
    place, size, answer = after, _FIRST_SLICE, Answer()
    within, within_values = _limits(asked, order)
    if by_facility:
        within, within_values = f"{within} AND s.facility_id = ?", [*within_values, asked.facility]
    while True:
        begin = f" AND (s.{column}, s.id) {further} (?, ?)" if place else ""
        begin_values = list(place) if place else []
        edge = (
            []
            if not asked.conditions
            else runner.rows(
                f"SELECT s.{column}, s.id FROM study s{hint} WHERE {within}{begin} "
                f"ORDER BY s.{column} {way}, s.id {way} LIMIT 1 OFFSET {size - 1}",
                [*within_values, *begin_values],
            )
        )
        end = f" AND (s.{column}, s.id) {until} (?, ?)" if edge else ""
        end_values = list(edge[0]) if edge else []
        rows = runner.rows(
            f"SELECT s.{column}, s.id FROM study s{hint} WHERE {within}{begin}{end} AND {where} "
            f"ORDER BY s.{column} {way}, s.id {way} LIMIT {most - len(answer.keys)}",
            [*within_values, *begin_values, *end_values, *values],
        )
        answer.keys += [(row[0], int(row[1])) for row in rows]
        if len(answer.keys) >= most or not edge:
            break
        place, size = (edge[0][0], edge[0][1]), min(size * 4, _LARGEST_SLICE)
        spent = time.monotonic() - started
        if spent > (COUNT_TIME if len(answer.keys) >= need else PAGE_TIME):
            answer.capped = True
            if len(answer.keys) < need:
                answer.stopped_at = place
            break
    answer.total = min(len(answer.keys), CAPPED)
    answer.capped = answer.capped or len(answer.keys) > CAPPED
    answer.keys = answer.keys[:need]
    return answer


def _limits(asked: Asked, order: Order) -> Bound:
    """The range of the sort index that can match at all."""
    if order.column == "dt" and asked.dates != (0, 0):
        return "s.dt >= ? AND s.dt <= ?", list(asked.dates)
    return "1 = 1", []
