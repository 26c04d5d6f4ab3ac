"""C-FIND: the rows of a compiled query, chunk by chunk, each in a read of its own.

Where an index named few studies they are looked up by their ids; else the studies are walked by id, or by date where
dates are asked. Series and instances follow from their studies, in groups of studies, so that a chunk stays bounded."""

from collections.abc import Iterator, Sequence
from typing import Any

from app.archive.search.plans import CompiledFilter, SqlRunner
from app.archive.search.query import Plan, Row
from app.db import Database

FEW = 2000  # studies that a driver may name before a walk is quicker
FIRST, STEP, HEADERS = 50, 1000, 100  # rows of the first chunk, of the others, and where headers are read
_STRETCH = 50_000  # ids walked in one go, whatever is found
_TOGETHER = 2000  # series or instances of the studies that are looked up at once


def candidate_studies(runner: SqlRunner, asked: CompiledFilter) -> list[int] | None:
    """The ids of the studies that can match, newest first, where an index names few."""
    for sql, values in asked.drivers:
        most = max(FEW, len(values))
        rows = runner.rows(f"SELECT id FROM ({sql}) AS few LIMIT {most + 1}", values)
        if len(rows) <= most:
            return sorted({int(row[0]) for row in rows}, reverse=True)
    return None


def read(database: Database, sql: str, values: Sequence[Any] = ()) -> list[Row]:
    """All rows of one statement, in a transaction that ends with it."""
    with database.read() as session:
        runner = SqlRunner(session)
        try:
            return runner.rows(sql, values)
        finally:
            runner.close()


