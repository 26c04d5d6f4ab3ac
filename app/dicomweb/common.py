"""What the retrieve routes share: which objects an address means, and the trace that somebody looked."""

from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.archive import queries
from app.archive.models import Instance, Study
from app.db import Session
from app.http import services
from app.kit.errors import NotFound
from app.security import Actor, Verb
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


async def look(
    request: Request, actor: Actor, verb: Verb, study: str, work: Callable[[Session, Study], T], how: str = ""
) -> T:
    """Runs work(session, study) in a thread and leaves one audit row per study, actor and five minutes."""
    here = services(request)

    def run() -> T:
        with here.database.read() as session:
            found = queries.study(session, actor, study)
            result = work(session, found)
        traces(request).look(here.database, actor, verb, study, found.facility_id, how)
        return result

    return await run_in_threadpool(run)


def instances(session: Session, study: Study, series: str = "", instance: str = "") -> list[Instance]:
    """The objects an address names, in display order. Raises NotFound when there are none, or the series is another
    study's, or the instance another series'."""
    if not series:
        found = queries.instances_of_study(session, study)
    else:
        listed = [one for one in queries.series_of(session, study) if one.series_instance_uid == series]
        if not listed:
            raise NotFound("There is no such series in this study.")
        found = queries.instances_of(session, listed[0])
    if instance:
        found = [one for one in found if one.sop_instance_uid == instance]
    if not found:
        raise NotFound("There is no such object in this series.")
    return found


def one_instance(session: Session, study: Study, series: str, instance: str) -> Instance:
    """One object by its whole address, by its own index and not by a walk through its series."""
    found = queries.instance_in(session, study, series, instance)
    if found is None:
        raise NotFound("There is no such object in this series.")
    return found
