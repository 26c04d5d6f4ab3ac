"""Which studies a request has looked at: the archive notes them where it finds them, and the web role writes them down
once the request is answered. Outside a request nothing is collected."""

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class RequestReads:
    """Of one request. studies: UID -> facility; shown: those of them that are shown whatever the method says;
    traced: studies whose trace has been written already."""

    studies: dict[str, str | None] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    traced: set[str] = field(default_factory=set)


_now: ContextVar[RequestReads | None] = ContextVar("seen", default=None)


def begin_request() -> RequestReads:
    """Begins a request."""
    found = RequestReads()
    _now.set(found)
    return found


def record_study(study_uid: str, facility_id: str | None, *, shown: bool = False) -> None:
    """Records that a study was found for the actor. shown: its pictures go out, also where the request is a POST (print
    previews)."""
    found = _now.get()
    if found is not None:
        found.studies[study_uid] = facility_id
        if shown:
            found.shown.add(study_uid)


def mark_recorded(study_uid: str) -> None:
    """The trace of this look is written, or was within the last minutes."""
    found = _now.get()
    if found is not None:
        found.traced.add(study_uid)
