"""Which objects an address of the retrieve routes means."""

from app.archive import queries
from app.archive.models import Instance, Study
from app.db import Session
from app.kit.errors import NotFound


def instances(session: Session, study: Study, series: str = "", instance: str = "") -> list[Instance]:
    """The objects an address names, in display order. Raises NotFound when there are none, or the series is another
    study's, or the instance another series'."""
    if not series:
        found = queries.instances_of_study(session, study)
    else:
        listed = [one for one in queries.series_of(session, study) if one.series_instance_uid == series]
        if not listed:
            raise NotFound("Series not found in this study.")
        found = queries.instances_of(session, listed[0])
    if instance:
        found = [one for one in found if one.sop_instance_uid == instance]
    if not found:
        raise NotFound("Object not found in this series.")
    return found


def one_instance(session: Session, study: Study, series: str, instance: str) -> Instance:
    """One object by its whole address, by its own index and not by a walk through its series."""
    found = queries.instance_in(session, study, series, instance)
    if found is None:
        raise NotFound("Object not found in this series.")
    return found
