"""Derivation of the objects that are sent in place of stored ones: a copy without identity, or with attributes changed.
The stored one is only read."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from pydicom.dataset import Dataset

from app.config import Config
from app.db.keys import derive as derive_key
from app.deid.files import OpenedFile, anonymize, rewrite
from app.deid.profile import resolve
from app.deid.pseudonym import Pseudonyms
from app.deid.service import UID_KEY
from app.deid.walker import EditCounts
from app.dicom.lookup import parse
from app.routing import changing
from app.routing.rule import Action, Anonymize, AttributeChange, Changes, Send

Step = Anonymize | Changes
_IN_MEMORY = 8 << 20  # bytes; a larger intermediate lies in a temporary file


@dataclass(frozen=True, slots=True)
class Leaving:
    """One `send` of a route and the steps before it. number: which of the route's different forms of an object that is,
    0 for the object as it is stored."""

    send: Send
    steps: tuple[Step, ...]
    number: int


def send_actions(actions: Sequence[Action]) -> list[Leaving]:
    """Send actions of a route, in order."""
    steps: tuple[Step, ...] = ()
    found = []
    for action in actions:
        if isinstance(action, Anonymize | Changes):
            steps = (*steps, action)
        elif isinstance(action, Send):
            found.append(Leaving(action, steps, len(steps)))
    return found


@dataclass(slots=True)
class Maker:
    """Makes the objects of one run. tally: what de-identification did, for the report and the cross-reference."""

    config: Config
    steps: tuple[Step, ...]
    tally: EditCounts = field(default_factory=EditCounts)

    def write(self, source: BinaryIO, out: BinaryIO) -> Dataset:
        """One object through every step into `out`; its header. Raises CannotClean."""
        current, header = source, None
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as one, tempfile.SpooledTemporaryFile(_IN_MEMORY) as other:
            for number, step in enumerate(self.steps):
                last = number == len(self.steps) - 1
                target = out if last else (one, other)[number % 2]
                if not last:
                    target.seek(0)
                    target.truncate()
                header = self._step(step, current, target)  # type: ignore[arg-type]
                current = target  # type: ignore[assignment]
                if not last:
                    current.seek(0)
        assert header is not None
        return header

    def _step(self, step: Step, source: BinaryIO, out: BinaryIO) -> Dataset:
        if isinstance(step, Anonymize):
            pseudonyms = Pseudonyms(derive_key(self.config, UID_KEY), step.project)
            header, tally = anonymize(source, out, resolve(step.profile, step.options), pseudonyms)
            self.tally.add(tally)
            return header
        return rewrite(source, out, partial(edit, step.changes))


def edit(changes: Sequence[AttributeChange], opened: OpenedFile) -> None:
    """The changes, in order; attributes behind the pixels are changed and removed there."""
    for change in changes:
        target = opened.tail if parse(change.tag)[0].tag > 0x7FE0FFFF else opened.ds
        changing.apply(target, change.op, change.tag, change.value, change.find, change.source)
