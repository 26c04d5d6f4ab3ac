"""Whether the trail is as it was written: every row fits the one before, none is missing at either end."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import head
from app.audit.models import AuditEvent
from app.audit.trail import digest_of
from app.db import Database
from app.kit.phrases import NOTHING, Phrase, phrase


@dataclass(frozen=True, slots=True)
class Verification:
    """rows: how many were read; first_broken: the id of the first row that was changed, or that follows a gap; None
    also when only the end is missing; reason: what is wrong, empty when nothing is."""

    rows: int
    first_broken: int | None = None
    reason: Phrase = NOTHING

    @property
    def intact(self) -> bool:
        return not self.reason


def verify(session: Session, keys: Path | None = None) -> Verification:
    """Walks the chain. keys: the key folder, whose note of the last start is compared too."""
    end = head.find(session)
    if end is None:
        return Verification(0, None, phrase("The record of the end of the trail is missing."))
    if end.mac and not head.is_intact(session, end):
        return Verification(0, None, phrase("The record of the end of the trail was changed."))
    try:
        anchor = head.read_anchor(keys, head.key_of(session)) if keys else None
    except (ValueError, KeyError, OSError):
        return Verification(0, None, phrase("The note of the trail in the key folder was changed."))
    if anchor is not None and (not end.mac or anchor.keyed_after != end.keyed_after):
        return Verification(0, None, phrase("The record of the end of the trail was changed."))
    rows, last = 0, head.START
    for event in _rows(session):
        if event.previous != last:
            return Verification(rows, event.id, phrase("Entries before this one are missing."))
        key = None if event.id <= end.keyed_after else head.key_of(session)
        if digest_of(event, key) != event.digest:
            return Verification(rows, event.id, phrase("This entry was changed."))
        rows, last = rows + 1, event.digest
        if anchor is not None and rows == anchor.rows and last != anchor.digest:
            return Verification(
                rows, event.id, phrase("The trail was replaced: it differs from the one at the last start.")
            )
    if rows != end.rows or last != end.digest or (anchor is not None and rows < anchor.rows):
        missing = max(end.rows, anchor.rows if anchor else 0) - rows
        return Verification(rows, None, phrase("The last {count} entries are missing.", count=missing))
    return Verification(rows)


def _rows(session: Session) -> Iterator[AuditEvent]:
    query = select(AuditEvent).order_by(AuditEvent.id).execution_options(yield_per=1000)
    for part in session.scalars(query).partitions():
        yield from part
        for event in part:
            session.expunge(event)


def begin(database: Database, keys: Path) -> str:
    """At a start: signs a chain that a version without keys has left, checks its end against the note of the last start
    in the key folder, and notes the present one. Answers what is wrong, which does not keep anybody from working."""
    with database.write() as session:
        end = head.current(session)
        key = head.key_of(session)
        try:
            anchor = head.read_anchor(keys, key)
        except (ValueError, KeyError, OSError):
            return phrase("The note of the trail in the key folder was changed.")
        if anchor is None:
            if not end.mac:
                head.seal(session, end)
        else:
            kept = session.scalar(select(AuditEvent.id).where(AuditEvent.digest == anchor.digest))
            if end.rows < anchor.rows or (anchor.rows and kept is None) or anchor.keyed_after != end.keyed_after:
                return phrase(
                    "The audit trail differs from its state at the last start: entries were removed or changed."
                )
        if not head.is_intact(session, end):
            return phrase("The record of the end of the trail was changed.")
        head.write_anchor(keys, key, end)
    return ""
