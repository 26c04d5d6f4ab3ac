"""Attribute matching (PS3.4 C.2.2.2) over the index: the one engine of QIDO-RS (`pages`) and C-FIND (`find`).

A `SearchQuery` decides for each key where it is matched: on the columns of a study, on those of the level asked for and those
above it, on objects below it (one of them must match), or in the stored header of the object that represents the row.
`compile` makes a `Plan` of it: conditions that an index answers (`studies`), further conditions in SQL, and tests of
the values that SQL cannot decide. `passing_rows` and `with_headers` apply those tests to rows that were read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.archive.search import columns, levels
from app.archive.search.columns import REQUEST, REQUEST_COLUMN, REQUEST_PARTS, Level
from app.archive.search.keys import Narrow, Test, column_condition, combined_range, is_supported, narrow_request
from app.archive.search.plans import Bound, CompiledFilter, SqlRunner
from app.archive.search.studies import MODALITY, add_modality, exists_below, narrow_studies, on_column
from app.dicom import dicomjson, names, picking
from app.dicom.matching import Key, is_universal, matches
from app.security import Actor

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Row = tuple[Any, ...]
Read = Callable[[str, Sequence[Any]], list[Row]]

_PAIRS = (("00080020", "00080030"), ("00080021", "00080031"), ("00080023", "00080033"), ("00400244", "00400245"))
_PARTS = tuple((part,) for part in REQUEST_PARTS)  # of the Request Attributes Sequence, the columns know these
_UNIQUE = {"0020000E": ("series", "series_instance_uid"), "00080018": ("instance", "sop_instance_uid")}

# The object whose header represents a row: the first of the first series.
_SPEAKER: dict[Level, str] = {
    "study": "(SELECT h.id FROM series g JOIN instance h ON h.series_pk = g.id WHERE g.study_pk = s.id "
    "ORDER BY g.id, h.instance_number, h.id LIMIT 1)",
    "series": "(SELECT h.id FROM instance h WHERE h.series_pk = r.id ORDER BY h.instance_number, h.id LIMIT 1)",
    "instance": "i.id",
}


@dataclass(frozen=True, slots=True)
class Below:
    """A test of values below a row. sql: SELECT of the row's id and the values, `{ids}` for the ids that are asked."""

    sql: str
    values: list[Any]
    test: Callable[..., bool]


@dataclass(slots=True)
class Plan:
    """asked: what an index knows of the studies; study: further conditions on s; where: those on r and i; uids: instances
    asked for by their UIDs; columns: what is read behind the id, in order; tests: places in `columns` with a test of their
    values; header_keys: matched in the header of the object that speaks, whose id is then read as the last column."""

    level: Level
    asked: CompiledFilter
    fuzzy: bool
    study: list[Bound] = field(default_factory=list)
    where: list[Bound] = field(default_factory=list)
    uids: list[Any] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    tests: list[tuple[tuple[int, ...], Callable[..., bool]]] = field(default_factory=list)
    below: list[Below] = field(default_factory=list)
    header_keys: list[Key] = field(default_factory=list)
    header_numbers: list[int] = field(default_factory=list)

    @property
    def is_decided(self) -> bool:
        """Whether SQL alone decides which rows match."""
        return not self.tests and not self.below and not self.header_keys

    def studies(self) -> Bound:
        """All conditions on s as one."""
        sql, values = self.asked.where()
        more, further = _joined(self.study)
        return sql + more, values + further

    def lower_conditions(self, but: str = "") -> Bound:
        """The conditions below the study as one, without those on the column `but`."""
        return _joined([one for one in self.where if not but or not one[0].startswith(but)])

    def listed(self) -> str:
        """The columns behind the id."""
        listed = "".join(f", {column}" for column in self.columns)
        return f"{listed}, {_SPEAKER[self.level]}" if self.header_numbers else listed

    def needs_patient(self) -> bool:
        return any(column.startswith("p.") for column in self.columns)

    def column_position(self, column: str) -> int:
        """The position of a column among those that are read; appended where it was not requested."""
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)


def _joined(conditions: Sequence[Bound]) -> Bound:
    return "".join(f" AND {sql}" for sql, _ in conditions), [value for _, values in conditions for value in values]


