"""Several prints ordered in one request, one for each patient: all are queued or none.

A client that sends a key can repeat the request without a second order: within a day, the prints that were queued under this
key by this user are returned."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy.orm import Session

from app.config import Config
from app.db import Database
from app.db.keys import derive
from app.kit.clock import now
from app.kit.errors import AppError, Conflict
from app.kit.phrases import phrase
from app.printing import load, queries, service
from app.printing.errors import PrintsRefused
from app.printing.order import MAX_ITEMS, PrintOrder
from app.printing.queries import PrintRow
from app.security import Actor, Verb, require

MAX_PRINTS = 100
KEY_LIFETIME = timedelta(days=1)


class PrintBatch(BaseModel):
    """prints: orders that are queued together or not at all; key: makes a repeated request harmless."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prints: list[PrintOrder] = Field(min_length=1, max_length=MAX_PRINTS)
    key: str | None = Field(default=None, min_length=16, max_length=64, pattern=r"^[A-Za-z0-9-]+$")

    @field_validator("prints", mode="before")
    @classmethod
    def _prints(cls, prints: Any) -> Any:
        """The bound on annotations holds for the batch as it does for one order."""
        if isinstance(prints, list):
            loads = [load.of_items(one.get("items")) for one in prints if isinstance(one, dict)]
            load.Load(sum(one.points for one in loads), sum(one.texts for one in loads)).check(load.OF_ORDER)
        return prints

    @model_validator(mode="after")
    def _not_too_many(self) -> "PrintBatch":
        if sum(len(one.items or ()) for one in self.prints) > MAX_ITEMS:
            raise ValueError(phrase("The maximum is {most} images.", most=MAX_ITEMS))
        return self

    @property
    def digest(self) -> str:
        """Of what is ordered, without the passwords: `_mark`."""
        text = "\n".join(one.model_dump_json(exclude={"password"}) for one in self.prints)
        return hashlib.sha256(text.encode()).hexdigest()


def order(database: Database, actor: Actor, config: Config, batch: PrintBatch) -> tuple[list[PrintRow], bool]:
    """Queues every print of the batch, or none. Returns the prints in the order of the batch, and whether they had been
    queued before under the same key. Everything that takes long is done before the write lock is taken.

    Raises PrintsRefused, which lists each refused print; for a batch of one the fault of this print itself. Raises TooMany
    where the queue of the user has no place for all, Conflict for a key that was used for other prints, with other
    passwords, or for prints that were deleted since."""
    require(actor, Verb.STUDY_PRINT)
    mark = _mark(config, batch)
    with database.read() as session:
        if queued := _queued(session, actor, batch, mark):
            return queued, True
        service.check_quota(session, actor, len(batch.prints))
        checked = _checked(session, actor, batch)
    with database.change() as session:
        if queued := _queued(session, actor, batch, mark):
            return queued, True
        service.check_quota(session, actor, len(checked))
        owners = queries.owners(session, {uid for one in checked for uid in one.chosen.found})
        if any(not one.holds(owners) for one in checked):
            checked = _checked(session, actor, batch)  # an image was deleted, moved or corrected just now
        return [service.add(session, actor, config, one, mark) for one in checked], False


def _checked(session: Session, actor: Actor, batch: PrintBatch) -> list[service.Checked]:
    checked: list[service.Checked] = []
    faults: dict[int, AppError] = {}
    for index, one in enumerate(batch.prints):
        try:
            checked.append(service.check(session, actor, one))
        except AppError as fault:
            faults[index] = fault
    if faults:
        raise _refusal(faults, len(batch.prints))
    return checked


def _mark(config: Config, batch: PrintBatch) -> dict[str, str] | None:
    """The mark stored with each print of a batch that has a key. passwords: a digest with a secret of the installation,
    which tells nothing without it, and differs by key for the same passwords."""
    if not batch.key:
        return None
    words = json.dumps([batch.key, *(one.password for one in batch.prints)])
    passwords = hmac.new(derive(config, "print batch passwords"), words.encode(), hashlib.sha256).hexdigest()
    return {"key": batch.key, "digest": batch.digest, "passwords": passwords}


def _queued(session: Session, actor: Actor, batch: PrintBatch, mark: dict[str, str] | None) -> list[PrintRow]:
    """The prints that were queued under the key of the batch, in its order."""
    if mark is None:
        return []
    since = now() - KEY_LIFETIME
    found = queries.of_batch(session, actor, mark["key"], since)
    marks = [row.request.options["batch"] for row in found]
    marks += queries.marks_of_jobs(session, actor, service.KIND, mark["key"], since)
    if any(one["digest"] != mark["digest"] for one in marks):
        raise Conflict("This key was used for other prints.", hint="Send a new key.", field="key")
    if any(one.get("passwords", mark["passwords"]) != mark["passwords"] for one in marks):
        raise Conflict(
            "These prints were queued already with another password.",
            hint="See the print queue. To print them again, send a new key.",
            field="key",
        )
    if marks and len(found) < len(batch.prints):
        raise Conflict(
            "These prints were queued already, and have been deleted since.",
            hint="To print them again, send a new key.",
            field="key",
        )
    return found


def _refusal(faults: dict[int, AppError], many: int) -> AppError:
    if many == 1:
        return faults[0]
    fields = {index: f"prints.{index}.{fault.extra.get('field') or ''}".rstrip(".") for index, fault in faults.items()}
    return PrintsRefused(
        phrase("Nothing was printed: {count} of {many} prints cannot be printed.", count=len(faults), many=many),
        hint="Correct or remove the prints listed, then print again.",
        field=next(iter(fields.values())),
        errors=[{"field": fields[index], "message": fault.message} for index, fault in faults.items()],
    )
