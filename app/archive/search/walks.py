"""How a compiled filter (`plans.CompiledFilter`) is answered within its time on a million studies (DESIGN 3.5).

What costs is pages: each is read, authenticated and deciphered again whenever another process has committed. A row is a
page of its own, some eighty entries of a covering index share one. So, the cheapest first: a driver or a stretch of a
walk index that names few studies (then the total is exact), else the sort index from its beginning, all conditions
tested on its entries, until the page and the capped total are full or the time limit is reached."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from app.archive.search import plans
from app.archive.search.plans import (
    CAPPED,
    COVERED,
    ORDERS,
    Bound,
    CompiledFilter,
    SortOrder,
    SqlCondition,
    SqlRunner,
    WalkRange,
    limited_ids,
)

_MARK = 0xFF  # entries whose id has none of these bits are shown in any case: there the clock is looked at
_FIRST_SLICE, _LARGEST_SLICE = 1000, 32000  # entries in one go on PostgreSQL, which answers all at once

Key = tuple[Any, int]  # sort key and id
Entry = tuple[Any, int, Any]  # and whether it matches


@dataclass(slots=True)
class WalkResult:
    """keys: in order, at most need; total so far, whether there may be more; where the time ended it."""

    keys: list[Key] = field(default_factory=list)
    total: int = 0
    capped: bool = False
    stopped_at: Key | None = None


def run(
    runner: SqlRunner, asked: CompiledFilter, order: SortOrder, after: Key | None, need: int, *, count: bool = True
) -> WalkResult:
    """The page of keys after a cursor, and with `count` the total."""
    if asked.empty:
        return WalkResult()
    narrow = _narrowed(runner, asked, order)
    if narrow is not None:
        total = len(narrow)
        if after is not None:
            narrow = [key for key in narrow if (key < after if order.down else key > after)]
        return WalkResult(narrow[:need], min(total, CAPPED), total > CAPPED)
    return _walk(runner, asked, order, after, need, max(need, CAPPED + 1 if count else need))


def stream(runner: SqlRunner, asked: CompiledFilter, first: int, step: int = 500) -> Iterator[list[int]]:
    """All ids that match, newest study first, `first` and then `step` at a time, however long it takes."""
    if asked.empty:
        return
    order = ORDERS["-date"]
    narrow = _narrowed(runner, asked, order)
    entries: Iterator[Entry] = iter([(key, pk, True) for key, pk in narrow or ()])
    if narrow is None:
        entries = _entries(runner, _with_sets(runner, asked), order, None)
    ids: list[int] = []
    for _, pk, fits in entries:
        if fits:
            ids.append(int(pk))
            if len(ids) == first:
                yield ids
                ids, first = [], step
    if ids:
        yield ids


def _direction(order: SortOrder) -> str:
    return "DESC" if order.down else "ASC"


def _narrowed(runner: SqlRunner, asked: CompiledFilter, order: SortOrder) -> list[Key] | None:
    """All that matches, in order, where an index names it; None where no index names few."""
    stretch, cost = _shortest(runner, asked, order)
    for driver in asked.drivers:
        ids = limited_ids(runner, driver, cost)
        if ids is not None:
            return _filtered(runner, asked, order, ids)
    return _sorted(runner, asked, order, stretch) if stretch is not None else None


def _shortest(runner: SqlRunner, asked: CompiledFilter, order: SortOrder) -> tuple[WalkRange | None, int]:
    """The shortest stretch that is short enough, and how many rows would cost as much."""
    best, cost = None, plans.FEW
    if asked.covered and order.column in COVERED:
        for one in asked.ranges:
            most = cost * plans.PACKED
            hint = "" if runner.postgresql else f" INDEXED BY {one.index}"
            found = runner.rows(
                f"SELECT count(*) FROM (SELECT 1 FROM study s{hint} WHERE {one.sql} LIMIT {most + 1}) AS few",
                one.values,
            )
            if found[0][0] <= most:
                best, cost = one, found[0][0] // plans.PACKED
    return best, cost


def _filtered(runner: SqlRunner, asked: CompiledFilter, order: SortOrder, ids: list[int]) -> list[Key]:
    if not ids:
        return []
    where, values = asked.where()
    rows = runner.rows(
        f"SELECT s.{order.column}, s.id FROM study s WHERE s.id IN ({', '.join(map(str, map(int, ids)))}) AND {where} "
        f"ORDER BY s.{order.column} {_direction(order)}, s.id {_direction(order)}",
        values,
    )
    return [(row[0], int(row[1])) for row in rows]


def _sorted(runner: SqlRunner, asked: CompiledFilter, order: SortOrder, stretch: WalkRange) -> list[Key]:
    where, values = asked.where()
    hint = "" if runner.postgresql else f" INDEXED BY {stretch.index}"
    rows = runner.rows(
        f"SELECT s.{order.column}, s.id FROM study s{hint} WHERE {stretch.sql} AND {where} "
        f"ORDER BY s.{order.column} {_direction(order)}, s.id {_direction(order)}",
        [*stretch.values, *values],
    )
    return [(row[0], int(row[1])) for row in rows]


def _walk(
    runner: SqlRunner, asked: CompiledFilter, order: SortOrder, after: Key | None, need: int, most: int
) -> WalkResult:
    started, answer = time.monotonic(), WalkResult()
    entries = _entries(runner, _with_sets(runner, asked), order, after, most)
    for key, pk, fits in entries:
        if fits:
            answer.keys.append((key, int(pk)))
            if len(answer.keys) >= most:
                break
        if not fits or not int(pk) & _MARK:
            full = len(answer.keys) >= need
            if time.monotonic() - started > (plans.COUNT_TIME if full else plans.PAGE_TIME):
                answer.capped = True
                answer.stopped_at = None if full else (key, int(pk))
                break
    entries.close()
    answer.total = min(len(answer.keys), CAPPED)
    answer.capped = answer.capped or len(answer.keys) > CAPPED
    answer.keys = answer.keys[:need]
    return answer


def _with_sets(runner: SqlRunner, asked: CompiledFilter) -> CompiledFilter:
    """Conditions that the walk's index cannot test, as a set of ids where another index names them."""
    if asked.covered:
        return asked
    conditions = []
    for one in asked.conditions:
        if not one.covered and one.ids is not None:
            sql, values = one.ids
            known = runner.rows(
                f"SELECT count(*) FROM (SELECT 1 FROM ({sql}) AS ids LIMIT {plans.SET + 1}) AS few", values
            )
            if known[0][0] <= plans.SET:
                one = SqlCondition(f"s.id IN ({sql})", values, True)
        conditions.append(one)
    return CompiledFilter(conditions, facility=asked.facility, dates=asked.dates)