class SearchQuery:
    """Matching keys at a level. known: attribute path -> SQL expression of the value from the columns at this level;
    unsupported: keys that cannot be matched here, and are not."""

    def __init__(self, level: Level, keys: Sequence[Key], *, fuzzy: bool = False, combined: bool = False) -> None:
        self.level, self.fuzzy = level, fuzzy
        if any(key.value != key.value.strip() for key in keys):  # blanks at the ends are not significant (PS3.5 6.2)
            keys = [replace(key, value=key.value.strip()) for key in keys]
        self.known = columns.of_level(level)
        # its header has the value
        if any(key.path[0] == REQUEST and key.path[1:] not in ((), *_PARTS) for key in keys):
            self.known = {path: column for path, column in self.known.items() if path[:8] != REQUEST}
        self.unsupported: list[Key] = []
        self.header_keys: list[Key] = []
        self._study_keys: list[Key] = []
        self._own_keys: list[Key] = []
        self._below_keys: list[Key] = []
        asked = [key for key in keys if key.value and not (is_universal(key) and is_supported(key))]
        request = [key for key in asked if key.path[0] == REQUEST]
        self._request_keys = request if all(key.path[1:] in _PARTS for key in request) else []
        for key in asked:
            if key not in self._request_keys:
                self._assign(key)
        self._pairs = self._paired(keys) if combined else []

    def header_has(self, tag: str) -> bool:
        """Whether the header of one object defines an attribute (8 hex digits) at this level."""
        return self.level != "patient" and not int(tag[:4], 16) & 1 and levels.speaks_for(tag, self.level)

    def _assign(self, key: Key) -> None:
        """Where a key is matched."""
        path = ".".join(key.path)
        if not is_supported(key):
            self.unsupported.append(key)
        elif path in columns.of_level("study"):
            self._study_keys.append(key)
        elif path in self.known:
            self._own_keys.append(key)
        elif path in columns.below(self.level):
            self._below_keys.append(key)
        elif self.header_has(key.path[0]):
            self.header_keys.append(key)
        else:
            self.unsupported.append(key)

    def _paired(self, keys: Sequence[Key]) -> list[tuple[Key, Key]]:
        """Dates and times that are one range together; their times are then no keys of their own."""
        by_path = {".".join(key.path): key for key in keys}
        found = []
        for day, clock in _PAIRS:
            one, other = by_path.get(day), by_path.get(clock)
            if one is None or other is None or day not in self.known:
                continue
            if "-" in one.value and other.value:
                found.append((one, other))
                self._study_keys = [k for k in self._study_keys if k is not other]
                self._own_keys = [k for k in self._own_keys if k is not other]
        return found

    def compile(
        self, runner: SqlRunner, actor: Actor, answered: Sequence[str] = (), header_tags: Sequence[str] = ()
    ) -> Plan:
        """How it is answered for this actor. answered: SQL expressions that are read first; header_tags: attributes that
        the caller wants of the headers."""
        asked, rest = narrow_studies(runner, actor, self._study_keys, self.fuzzy)
        plan = Plan(self.level, asked, self.fuzzy, columns=list(answered), header_keys=self.header_keys)
        tags = dict.fromkeys((*header_tags, *(key.path[0] for key in self.header_keys)))
        plan.header_numbers = [int(tag, 16) for tag in tags]
        self._on_studies(plan, rest)
        for key in self._own_keys:
            self._add_lower_key(plan, key, ".".join(key.path))
        for key in self._below_keys:
            path = ".".join(key.path)
            column = columns.below(self.level)[path]
            if path == MODALITY:
                add_modality(asked, key)
            self._exists(plan, path, column, column_condition(path, column, key, self.fuzzy))
        if self._request_keys:
            found = narrow_request(self._request_keys, self.fuzzy)
            if self.level in ("series", "instance"):
                self._add_own(plan, REQUEST_COLUMN, found)
            else:
                self._exists(plan, REQUEST, REQUEST_COLUMN, found)
        for day, clock in self._pairs:
            pair = [self.known[".".join(key.path)] for key in (day, clock)]
            plan.tests.append((tuple(plan.column_position(column) for column in pair), combined_range(day, clock)))
        return plan

    def _on_studies(self, plan: Plan, keys: Sequence[tuple[Key, bool]]) -> None:
        """Keys of study attributes that no index decides, each with whether one has narrowed it: then only the value is
        tested. Of a patient, one study must meet them all."""
        together: list[tuple[str, Test]] = []
        for key, narrowed in keys:
            path = ".".join(key.path)
            column = columns.of_study()[path]
            for found in on_column(path, column, key, self.fuzzy):
                if found.test is None or not narrowed:
                    plan.study.append((found.sql, found.values))
                if found.test is None:
                    continue
                if path in self.known:
                    plan.tests.append(((plan.column_position(self.known[path]),), found.test))
                else:
                    together.append((column, found.test))
        if together:
            where, values = plan.studies()
            listed, tests = ", ".join(column for column, _ in together), [test for _, test in together]
            sql = f"SELECT s.patient_pk, {listed} FROM study s WHERE s.patient_pk IN ({{ids}}) AND {where}"
            plan.below.append(
                Below(sql, values, lambda *row: all(test(one) for test, one in zip(tests, row, strict=True)))
            )

    def _add_lower_key(self, plan: Plan, key: Key, path: str) -> None:
        """A key on a series or instance column; UIDs lead to their studies."""
        found = column_condition(path, self.known[path], key, self.fuzzy)
        self._add_own(plan, self.known[path], found)
        if path == MODALITY:
            add_modality(plan.asked, key)
        if path not in _UNIQUE or not found.values:
            return
        table, column = _UNIQUE[path]
        if table == "instance":
            plan.uids = list(found.values)
        marks = ", ".join("?" * len(found.values))
        plan.asked.drivers.insert(0, (f"SELECT study_pk AS id FROM {table} WHERE {column} IN ({marks})", found.values))

    def _add_own(self, plan: Plan, column: str, found: Narrow) -> None:
        plan.where.append((found.sql, found.values))
        if found.test is not None:
            plan.tests.append(((plan.column_position(column),), found.test))

    def _exists(self, plan: Plan, path: str, column: str, found: Narrow) -> None:
        """A key of a lower level: something below must have it."""
        condition, driver = exists_below(self.level, path, column, found)
        (plan.where if self.level == "series" else plan.study).append((condition.sql, condition.values))
        if driver is not None:
            plan.asked.drivers.insert(0, driver)
        if found.test is None:
            return
        tables = {"series": "instance i", "study": "series r", "patient": "study s JOIN series r ON r.study_pk = s.id"}
        frm, above = tables[self.level], {"series": "i.series_pk", "study": "r.study_pk", "patient": "s.patient_pk"}
        if self.level != "series" and column.startswith(('i."', "nullif(i.")):
            frm += " JOIN instance i ON i.series_pk = r.id"
        row = above[self.level]
        sql = f"SELECT {row}, {column} FROM {frm} WHERE {row} IN ({{ids}}) AND {found.sql}"
        plan.below.append(Below(sql, found.values, found.test))


