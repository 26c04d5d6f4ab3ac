"""Periodic tasks of this package."""

import logging

from app.jobs.clock import HOUR, Clock, ClockContext

log = logging.getLogger(__name__)


def trim_pictures(context: ClockContext) -> None:
    from app.settings import load
    from app.viewing import pictures
    from app.viewing.settings import PictureSettings

    with context.database.read() as session:
        most = load(session, PictureSettings).cache_gib << 30
    if removed := pictures.limit_cache(context.config.cache, most):
        log.info("%d pictures of the cache were let go", removed)


VERBS: Clock = {trim_pictures: HOUR}