class CandidateStudies:
    """ids: of the studies that can match, None to walk all."""

    def __init__(self, database: Database, plan: Plan, ids: list[int] | None) -> None:
        self._database, self._plan, self._ids = database, plan, ids
        self._postgresql = database.dialect == "postgresql"
        self._where, self._values = plan.studies()
        self._first = HEADERS if plan.header_numbers else FIRST
        self._step = HEADERS if plan.header_numbers else STEP

    def chunks(self) -> Iterator[list[Row]]:
        """(id, columns...) of all matches as far as SQL decides, newest first as far as that costs nothing."""
        if self._plan.level == "patient":
            return self._patients()
        if self._plan.level == "study":
            return self._studies()
        return self._by_uid() if self._plan.uids else self._lower()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return read(self._database, sql, values)

    def _patients(self) -> Iterator[list[Row]]:
        there = "1 = 1"
        if self._where != there:
            there = f"EXISTS (SELECT 1 FROM study s WHERE s.patient_pk = p.id AND {self._where})"
        select = f"SELECT p.id{self._plan.listed()} FROM patient p WHERE "
        if self._ids is None:
            yield from self._read_by_id(select + there, "p.id", "patient")
            return
        seen: set[int] = set()
        for some in batches(self._ids, 500):
            among = f"s.id IN ({_listed(some)})"
            sql = f"SELECT DISTINCT s.patient_pk FROM study s WHERE {among} AND {self._where}"
            new = [int(row[0]) for row in self._read(sql, self._values) if int(row[0]) not in seen]
            seen.update(new)
            if new:
                yield self._read(f"{select}p.id IN ({_listed(new)}) ORDER BY p.id DESC")

    def _studies(self) -> Iterator[list[Row]]:
        join = " JOIN patient p ON p.id = s.patient_pk" if self._plan.needs_patient() else ""
        dates = self._plan.asked.dates != (0, 0)
        if self._ids is not None:
            select = f"SELECT s.id{self._plan.listed()} FROM study s{join} WHERE {self._where}"
            for some in batches(self._ids, min(self._step, 500)):
                yield self._read(f"{select} AND s.id IN ({_listed(some)}) ORDER BY s.id DESC", self._values)
            return
        hint = "" if self._postgresql else " INDEXED BY ix_study_dt" if dates else " NOT INDEXED"
        if dates:
            yield from self._by_date(f"SELECT s.id, s.dt{self._plan.listed()} FROM study s{hint}{join}")
        else:
            select = f"SELECT s.id{self._plan.listed()} FROM study s{hint}{join} WHERE {self._where}"
            yield from self._read_by_id(select, "s.id", "study")

    def _read_by_id(self, select: str, key: str, table: str) -> Iterator[list[Row]]:
        """All rows by their ids downwards, stretch by stretch."""
        before = int(self._read(f"SELECT max(id) FROM {table}")[0][0] or 0) + 1
        size = self._first
        while before > 0:
            floor = max(before - _STRETCH, 0)
            sql = f"{select} AND {key} < {before} AND {key} >= {floor} ORDER BY {key} DESC LIMIT {size}"
            rows = self._read(sql, self._values)
            before = int(rows[-1][0]) if len(rows) == size else floor
            yield rows
            size = min(size * 4, self._step)

    def _by_date(self, select: str) -> Iterator[list[Row]]:
        size = self._first
        place: list[Any] = []
        while True:
            after = " AND (s.dt, s.id) < (?, ?)" if place else ""
            sql = f"{select} WHERE {self._where}{after} ORDER BY s.dt DESC, s.id DESC LIMIT {size}"
            rows = self._read(sql, [*self._values, *place])
            if rows:
                place = [rows[-1][1], rows[-1][0]]
            yield [(row[0], *row[2:]) for row in rows]
            if len(rows) < size:
                return
            size = min(size * 4, self._step)

    def _lower(self) -> Iterator[list[Row]]:
        """Series or instances of the studies."""
        count = 2 if self._plan.level == "instance" else 1
        together: list[int] = []
        weight = 0
        for row in self._counted():
            if together and weight + row[count] > _TOGETHER:
                yield from self._below(together)
                together, weight = [], 0
            together.append(int(row[0]))
            weight += int(row[count])
        if together:
            yield from self._below(together)

    def _counted(self) -> Iterator[Row]:
        """(id, series, instances) of each study that can match."""
        hint = " NOT INDEXED" if self._ids is None and not self._postgresql else ""
        select = f"SELECT s.id, s.series_count, s.instance_count FROM study s{hint} WHERE {self._where}"
        if self._ids is not None:
            for some in batches(self._ids, 500):
                yield from self._read(f"{select} AND s.id IN ({_listed(some)}) ORDER BY s.id DESC", self._values)
            return
        before = 1 << 62
        while True:
            rows = self._read(f"{select} AND s.id < {before} ORDER BY s.id DESC LIMIT {STEP}", self._values)
            yield from rows
            if len(rows) < STEP:
                return
            before = int(rows[-1][0])

    def _cross(self) -> str:
        return "JOIN" if self._postgresql else "CROSS JOIN"  # SQLite then keeps the order of the tables

    def _below(self, studies: list[int]) -> Iterator[list[Row]]:
        instances, cross = self._plan.level == "instance", self._cross()
        tables = f"study s {cross} series r ON r.study_pk = s.id"
        alias, order = "r", "r.series_number, r.id"
        if instances:
            tables += f" {cross} instance i ON i.series_pk = r.id"
            alias, order = "i", f"{order}, i.instance_number, i.id"
        if self._plan.needs_patient():
            tables += f" {cross} patient p ON p.id = s.patient_pk"
        own, values = self._plan.lower_conditions()
        sql = (
            f"SELECT {alias}.id{self._plan.listed()} FROM {tables} WHERE s.id IN ({_listed(studies)}){own} "
            f"ORDER BY s.id DESC, {order}"
        )
        yield from batches(self._read(sql, values), self._step)

    def _by_uid(self) -> Iterator[list[Row]]:
        """Instances by a list of their UIDs, whose index leads to series and study."""
        cross = self._cross()
        tables = f"instance i {cross} series r ON r.id = i.series_pk {cross} study s ON s.id = r.study_pk"
        if self._plan.needs_patient():
            tables += f" {cross} patient p ON p.id = s.patient_pk"
        own, own_values = self._plan.lower_conditions(but='i."sop_instance_uid"')
        select = f"SELECT i.id{self._plan.listed()} FROM {tables} WHERE i.sop_instance_uid IN"
        for uids in batches(self._plan.uids, min(self._step, 500)):
            marks = ", ".join("?" * len(uids))
            sql = f"{select} ({marks}) AND {self._where}{own}"
            yield self._read(sql, [*uids, *self._values, *own_values])


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids))
