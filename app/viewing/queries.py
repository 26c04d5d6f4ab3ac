"""Queries of the viewer's page: one row per series, never all instances."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.archive.models import Instance, Series, Study


def first_instances(session: Session, series: list[Series]) -> dict[int, Instance]:
    """The first instance in display order of each series, images before other objects; keyed by the series' id."""
    found: dict[int, Instance] = {}
    for one in series:
        order = (
            Instance.number_of_frames == 0,
            Instance.instance_number.is_(None),
            Instance.instance_number,
            Instance.id,
        )
        first = session.scalar(select(Instance).where(Instance.series_pk == one.id).order_by(*order).limit(1))
        if first is not None:
            found[one.id] = first
    return found


def frame_counts(session: Session, series: list[Series]) -> dict[int, int]:
    """Frames of all images of each series."""
    wanted = [one.id for one in series]
    query = (
        select(Instance.series_pk, func.sum(Instance.number_of_frames))
        .where(Instance.series_pk.in_(wanted))
        .group_by(Instance.series_pk)
    )
    return {pk: int(total or 0) for pk, total in session.execute(query)}


def objects_without_image(session: Session, study: Study, series: list[Series]) -> list[tuple[Series, Instance]]:
    """The reports and documents of a study."""
    by_id = {one.id: one for one in series}
    query = (
        select(Instance)
        .where(Instance.series_pk.in_(by_id), Instance.number_of_frames == 0)
        .order_by(Instance.series_pk, Instance.instance_number, Instance.id)
        .limit(200)
    )
    return [(by_id[one.series_pk], one) for one in session.scalars(query)]