def _entries(
    runner: SqlRunner, asked: CompiledFilter, order: SortOrder, after: Key | None, most: int | None = None
) -> Generator[Entry, None, None]:
    """Of the sort index in order: all entries that match, and now and then one that does not. Close it when it is not read
    to its end."""
    by_facility = asked.facility is not None and order.column == "dt"
    index = "ix_study_facility_dt" if by_facility else order.index
    tests, values = [], list[Any]()
    if order.column == "dt" and asked.dates != (0, 0):
        tests.append("s.dt >= ? AND s.dt <= ?")
        values += asked.dates
    if by_facility:
        tests.append("s.facility_id = ?")
        values.append(asked.facility)
    within = (" AND ".join(tests) or "1 = 1", values)
    if runner.postgresql:
        return _slices(runner, asked, order, after, within, most)
    return _stream(runner, asked, order, after, within, index, most)


def _stream(
    runner: SqlRunner,
    asked: CompiledFilter,
    order: SortOrder,
    after: Key | None,
    within: Bound,
    index: str,
    most: int | None,
) -> Generator[Entry, None, None]:
    column, way = f"s.{order.column}", _direction(order)
    where, values = asked.where()
    begin = f" AND ({column}, s.id) {'<' if order.down else '>'} (?, ?)" if after else ""
    bound = [*within[1], *(after or ())]
    by = f"ORDER BY {column} {way}, s.id {way}"
    if not asked.conditions:
        limit = f" LIMIT {most}" if most else ""
        sql = f"SELECT {column}, s.id, 1 FROM study s INDEXED BY {index} WHERE {within[0]}{begin} {by}{limit}"
        yield from runner.each(sql, bound)
        return
    sql = (
        f"SELECT {column}, s.id, ({where}) FROM study s INDEXED BY {index} WHERE {within[0]}{begin} "
        f"AND (({where}) OR (s.id & {_MARK}) = 0) {by}"
    )
    yield from runner.each(sql, [*values, *bound, *values])


def _slices(
    runner: SqlRunner, asked: CompiledFilter, order: SortOrder, after: Key | None, within: Bound, most: int | None
) -> Generator[Entry, None, None]:
    """Slices bounded by (key, id) pairs, so that the index is used as a range."""
    column, way = f"s.{order.column}", _direction(order)
    further, until = ("<", ">=") if order.down else (">", "<=")
    where, values = asked.where()
    place, size = after, _FIRST_SLICE
    by = f"ORDER BY {column} {way}, s.id {way}"
    limit = f" LIMIT {most}" if most else ""
    while True:
        begin = f"{within[0]} AND ({column}, s.id) {further} (?, ?)" if place else within[0]
        bound = [*within[1], *(place or ())]
        edge = (
            runner.rows(f"SELECT {column}, s.id FROM study s WHERE {begin} {by} LIMIT 1 OFFSET {size - 1}", bound)
            if asked.conditions
            else []
        )
        end = f" AND ({column}, s.id) {until} (?, ?)" if edge else ""
        sql = f"SELECT {column}, s.id FROM study s WHERE {begin}{end} AND {where} {by}{limit}"
        for key, pk in runner.rows(sql, [*bound, *(edge[0] if edge else ()), *values]):
            yield key, pk, True
        if not edge:
            return
        place, size = (edge[0][0], edge[0][1]), min(size * 4, _LARGEST_SLICE)
        yield *place, False
