"""One frame as it lies in its file: one look-up in the index, one read, in one thread. A viewer asks for thousands.

Who may see it and which file it is, is asked of the index every time; only what follows from the stored bytes is kept."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from app.archive import content, queries
from app.archive.errors import Damaged, NoFrame
from app.archive.frames import CACHE, Layout, layout_of
from app.dicom import uids
from app.dicomweb import accept, respond
from app.dicomweb.common import one_instance
from app.http import services
from app.http.bodies import Whole
from app.http.study_access import specs, traces
from app.kit import multipart
from app.kit.errors import NotFound
from app.security import Actor, Verb, may_see

_LARGEST = 8 << 20  # bytes of a frame that is held whole; a larger one is streamed


def serve_frame(
    request: Request, actor: Actor, ranges: Sequence[accept.MediaRange], study: str, series: str, instance: str, n: int
) -> Response | None:
    """The answer; None where the frame is not there, or not to be sent as it lies: then the long way finds the words or
    the pixels. Raises NotAcceptable, Damaged."""
    here = services(request)
    with here.database.read() as session:
        found = queries.locate_object(session, study, series, instance)
        if found is None or not may_see(actor, found[3]):
            return None
        layout = CACHE.get(found[:3])
        if layout is None:
            one = one_instance(session, queries.study(session, actor, study), series, instance)
            layout = layout_of(session, one)
        if layout.instance.pixel_offset is None or layout.words:
            return None  # no frames, or such as may begin inside a word
        offered = specs(request).of(session, layout.instance)[1]
    traces(request).record_view(here.database, actor, Verb.STUDY_VIEW, study, found[3], "WADO-RS")
    stored = layout.instance.transfer_syntax_uid
    choice = accept.frames(ranges, stored, offered, True)
    if not as_it_lies(choice.syntax, stored) or layout.deflated:
        return None
    data = _read(request, layout, n)
    if data is None:
        return None
    headers = respond.cached(f"{found[1][:32]}-{n}-{choice.syntax}-{int(choice.multipart)}")
    if not choice.multipart:
        return Whole([data], 200, {**headers, "Accept-Ranges": "bytes"}, content_type(choice))
    boundary = multipart.new_boundary()
    head = multipart.part_head(boundary, (("Content-Type", content_type(choice)),), True)
    media_type = f'{accept.RELATED}; type="{choice.kind}"; boundary={boundary}'
    return Whole([head, data, multipart.closing(boundary)], 200, headers, media_type)


def _read(request: Request, layout: Layout, n: int) -> bytes | None:
    """Raises Damaged."""
    try:
        place = layout.locate_frame(n)
        if place.bit or place.missing or sum(length for _, length in place.parts) > _LARGEST:
            return None
        return content.read_parts(services(request).archive, layout.instance, place.parts)
    except Damaged:
        raise
    except (NoFrame, NotFound):
        return None


def as_it_lies(syntax: str, stored: str) -> bool:
    """Whether a frame in `syntax` is byte for byte what is stored."""
    return syntax == stored or (syntax == uids.EXPLICIT_LE and stored == uids.IMPLICIT_LE)


def content_type(choice: accept.ChosenFormat) -> str:
    native = choice.kind == accept.OCTETS and choice.syntax == uids.EXPLICIT_LE
    return choice.kind if native else f"{choice.kind}; transfer-syntax={choice.syntax}"
