"""Several prints ordered in one request, one for each patient: all are queued or none.

A client that sends a key can repeat the request without a second order: within a day, the prints that were queued under this
key by this user are returned."""

import hashlib
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy.orm import Session

from app.config import Config
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
        """Of what is ordered; without the passwords, which are stored sealed only."""
        text = "\n".join(one.model_dump_json(exclude={"password"}) for one in self.prints)
        return hashlib.sha256(text.encode()).hexdigest()


def request(session: Session, actor: Actor, config: Config, batch: PrintBatch) -> tuple[list[PrintRow], bool]:
    """Queues every print of the batch in the caller's transaction, or none. Returns the prints in the order of the batch, and
    whether they had been queued before under the same key.

    Raises PrintsRefused, which lists each refused print; for a batch of one the fault of this print itself. Raises TooMany
    where the queue of the user has no place for all, Conflict for a key that was used for other prints."""
    require(actor, Verb.STUDY_PRINT)
    if batch.key and (queued := _queued(session, actor, batch)):
        return queued, True
    checked: list[service.Checked] = []
    faults: dict[int, AppError] = {}
    for index, order in enumerate(batch.prints):
        try:
            checked.append(service.check(session, actor, order))
        except AppError as fault:
            faults[index] = fault
    if faults:
        raise _refusal(faults, len(batch.prints))
    service.check_quota(session, actor, len(checked))
    mark = {"key": batch.key, "digest": batch.digest} if batch.key else None
    return [service.add(session, actor, config, one, mark) for one in checked], False


def _queued(session: Session, actor: Actor, batch: PrintBatch) -> list[PrintRow]:
    """The prints that were queued under the key of the batch, in its order."""
    found = queries.of_batch(session, actor, batch.key or "", now() - KEY_LIFETIME)
    if any(row.request.options["batch"]["digest"] != batch.digest for row in found):
        raise Conflict("This key was used for other prints.", hint="Send a new key.", field="key")
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
