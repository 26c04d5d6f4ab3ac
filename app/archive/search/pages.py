"""QIDO-RS over the archive: the answers of a query page by page, newest study first. What matches is decided by `query`."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.archive.models import Instance, Series, Study
from app.archive.search import columns, query, walks
from app.archive.search.chunks import batches
from app.archive.search.plans import SqlRunner
from app.archive.search.query import Plan, SearchQuery
from app.dicom.dicomjson import Model, attribute
from app.dicom.matching import Key, vr_of
from app.security import Actor

Level = Literal["study", "series", "instance"]
_STEP = 500  # studies looked at in one go
_TOGETHER = 2000  # series or instances of the studies that are looked at in one go
_HEADERS = 100  # headers read in one go
MOST_ROWS, MOST_HEADERS = 20_000, 2_000  # looked at for one answer; then it reports that there may be more

_ORDER = {
    "study": "s.dt DESC, s.id DESC",
    "series": "s.dt DESC, s.id DESC, r.series_number IS NULL, r.series_number, r.id",
    "instance": "s.dt DESC, s.id DESC, r.series_number IS NULL, r.series_number, r.id, "
    "i.instance_number IS NULL, i.instance_number, i.id",
}
_TABLES = {
    "study": "study s",
    "series": "study s JOIN series r ON r.study_pk = s.id",
    "instance": "study s JOIN series r ON r.study_pk = s.id JOIN instance i ON i.series_pk = r.id",
}
_KEY = {"study": "s.id", "series": "r.id", "instance": "i.id"}


@dataclass(frozen=True, slots=True)
class SearchMatch:
    """One match. series and instance are None above their level."""

    study: Study
    series: Series | None = None
    instance: Instance | None = None


@dataclass(slots=True)
class SearchPage:
    """more: there are further matches behind the last one; given_up: the search stopped before it had seen everything;
    unsupported: keys that cannot be matched at this level, and were not."""

    rows: list[SearchMatch] = field(default_factory=list)
    more: bool = False
    given_up: bool = False
    unsupported: Sequence[Key] = ()


def search(
    session: Session,
    actor: Actor,
    level: Level,
    keys: Sequence[Key],
    *,
    fuzzy: bool = False,
    limit: int = 1000,
    offset: int = 0,
) -> SearchPage:
    """Matches this actor may see, newest study first, in an order that stays the same from page to page."""
    asked = SearchQuery(level, keys, fuzzy=fuzzy)
    runner = SqlRunner(session)
    try:
        page = _Page(runner, asked.compile(runner, actor), limit, offset)
        ids = page.ids()
    finally:
        runner.close()
    return SearchPage(_rows(session, level, ids[:limit]), len(ids) > limit, page.given_up, asked.unsupported)


class _Page:
    """The ids of the matches from `offset` on, one more than `limit` where there are more."""

    def __init__(self, runner: SqlRunner, plan: Plan, limit: int, offset: int) -> None:
        self._runner, self._plan, self._need, self._offset = runner, plan, limit + 1, offset
        self.given_up = False
        asked = plan.asked
        if not asked.drivers and len(asked.conditions) == (asked.facility is not None):
            for sql, values in plan.study:  # no index names anything: tested while the studies are walked
                asked.add(sql, *values)
            plan.study.clear()

    def ids(self) -> list[int]:
        plan, need = self._plan, self._need
        first = max(50, min(need, _STEP))
        if plan.level == "study" and plan.is_decided and not plan.study:  # rows before the page are never read
            return next(walks.stream(self._runner, plan.asked, self._offset + need), [])[self._offset :]
        found: list[int] = []
        matches = self._decided if plan.is_decided else self._tested
        for pk in matches(walks.stream(self._runner, plan.asked, first, _STEP)):
            if self._offset:
                self._offset -= 1
                continue
            found.append(pk)
            if len(found) == need:
                break
        return found

    def _decided(self, studies: Iterator[list[int]]) -> Iterator[int]:
        """All matches, where SQL alone selects them; those before the page are counted, not read."""
        for group in self._groups(studies):
            if self._offset:
                count = int(self._select("count(*)", group)[0][0])
                if count <= self._offset:
                    self._offset -= count
                    continue
            for row in self._select(_KEY[self._plan.level], group, self._offset + self._need):
                yield int(row[0])

    def _tested(self, studies: Iterator[list[int]]) -> Iterator[int]:
        """All matches, where the values read have to pass tests; until too many were looked at."""
        rows, headers = 0, 0
        for group in self._groups(studies):
            found = self._select(f"{_KEY[self._plan.level]}{self._plan.listed()}", group)
            rows += len(found)
            found = query.passing_rows(self._plan, found, self._runner.rows)
            for some in batches(found, _HEADERS):
                if not self._plan.header_keys:
                    yield from (int(row[0]) for row in some)
                    continue
                headers += len(some)
                yield from (int(row[0]) for row, _ in query.with_headers(self._plan, some, self._runner.rows))
                if headers >= MOST_HEADERS:
                    break
            if rows >= MOST_ROWS or headers >= MOST_HEADERS:
                self.given_up = True
                return

    def _groups(self, studies: Iterator[list[int]]) -> Iterator[list[int]]:
        """Studies in groups, so that the rows read stay bounded."""
        column = {"study": "1", "series": "series_count", "instance": "instance_count"}[self._plan.level]
        for ids in studies:
            if column == "1":
                yield ids
                continue
            sql = f"SELECT id, {column} FROM study WHERE id IN ({_listed(ids)})"
            weights = {int(pk): int(count) for pk, count in self._runner.rows(sql)}
            group, weight = list[int](), 0
            for pk in ids:
                if group and weight + weights.get(pk, 0) > _TOGETHER:
                    yield group
                    group, weight = [], 0
                group.append(pk)
                weight += weights.get(pk, 0)
            yield group

    def _select(self, what: str, ids: list[int], most: int | None = None) -> list[query.Row]:
        """what: `count(*)`, or the columns of the rows in order."""
        plan = self._plan
        join = " JOIN patient p ON p.id = s.patient_pk" if plan.needs_patient() else ""
        values: list[Any] = []
        sql = f"SELECT {what} FROM {_TABLES[plan.level]}{join} WHERE s.id IN ({_listed(ids)})"
        for condition, bound in (*plan.study, *plan.where):
            sql += f" AND {condition}"
            values += bound
        if what != "count(*)":
            sql += f" ORDER BY {_ORDER[plan.level]}" + (f" LIMIT {most}" if most else "")
        return self._runner.rows(sql, values)


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def _rows(session: Session, level: Level, ids: list[int]) -> list[SearchMatch]:
    """The rows of the index with these ids, in their order."""
    found: dict[int, SearchMatch] = {}
    for some in batches(ids, _STEP):
        if level == "study":
            found |= {
                study.id: SearchMatch(study) for study in session.scalars(select(Study).where(Study.id.in_(some)))
            }
        elif level == "series":
            pairs = select(Study, Series).join(Series, Series.study_pk == Study.id).where(Series.id.in_(some))
            found |= {series.id: SearchMatch(study, series) for study, series in session.execute(pairs)}
        else:
            triples = select(Study, Series, Instance).join(Series, Series.study_pk == Study.id)
            triples = triples.join(Instance, Instance.series_pk == Series.id).where(Instance.id.in_(some))
            found |= {
                instance.id: SearchMatch(study, series, instance)
                for study, series, instance in session.execute(triples)
            }
    return [found[pk] for pk in ids if pk in found]


def representative(session: Session, row: SearchMatch) -> Instance | None:
    """The object whose header represents this row, as in `query`: the instance, or the first one of the first
    series."""
    if row.instance is not None:
        return row.instance
    chosen = select(Instance).join(Series, Series.id == Instance.series_pk)
    if row.series is not None:
        chosen = chosen.where(Series.id == row.series.id)
    else:
        chosen = chosen.where(Series.study_pk == row.study.id)
    return session.scalar(chosen.order_by(Series.id, Instance.instance_number, Instance.id).limit(1))


def columns_model(row: SearchMatch) -> Model:
    """The values of the columns, as DICOM JSON Model."""
    model = _of(row.study, columns.STUDY)
    model[columns.MODALITIES] = attribute("CS", *row.study.modalities.split("\\"))
    model[columns.SOP_CLASSES] = attribute("UI", *row.study.sop_classes.split("\\"))
    if row.series is not None:
        model |= _of(row.series, {path: c for path, c in columns.SERIES.items() if "." not in path})
        model[columns.REQUEST] = _requests(row.series.scheduled_step_id, row.series.requested_procedure_id)
    if row.instance is not None:
        model |= _of(row.instance, columns.INSTANCE)
        for tag in columns.IMAGE:
            if model[tag].get("Value") == [0]:  # there is no such value
                del model[tag]
    return model


def _of(thing: Any, where: dict[str, Any]) -> Model:
    model: Model = {}
    for tag, column in where.items():
        value = getattr(thing, column.key)
        vr = vr_of(tag)
        if isinstance(value, str) and "\\" in value:
            model[tag] = attribute(vr, *value.split("\\"))
        elif vr == "DS" and isinstance(value, str):
            model[tag] = _decimal(value)
        else:
            model[tag] = attribute(vr, value)
    return model


def _requests(steps: str, procedures: str) -> Model:
    """Request Attributes Sequence from the two columns, which have a value for each item."""
    if not steps and not procedures:
        return {"vr": "SQ"}
    pairs = itertools.zip_longest(steps.split("\\"), procedures.split("\\"), fillvalue="")
    items = [{"00400009": attribute("SH", step), "00401001": attribute("SH", procedure)} for step, procedure in pairs]
    return {"vr": "SQ", "Value": items}


def _decimal(value: str) -> Model:
    try:
        return attribute("DS", float(value)) if value else {"vr": "DS"}
    except ValueError:
        return {"vr": "DS"}