def passing_rows(plan: Plan, rows: list[Row], read: Read) -> list[Row]:
    """The rows whose values pass the tests, all but those of headers."""
    for places, test in plan.tests:
        if len(places) == 1:
            place = places[0] + 1
            rows = [row for row in rows if test(row[place])]
        else:
            rows = [row for row in rows if test(*(row[place + 1] for place in places))]
    for below in plan.below:
        if rows:
            ids = ", ".join(str(int(row[0])) for row in rows)
            found = read(below.sql.replace("{ids}", ids), below.values)
            met = {row[0] for row in found if below.test(*row[1:])}
            rows = [row for row in rows if row[0] in met]
    return rows


def with_headers(plan: Plan, rows: Sequence[Row], read: Read) -> Iterator[tuple[Row, "Dataset"]]:
    """The rows whose headers match, each with the wanted attributes of its header."""
    from pydicom.dataset import Dataset

    listed = ", ".join(str(int(row[-1])) for row in rows if row[-1] is not None) or "-1"
    sql = f"SELECT instance_pk, raw FROM instance_header WHERE instance_pk IN ({listed})"
    raw = {int(pk): bytes(kept) for pk, kept in read(sql, ())}
    for row in rows:
        kept = raw.get(row[-1] or -1)
        header = picking.pick(kept, plan.header_numbers) if kept is not None else Dataset()
        if not plan.header_keys or _header_matches(header, plan):
            yield row, header


def _header_matches(header: "Dataset", plan: Plan) -> bool:
    return matches(dicomjson.to_json(header), plan.header_keys, fold=names.fold, fuzzy=plan.fuzzy)
