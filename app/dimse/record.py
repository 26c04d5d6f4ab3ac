"""Operations of an association: its one log line, and its entries in the transfer log (NET-9)."""

import time
from collections import Counter
from dataclasses import dataclass, field

from app.db import Database
from app.dimse.services import Agreed
from app.kit.phrases import NOTHING, Phrase
from app.network import commands
from app.nodes import operation_log
from app.nodes.operation_log import Result


@dataclass(slots=True)
class OperationSummary:
    """All operations of one kind of an association together. statuses: how often each; status, words: of the last
    that was not plain success; objects: stored, found or sent well; warned and failed: the others."""

    kind: str
    status: int = commands.SUCCESS
    objects: int = 0
    warned: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    words: Phrase = NOTHING
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def result(self) -> Result:
        """The worst of them."""
        if any(_is_failure(status) for status in self.statuses) or self.failed:
            return "failure"
        if any(_is_warning(status) for status in self.statuses) or self.warned:
            return "warning"
        return "cancelled" if commands.CANCELLED in self.statuses else "success"

    def __str__(self) -> str:
        done = ", ".join(f"{n} with {s:04X}" for s, n in sorted(self.statuses.items()))
        rest = ((self.objects, "objects"), (self.failed, "failed"), (self.bytes, "bytes"))
        return ", ".join([f"{self.kind} {done}", *(f"{n} {what}" for n, what in rest if n)])


def _is_warning(status: int) -> bool:
    return status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116)


def _is_failure(status: int) -> bool:
    return not (status in (commands.SUCCESS, commands.CANCELLED) or _is_warning(status) or status & 0xFF00 == 0xFF00)


@dataclass(slots=True)
class Deeds:
    """Of one association."""

    kinds: dict[str, OperationSummary] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def add(self, kind: str, status: int, seconds: float, words: Phrase = NOTHING, size: int = 0) -> OperationSummary:
        """One operation more; the caller adds objects, warned and failed."""
        deed = self.kinds.get(kind)
        if deed is None:
            deed = self.kinds[kind] = OperationSummary(kind)
        deed.statuses[status] += 1
        deed.seconds += seconds
        deed.bytes += size
        if status != commands.SUCCESS:
            deed.status, deed.words = status, words
        return deed

    def __str__(self) -> str:
        return "; ".join(map(str, self.kinds.values())) or "nothing asked"

    def log_operations(self, database: Database, agreed: Agreed) -> None:
        """Writes them into the transfer log."""
        for deed in self.kinds.values():
            operation_log.log_operation(
                database,
                operation_log.Operation(
                    deed.kind,
                    "scp",
                    agreed.admission.node_name or agreed.calling,
                    deed.result,
                    title=agreed.calling,
                    called=agreed.called,
                    address=agreed.address,
                    node_id=agreed.admission.node_id,
                    facility_id=agreed.source.facility_id,
                    status=deed.status,
                    objects=deed.objects,
                    warned=deed.warned,
                    failed=deed.failed,
                    bytes=deed.bytes,
                    seconds=deed.seconds,
                    words=deed.words,
                ),
            )
