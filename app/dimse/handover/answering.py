"""From pynetdicom's events to the functions of the registry: permission, DIMSE status, transfer log."""

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from app.dimse.handover.registry import REQUESTS, Call, Reply, service_of
from app.dimse.handover.storage import Storing
from app.dimse.record import Deeds
from app.kit.errors import AppError
from app.kit.phrases import as_phrase
from app.network import commands
from app.network.information_models import VERIFICATION
from app.security.actor import can
from app.security.verbs import Verb

log = logging.getLogger(__name__)
_NO_SUCH_CLASS = 0x0118
_PENDING = (commands.PENDING, commands.PENDING_UNSUPPORTED_KEYS)
_WITH_DATA_SET = REQUESTS - {"EVT_C_FIND", "EVT_N_DELETE"}


class Answering:
    """Of one association. Its methods are pynetdicom's handlers."""

    def __init__(self, call: Call, deeds: Deeds) -> None:
        self._call = call
        self._deeds = deeds
        self._storing = Storing(call)

    def handlers(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Pairs of event and function, to bind."""
        pairs: list[tuple[Any, Callable[..., Any]]] = [
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_DELETE, self._delete),
        ]
        return pairs + [(getattr(evt, name), self._request) for name in sorted(_WITH_DATA_SET)]

    def _echo(self, event: Any) -> Dataset:
        is_own = str(event.context.abstract_syntax) == VERIFICATION
        return _status(self._handle_own_class("echo", is_own, Verb.NODE_ECHO, lambda: Reply()))

    def _store(self, event: Any) -> Dataset:
        """The archive compares the SOP class with that of the context."""
        is_own = service_of(str(event.context.abstract_syntax)) is None
        return _status(self._handle_own_class("store", is_own, Verb.STUDY_IMPORT, lambda: self._storing.store(event)))

    def _delete(self, event: Any) -> Dataset:
        return _status(self._handle_registered(event))

    def _request(self, event: Any) -> tuple[Dataset, Dataset | None]:
        reply = self._handle_registered(event)
        return _status(reply), reply.data_set

    def _handle_own_class(self, kind: str, is_own: bool, verb: Verb, serve: Callable[[], Reply]) -> Reply:
        """C-ECHO and C-STORE. is_own: on a context of their own class."""
        begun = time.monotonic()
        if not is_own:
            reply = Reply(commands.UNRECOGNIZED_OPERATION, comment="Not offered on this presentation context")
        elif not can(self._call.actor, verb):
            reply = _not_allowed()
        else:
            reply = _guarded(kind, serve)
        self._record(kind, reply, begun)
        return reply

    def _handle_registered(self, event: Any) -> Reply:
        begun = time.monotonic()
        kind, handler, reply = self._handler(event)
        if reply is None:
            reply = _guarded(kind, lambda: handler(self._call, event))
        self._record(kind, reply, begun)
        return reply

    def _find(self, event: Any) -> Iterator[tuple[Dataset, Dataset | None]]:
        begun, sent, last = time.monotonic(), 0, Reply()
        kind, handler, refused = self._handler(event)
        if refused is not None:
            last = refused
            yield _status(refused), None
        else:
            matches = iter(()) if handler is None else handler(self._call, event)
            while True:
                if event.assoc.has_ended or self._call.services.stopping.is_set():
                    last = Reply(commands.CANCELLED, comment="The association ended first")
                    break
                if event.is_cancelled:
                    last = Reply(commands.CANCELLED)
                    yield _status(last), None
                    break
                reply = _guarded(kind, lambda: next(matches, Reply()))
                if reply.status not in _PENDING:
                    last = reply
                    yield _status(reply), None
                    break
                sent += 1
                yield _status(reply), reply.data_set
        self._record(kind, last, begun, sent)

    def _handler(self, event: Any) -> tuple[str, Any, Reply | None]:
        """Kind, function, and the answer that the request gets without it."""
        abstract, named = str(event.context.abstract_syntax), _named_class(event)
        service = service_of(abstract)
        if service is None:
            return "unknown", None, Reply(commands.UNRECOGNIZED_OPERATION, comment="Not offered here")
        kind, name = service.kind, event.event.name
        if named != abstract and named not in service.also:
            return kind, None, Reply(_NO_SUCH_CLASS, comment="SOP class is not that of the presentation context")
        if name not in service.handlers:
            return kind, None, Reply(commands.UNRECOGNIZED_OPERATION, comment="Not offered here")
        if not can(self._call.actor, service.verb):
            return kind, None, _not_allowed()
        return kind, service.handlers[name], None

    def _record(self, kind: str, reply: Reply, begun: float, sent: int = 0) -> None:
        deed = self._deeds.add(kind, reply.status, time.monotonic() - begun, as_phrase(reply.comment), reply.size)
        deed.objects += reply.objects + sent
        deed.failed += reply.failed


def _named_class(event: Any) -> str:
    request = event.request
    return str(getattr(request, "AffectedSOPClassUID", None) or getattr(request, "RequestedSOPClassUID", None) or "")


def _not_allowed() -> Reply:
    return Reply(commands.NOT_AUTHORIZED, comment="Not allowed for this caller")


def _guarded(kind: str, serve: Callable[[], Reply]) -> Reply:
    """An internal error fails this request only. Its message may quote a data set, so only its place is logged."""
    try:
        return serve()
    except AppError as fault:
        return Reply(fault.dimse, comment=fault.detail)
    except Exception as fault:  # noqa: BLE001
        place = "".join(traceback.format_tb(fault.__traceback__))
        log.error("%s failed: %s\n%s", kind, type(fault).__name__, place)
        return Reply(commands.PROCESSING_FAILURE, comment="Internal error; see the log of Filmroom")


def _status(reply: Reply) -> Dataset:
    found = Dataset()
    found.Status = reply.status
    if reply.comment:
        found.ErrorComment = commands.comment(reply.comment)
    return found
