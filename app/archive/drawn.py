"""Headers for drawing. Apart from `content`: they may need the pixels of a whole series."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import content, frames, pet_series, queries
from app.archive.ingest import SESSION_KEY, Archive
from app.archive.models import Instance
from app.imaging import Window


def drawn_header(session: Session, instance: Instance) -> Dataset:
    """`content.header` for drawing: a PET image whose header names no window gets that of its series. Raises Damaged."""
    dataset = content.header(session, instance, complete=True)
    if pet_series.needs_window(dataset):
        window = pet_window(session, queries.images_beside(session, instance))
        if window is not None:
            pet_series.set_window(dataset, window)
    return dataset


def pet_window(session: Session, images: Sequence[Instance]) -> Window | None:
    """The one window of these PET images, whose headers name none. Decodes some of them the first time."""
    archive: Archive = session.info[SESSION_KEY]

    def frame(one: Instance, n: int) -> bytes:
        return frames.frame_bytes(archive, session, one, n)

    return pet_series.series_window(images, lambda one: content.header(session, one), frame)
