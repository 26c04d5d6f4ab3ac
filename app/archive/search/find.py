"""C-FIND over the archive (PS3.4 C.4.1): the answers of a query as rows in chunks, each chunk read in a transaction of its
own.

Nothing is kept open while a peer reads: a query of a million answers costs one chunk of memory. Attributes without a
column come from the kept header of one object. What matches is decided by `query`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from app.archive.search.chunks import CandidateStudies, candidate_studies, read
from app.archive.search.columns import Level
from app.archive.search.keys import BadQuery, check, is_supported
from app.archive.search.plans import SqlRunner
from app.archive.search.query import Plan, Row, SearchQuery, passing_rows, with_headers
from app.db import Database
from app.dicom.matching import Key, is_universal
from app.security import Actor

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["BadQuery", "Chunk", "Finding"]


@dataclass(slots=True)
class Chunk:
    """rows: the values of `Finding.paths`, in their order; headers: for each row the value in its object's header,
    where a key requires it."""

    rows: list[Row]
    headers: "list[Dataset] | None" = None


class Finding:
    """One query. paths: the attributes of `Chunk.rows` (`0020000D`, `00400275`); header_tags: those from headers;
    unsupported: a key was asked for that this level does not know. Raises BadQuery, TooLarge."""

    def __init__(
        self, actor: Actor, level: Level, keys: Sequence[Key], *, fuzzy: bool = False, combined: bool = False
    ) -> None:
        for key in keys:
            check(key)
        self._actor = actor
        self._query = SearchQuery(level, keys, fuzzy=fuzzy, combined=combined)
        known = self._query.known
        asked = dict.fromkeys(key.path[0] for key in keys)
        self.paths = tuple(tag for tag in asked if tag in known)
        self.header_tags = [tag for tag in asked if tag not in known and self._query.header_has(tag)]
        self.unsupported = bool(self._query.unsupported) or any(
            ".".join(key.path) not in known and key.path[0] not in (*known, *self.header_tags)
            for key in keys
            if not key.value or is_universal(key) or not is_supported(key)
        )

    def chunks(self, database: Database) -> Iterator[Chunk]:
        """All matches this actor may see, newest first as far as that costs nothing. Raises Unavailable."""
        with database.read() as session:
            runner = SqlRunner(session)
            try:
                answered = [self._query.known[path] for path in self.paths]
                plan = self._query.compile(runner, self._actor, answered, self.header_tags)
                ids = [] if plan.asked.empty else candidate_studies(runner, plan.asked)
            finally:
                runner.close()
        if ids != []:
            for rows in CandidateStudies(database, plan, ids).chunks():
                yield from self._checked(database, plan, rows)

    def _checked(self, database: Database, plan: Plan, rows: list[Row]) -> Iterator[Chunk]:
        """The rows that match, without the leading id and the helper columns behind."""
        reader = partial(read, database)
        rows = passing_rows(plan, rows, reader)
        if not rows:
            return
        width = len(self.paths) + 1
        if not plan.header_numbers:
            yield Chunk([row[1:width] for row in rows])
        elif found := list(with_headers(plan, rows, reader)):
            yield Chunk([row[1:width] for row, _ in found], [header for _, header in found])
