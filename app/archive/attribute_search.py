"""Search by DICOM attributes at study, series and instance level: the ground of QIDO-RS and C-FIND.

Columns narrow, `dicom.matching` decides where SQL cannot; attributes without a column are looked up in kept headers."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from app.archive import content, queries
from app.archive.models import Instance, Series, Study
from app.archive.search import attribute_columns as columns
from app.archive.search import attribute_plans, walks
from app.archive.search.plans import Runner
from app.dicom import names
from app.dicom.dicomjson import Model, attribute
from app.dicom.matching import EMPTY, Key, alternatives, matches, vr_of
from app.security import Actor

Level = Literal["study", "series", "instance"]
_STEP = 500  # rows looked at in one go where SQL alone cannot decide
MOST_ROWS, MOST_HEADERS = 20_000, 2_000  # looked at for one answer; then it says that there may be more


@dataclass(frozen=True, slots=True)
class Row:
    """One match. series and instance are None above their level."""

    study: Study
    series: Series | None = None
    instance: Instance | None = None


@dataclass(slots=True)
class Found:
    """more: there are further matches behind the last one; given_up: the search stopped before it had seen everything."""

    rows: list[Row] = field(default_factory=list)
    more: bool = False
    given_up: bool = False


def search(
    session: Session,
    actor: Actor,
    level: Level,
    keys: Sequence[Key],
    *,
    fuzzy: bool = False,
    limit: int = 1000,
    offset: int = 0,
) -> Found:
    """Matches this actor may see, newest study first, in an order that stays the same from page to page."""
    where: list[ColumnElement[bool]] = [queries.visible(actor)]
    used: list[Key] = []
    again: list[Key] = []  # keys that SQL has not decided
    for key in keys:
        if key.value == "" or (set(key.value) == {"*"} and key.vr not in ("UI", "DA", "TM", "DT")):
            continue
        used.append(key)
        condition, exact = _condition(level, key, fuzzy)
        if condition is not None:
            where.append(condition)
        if not exact:
            again.append(key)
    query = _query(level, where)
    runner = Runner(session)
    try:
        asked, whole = attribute_plans.narrowed(runner, actor, used, fuzzy)
        if not asked.empty and len(asked.conditions) == (asked.facility is not None) and not asked.drivers:
            parts = None  # no index knows better than the database
        else:
            parts = walks.stream(runner, asked, max(50, min(limit + 1, _STEP)), _STEP)
        if whole and level == "study" and not again and offset:  # what stands before the page is never read
            parts, offset = iter([next(walks.stream(runner, asked, offset + limit + 1), [])[offset:]]), 0
        chosen = _Chosen(session, query, parts)
        if again:
            return _verified(session, chosen, again, fuzzy, limit, offset)
        rows = chosen.page(offset, limit + 1)
        return Found(rows[:limit], len(rows) > limit)
    finally:
        runner.close()


class _Chosen:
    """The rows of a query in order. parts: ids of the studies that can match, newest first; None: any study."""

    def __init__(self, session: Session, query: Any, parts: Iterator[list[int]] | None) -> None:
        self._session, self._query, self._parts = session, query, parts

    def _queries(self) -> Iterator[Any]:
        if self._parts is None:
            yield self._query
            return
        for ids in self._parts:
            yield self._query.where(Study.id.in_(ids))

    def page(self, offset: int, most: int) -> list[Row]:
        rows: list[Row] = []
        for query in self._queries():
            found = [_row(r) for r in self._session.execute(query.limit(most - len(rows)).offset(offset))]
            if found:
                offset = 0
            elif offset:
                counted = select(func.count()).select_from(query.order_by(None).with_only_columns(Study.id).subquery())
                offset -= self._session.scalar(counted) or 0
            rows += found
            if len(rows) >= most:
                break
        return rows

    def __iter__(self) -> Iterator[Row]:
        for query in self._queries():
            for at in itertools.count(0, _STEP):
                step = [_row(r) for r in self._session.execute(query.limit(_STEP).offset(at))]
                yield from step
                if len(step) < _STEP:
                    break


def _condition(level: Level, key: Key, fuzzy: bool) -> tuple[ColumnElement[bool] | None, bool]:
    """What SQL can say of a key, and whether that decides it."""
    if key.value == EMPTY:
        return None, False
    each = [_single(level, replace(key, value=value), fuzzy) for value in alternatives(key)]
    some = [condition for condition, _exact in each if condition is not None]
    return (or_(*some), all(exact for _, exact in each)) if len(some) == len(each) else (None, False)


def _single(level: Level, key: Key, fuzzy: bool) -> tuple[ColumnElement[bool] | None, bool]:
    path = ".".join(key.path)
    if (condition := columns.of_study(key, fuzzy)) is not None:
        return condition
    if level == "study":
        below = columns.below_study(key)
        return below, below is not None
    if path in columns.SERIES:
        return columns.of_column(columns.SERIES[path], key, path)
    if level == "series":
        below = columns.below_series(key)
        return below, below is not None
    return columns.of_column(columns.INSTANCE[path], key, path) if path in columns.INSTANCE else (None, False)


def _query(level: Level, where: list[ColumnElement[bool]]) -> Any:
    newest = (Study.dt.desc(), Study.id.desc())
    if level == "study":
        return select(Study).where(*where).order_by(*newest)
    series_order = (Series.series_number.is_(None), Series.series_number, Series.id)
    if level == "series":
        joined = select(Study, Series).join(Series, Series.study_pk == Study.id)
        return joined.where(*where).order_by(*newest, *series_order)
    joined3 = select(Study, Series, Instance).join(Series, Series.study_pk == Study.id)
    joined3 = joined3.join(Instance, Instance.series_pk == Series.id)
    order = (Instance.instance_number.is_(None), Instance.instance_number, Instance.id)
    return joined3.where(*where).order_by(*newest, *series_order, *order)


def _row(found: Any) -> Row:
    return Row(*found)


def _verified(session: Session, chosen: _Chosen, keys: list[Key], fuzzy: bool, limit: int, offset: int) -> Found:
    found, skipped, headers = Found(), 0, 0
    for seen, row in enumerate(chosen, 1):
        model = columns_model(row)
        missing = [key for key in keys if key.path[0] not in model]
        if missing:
            headers += 1
            model = {**header_model(session, row), **model}
        if matches(model, keys, fold=names.fold, fuzzy=fuzzy):
            if skipped < offset:
                skipped += 1
            elif len(found.rows) == limit:
                found.more = True
                return found
            else:
                found.rows.append(row)
        if seen >= MOST_ROWS or headers >= MOST_HEADERS:
            found.given_up = True
            return found
    return found


def representative(session: Session, row: Row) -> Instance | None:
    """The object whose header speaks for this row: the instance, or the first one of the series or study."""
    if row.instance is not None:
        return row.instance
    query = select(Instance)
    if row.series is not None:
        query = query.where(Instance.series_pk == row.series.id).order_by(Instance.instance_number, Instance.id)
    else:
        query = query.where(Instance.study_pk == row.study.id).order_by(Instance.id)
    return session.scalar(query.limit(1))


def header_model(session: Session, row: Row) -> Model:
    """The header as DICOM JSON of the row's representative; {} where there is none."""
    instance = representative(session, row)
    return content.dicom_json(session, instance) if instance is not None else {}


def columns_model(row: Row) -> Model:
    """What the columns know, as DICOM JSON Model."""
    model = _of(row.study, columns.STUDY)
    model["00080061"] = attribute("CS", *row.study.modalities.split("\\"))
    model["00080062"] = attribute("UI", *row.study.sop_classes.split("\\"))
    if row.series is not None:
        model |= _of(row.series, {path: c for path, c in columns.SERIES.items() if "." not in path})
        model["00400275"] = _requests(row.series.scheduled_step_id, row.series.requested_procedure_id)
    if row.instance is not None:
        model |= _of(row.instance, columns.INSTANCE)
        if not row.instance.number_of_frames:  # 0 and 0 x 0 say that there is no image
            for tag in ("00280008", "00280010", "00280011", "00280100"):
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
