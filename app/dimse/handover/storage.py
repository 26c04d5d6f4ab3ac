"""C-STORE inside an association that was handed over: from pynetdicom's memory into the archive, by the same code as on
the fast path. Objects are limited to what a message may have (app.network.pynet.limits)."""

from typing import Any

from app.dimse.handover.registry import Call, Reply
from app.network import commands
from app.network.receiving import CANNOT_UNDERSTAND, DataSetReceiver


class Storing:
    """The objects of one association."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._receiver: DataSetReceiver | None = None
        self._source = _InMemory()

    def store(self, event: Any) -> Reply:
        """Success means that the object and its index row are on the disk."""
        request, context = event.request, event.context
        if request.DataSet is None:
            return Reply(CANNOT_UNDERSTAND, comment="A C-STORE needs a data set", failed=1)
        if self._receiver is None:
            limit = self._call.settings().max_object_gib << 30
            self._receiver = DataSetReceiver(self._source, self._call.archive, self._call.agreed.source, limit)
        command = {
            commands.SOP_CLASS: str(request.AffectedSOPClassUID).encode("ascii", "replace"),
            commands.SOP_INSTANCE: str(request.AffectedSOPInstanceUID).encode("ascii", "replace"),
        }
        self._source.hold(request.DataSet.getbuffer())
        try:
            done = self._receiver.store(
                context.context_id, str(context.abstract_syntax), str(context.transfer_syntax), command
            )
        finally:
            self._source.hold(memoryview(b""))
        stored = done.size > 0
        return Reply(done.status, comment=done.comment, objects=stored, failed=not stored, size=done.size)


class _InMemory:
    """A data set in memory as DataSetReceiver reads it from a connection: one fragment."""

    def __init__(self) -> None:
        self._rest = memoryview(b"")

    @property
    def wire(self) -> "_InMemory":
        return self

    def hold(self, data: memoryview) -> None:
        self._rest = data

    def fragment(self, context_id: int) -> tuple[int, bool]:
        return len(self._rest), True

    def read_into(self, target: memoryview, count: int) -> None:
        target[:count], self._rest = self._rest[:count], self._rest[count:]
