"""One frame as it lies in its file: one look-up in the index, one read, in one thread. A viewer asks for thousands.

Who may see it and which file it is, is asked of the index every time; only what follows from the stored bytes is kept."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app.archive import content, queries
from app.archive.errors import Damaged, NoFrame
from app.archive.models import Instance
from app.db import Session
from app.dicom import frames, uids
from app.dicomweb import accept, respond
from app.dicomweb.common import one_instance
from app.http import services
from app.http.bodies import Whole
from app.http.looking import specs, traces
from app.kit import multipart
from app.kit.errors import NotFound
from app.security import Actor, Verb, may_see
from app.viewing.frames import lies, locate

_LARGEST = 8 << 20  # bytes of a frame that is held whole; a larger one is streamed
_KEPT = 512


@dataclass(frozen=True, slots=True)
class _Known:
    """offered: transfer syntaxes the frames can be given in besides their own."""

    instance: Instance
    table: frames.FrameTable | None
    offered: frozenset[str]


class _Places:
    """The objects last asked for, by key, checksum and path. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, str, str], _Known] = OrderedDict()

    def get(self, key: tuple[int, str, str]) -> _Known | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def put(self, key: tuple[int, str, str], known: _Known) -> None:
        with self._lock:
            self._known[key] = known
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)


def take(
    request: Request, actor: Actor, ranges: Sequence[accept.Range], study: str, series: str, instance: str, n: int
) -> Response | None:
    """The answer; None where the frame is not there, or not to be sent as it lies: then the long way finds the words or
    the pixels. Raises NotAcceptable, Damaged."""
    here = services(request)
    with here.database.read() as session:
        found = queries.placed(session, study, series, instance)
        if found is None or not may_see(actor, found[3]):
            return None
        places: _Places = here.extra.get("places") or here.extra.setdefault("places", _Places())
        key = found[:3]
        known = places.get(key)
        if known is None:
            known = _look(request, session, actor, study, series, instance)
            if known is None:
                return None
            places.put(key, known)
    traces(request).look(here.database, actor, Verb.STUDY_VIEW, study, found[3], "WADO-RS")
    stored = known.instance.transfer_syntax_uid
    choice = accept.frames(ranges, stored, known.offered, True)
    if not as_it_lies(choice.syntax, stored) or uids.transfer_syntax(stored).deflated:
        return None
    data = _read(request, known, n)
    if data is None:
        return None
    headers = respond.cached(f"{found[1][:32]}-{n}-{choice.syntax}-{int(choice.multipart)}")
    if not choice.multipart:
        return Whole([data], 200, {**headers, "Accept-Ranges": "bytes"}, content_type(choice))
    boundary = multipart.new_boundary()
    head = multipart.part_head(boundary, (("Content-Type", content_type(choice)),), True)
    media_type = f'{accept.RELATED}; type="{choice.kind}"; boundary={boundary}'
    return Whole([head, data, multipart.closing(boundary)], 200, headers, media_type)


def _look(request: Request, session: Session, actor: Actor, study: str, series: str, instance: str) -> _Known | None:
    one = one_instance(session, queries.study(session, actor, study), series, instance)
    if one.pixel_offset is None:
        return None
    located = locate(session, [one])[0]
    if located.words:
        return None  # its frames may begin inside a word
    table = frames.unpack(located.table) if located.table is not None else None
    return _Known(one, table, specs(request).of(session, one)[1])


def _read(request: Request, known: _Known, n: int) -> bytes | None:
    """Raises Damaged."""
    try:
        place = lies(known.instance, known.table, n)
        if place.bit or place.missing or sum(length for _, length in place.parts) > _LARGEST:
            return None
        return content.read_parts(services(request).archive, known.instance, place.parts)
    except Damaged:
        raise
    except (NoFrame, NotFound):
        return None


def as_it_lies(syntax: str, stored: str) -> bool:
    """Whether a frame in `syntax` is byte for byte what is stored."""
    return syntax == stored or (syntax == uids.EXPLICIT_LE and stored == uids.IMPLICIT_LE)


def content_type(choice: accept.Choice) -> str:
    native = choice.kind == accept.OCTETS and choice.syntax == uids.EXPLICIT_LE
    return choice.kind if native else f"{choice.kind}; transfer-syntax={choice.syntax}"
