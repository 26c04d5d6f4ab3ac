"""C-FIND over the archive (PS3.4 C.4.1): what a query asks, as rows in chunks, each chunk read in a transaction of its own.

Nothing is kept open while a peer reads: a query of a million answers costs one chunk of memory. Studies are found by the
plans of the study list where those name few, else walked by their ids (or by date where dates are asked); series and
instances follow from their studies. Attributes without a column come from the kept header of one object."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.archive.search import columns, levels
from app.archive.search.chunks import Plan, Row, Rows, driven, read
from app.archive.search.columns import Level
from app.archive.search.keys import BadQuery, Test, both, check, is_supported, is_universal, narrow
from app.archive.search.plans import Runner
from app.archive.search.studies import ask, exists_below
from app.db import Database
from app.dicom import dicomjson, names, picking
from app.dicom.matching import Key, matches
from app.security import Actor

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["BadQuery", "Chunk", "Finding"]

_PAIRS = (("00080020", "00080030"), ("00080021", "00080031"), ("00080023", "00080033"), ("00400244", "00400245"))
_REQUEST_PARTS = ((), *((part,) for part in columns.REQUEST_PARTS))  # of it, the columns know these
_FOLDED = frozenset(("00100020", "00081030"))  # whose single values the study list compares without case and accents


@dataclass(slots=True)
class Chunk:
    """rows: the values of `Finding.paths`, in their order; headers: for each row what its object's header says, where a
    key asked for it."""

    rows: list[Row]
    headers: "list[Dataset] | None" = None


class Finding:
    """One query. paths: the attributes of `Chunk.rows` (`0020000D`, `00400275`); header_tags: those that the headers
    tell; unsupported: a key was asked for that this level does not know. Raises BadQuery, TooLarge."""

    def __init__(
        self, actor: Actor, level: Level, keys: Sequence[Key], *, fuzzy: bool = False, combined: bool = False
    ) -> None:
        self._actor, self._level, self._fuzzy = actor, level, fuzzy
        known = columns.of_level(level)
        self.unsupported = False
        self.header_tags: list[str] = []
        self._study_keys: list[Key] = []
        self._own_keys: list[Key] = []
        self._below: list[Key] = []
        self._header_keys: list[Key] = []
        request = [key for key in keys if key.path[0] == columns.REQUEST]
        two = sum(not is_universal(key) for key in request) > 1  # one item must meet both: its header tells
        if two or any(key.path[1:2] not in _REQUEST_PARTS for key in request):
            known = {path: column for path, column in known.items() if path[:8] != columns.REQUEST}
        self._known = known
        paths: dict[str, None] = {}
        for key in keys:
            check(key)
            path = ".".join(key.path)
            if key.path[0] in known:
                paths[key.path[0]] = None
            elif level != "patient" and not int(key.path[0][:4], 16) & 1 and levels.speaks_for(key.path[0], level):
                self.header_tags.append(key.path[0])
            self._sort(key, path)
        self.paths = tuple(paths)
        self.header_tags = list(dict.fromkeys(self.header_tags))
        self._header_numbers = [int(tag, 16) for tag in self.header_tags]
        self._combined = self._pairs(keys) if combined else []

    def _sort(self, key: Key, path: str) -> None:
        """Where a key is matched."""
        known = self._known
        if is_universal(key) or not is_supported(key):
            if path not in known and key.path[0] not in (*known, *self.header_tags):
                self.unsupported = True
            self.unsupported |= not is_universal(key)
        elif path in columns.of_level("study"):
            self._study_keys.append(key)
        elif path in known:
            self._own_keys.append(key)
        elif path in columns.below(self._level) and key.vr not in ("PN", "TM", "DT"):
            self._below.append(key)
        elif key.path[0] in self.header_tags:
            self._header_keys.append(key)
        else:
            self.unsupported = True

    def _pairs(self, keys: Sequence[Key]) -> list[tuple[Key, Key]]:
        """Dates and times that are one range together; their times are then no keys of their own."""
        by_path = {".".join(key.path): key for key in keys}
        found = []
        for day, clock in _PAIRS:
            one, other = by_path.get(day), by_path.get(clock)
            if one is None or other is None or day not in self._known:
                continue
            if "-" in one.value and other.value:
                found.append((one, other))
                self._study_keys = [k for k in self._study_keys if k is not other]
                self._own_keys = [k for k in self._own_keys if k is not other]
        return found

    def chunks(self, database: Database) -> Iterator[Chunk]:
        """All matches this actor may see, newest first as far as that costs nothing. Raises Unavailable."""
        with database.read() as session:
            runner = Runner(session)
            try:
                plan = self._compile(runner)
                ids = [] if plan.asked.empty else driven(runner, plan.asked)
            finally:
                runner.close()
        if ids != []:
            for rows in Rows(database, plan, ids).chunks():
                yield from self._checked(database, rows)

    # the plan

    def _compile(self, runner: Runner) -> Plan:
        asked, again = ask(runner, self._actor, self._study_keys, self._fuzzy)
        known = self._known
        plan = Plan(self._level, asked, runner.postgresql, reads_headers=bool(self.header_tags))
        plan.columns = [known[path] for path in self.paths]
        self._tests: list[tuple[tuple[int, ...], Callable[..., bool]]] = []
        for key in again:
            path = ".".join(key.path)
            if path in known and (test := narrow(path, "x", key, self._fuzzy).test) is not None:
                self._test(plan, known[path], test)
            elif path in known and path in _FOLDED:
                self._test(plan, known[path], _exactly(key))
        for key in self._own_keys:
            self._own(plan, key, ".".join(key.path))
        for key in self._below:
            self._there_is(plan, key, ".".join(key.path))
        for day, clock in self._combined:
            pair = [known[".".join(key.path)] for key in (day, clock)]
            self._tests.append((tuple(_place(plan, column) for column in pair), both(day, clock)))
        return plan

    def _own(self, plan: Plan, key: Key, path: str) -> None:
        """A key on a series or instance column; UIDs lead to their studies."""
        found = narrow(path, self._known[path], key, self._fuzzy)
        plan.where.append((found.sql, found.values))
        if found.test is not None:
            self._test(plan, self._known[path], found.test)
        table = {"0020000E": "series", "00080018": "instance"}.get(path)
        if table is None or not found.values:
            return
        if table == "instance":
            plan.uids = list(found.values)
        column = "series_instance_uid" if table == "series" else "sop_instance_uid"
        marks = ", ".join("?" * len(found.values))
        sql = f"SELECT study_pk AS id FROM {table} WHERE {column} IN ({marks})"
        plan.asked.drivers.insert(0, (sql, list(found.values)))

    def _there_is(self, plan: Plan, key: Key, path: str) -> None:
        """A key of a lower level: something below must have it."""
        column = columns.below(self._level)[path]
        found, driver = exists_below(self._level, path, column, key, self._fuzzy)
        if self._level == "series":
            plan.where.append((found.sql, found.values))
            return
        plan.asked.add(found.sql, *found.values)
        if driver is not None:
            plan.asked.drivers.insert(0, driver)

    def _test(self, plan: Plan, column: str, test: Test) -> None:
        self._tests.append(((_place(plan, column),), test))

    # what was read

    def _checked(self, database: Database, rows: list[Row]) -> Iterator[Chunk]:
        """The rows that pass the tests, without the id in front and what stands behind."""
        for places, test in self._tests:
            if len(places) == 1:
                place = places[0] + 1
                rows = [row for row in rows if test(row[place])]
            else:
                rows = [row for row in rows if test(*(row[place + 1] for place in places))]
        if not rows:
            return
        width = len(self.paths) + 1
        if not self.header_tags:
            yield Chunk([row[1:width] for row in rows])
            return
        raw = self._headers(database, rows)
        found: list[tuple[Row, Dataset]] = []
        for row in rows:
            header = self._header(raw.get(row[-1] or -1))
            if not self._header_keys or self._says(header):
                found.append((row[1:width], header))
        if found:
            yield Chunk([row for row, _ in found], [header for _, header in found])

    def _headers(self, database: Database, rows: list[Row]) -> dict[int, bytes]:
        listed = ", ".join(str(int(row[-1])) for row in rows if row[-1] is not None) or "-1"
        sql = f"SELECT instance_pk, raw FROM instance_header WHERE instance_pk IN ({listed})"
        return {int(pk): bytes(raw) for pk, raw in read(database, sql)}

    def _header(self, raw: bytes | None) -> "Dataset":
        """The wanted attributes of a kept header."""
        from pydicom.dataset import Dataset

        return picking.pick(raw, self._header_numbers) if raw is not None else Dataset()

    def _says(self, header: "Dataset") -> bool:
        return matches(dicomjson.to_json(header), self._header_keys, fold=names.fold, fuzzy=self._fuzzy)


def _place(plan: Plan, column: str) -> int:
    """The position of a column in the rows as they are read; added behind where nobody asked for it."""
    if column not in plan.columns:
        plan.columns.append(column)
    return plan.columns.index(column)


def _exactly(key: Key) -> Test:
    """The study list ignores case and accents of ids and descriptions, C-FIND does not."""
    wanted = {part.strip() for part in key.value.split("\\")}
    return lambda value: value in wanted
