"""Shared parts of the interfaces for viewing studies: the picture cache, and one trace per look."""

from collections.abc import Callable
from typing import TypeVar

from pydicom.dataset import Dataset
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.archive import queries
from app.archive.frames import Located
from app.archive.models import Study
from app.db import Session
from app.http.services import services
from app.security import Actor, Verb
from app.viewing import notices
from app.viewing.frames import Specs
from app.viewing.pictures import Pictures
from app.viewing.traces import Traces

T = TypeVar("T")


def traces(request: Request) -> Traces:
    found = services(request).extra.setdefault("traces", Traces())
    assert isinstance(found, Traces)
    return found


def pictures(request: Request) -> Pictures:
    here = services(request)
    found = here.extra.setdefault("pictures", Pictures(here.archive, here.config.cache))
    assert isinstance(found, Pictures)
    return found


def specs(request: Request) -> Specs:
    found = services(request).extra.setdefault("specs", Specs())
    assert isinstance(found, Specs)
    return found


def frame_warning(request: Request, located: Located, header: Dataset, n: int) -> dict[str, str]:
    """The Warning header for a frame's picture; none where there is nothing. Blocking."""
    warnings = notices.of_frame(services(request).archive, located, header, n)
    return {"Warning": ", ".join(f'299 filmroom "{text}"' for text in warnings)} if warnings else {}


async def read_study(
    request: Request, actor: Actor, verb: Verb, work: Callable[[Session], tuple[T, Study]], how: str = ""
) -> T:
    """Runs work(session) in a thread; it gives its result and the study it is of, and that leaves one audit row per
    study, actor and five minutes."""
    here = services(request)

    def run() -> T:
        with here.database.read() as session:
            result, study = work(session)
        traces(request).record_view(here.database, actor, verb, study.study_instance_uid, study.facility_id, how)
        return result

    return await run_in_threadpool(run)


async def read_named_study(
    request: Request, actor: Actor, verb: Verb, study: str, work: Callable[[Session, Study], T], how: str = ""
) -> T:
    """The same for a study named by its UID. Raises NotFound."""

    def find(session: Session) -> tuple[T, Study]:
        found = queries.study(session, actor, study)
        return work(session, found), found

    return await read_study(request, actor, verb, find, how)
