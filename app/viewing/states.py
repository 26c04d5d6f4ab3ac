"""Stored presentation states: found beside the images they are about, and read with all that drawing needs."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import Archive, content, queries
from app.archive.models import Instance, Study
from app.imaging import PixelSpec, presentation
from app.imaging.presentation import Presentation
from app.kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class State:
    """A presentation state. digest: SHA-256 of its file, which distinguishes its pictures in a cache."""

    header: Dataset
    digest: str

    def of(self, sop_instance_uid: str, spec: PixelSpec, frame: int) -> Presentation:
        """The state as it applies to one frame of an image. Raises DoesNotApply."""
        return presentation.read(self.header, sop_instance_uid, spec, frame)


def is_state(instance: Instance) -> bool:
    return instance.sop_class_uid in presentation.CLASSES


def load(archive: Archive, session: Session, instance: Instance) -> State:
    """A stored presentation state. Raises NotFound for an object that is none, Damaged."""
    if not is_state(instance):
        raise NotFound("Presentation state not found.")
    return State(content.header(session, instance, complete=True), instance.sha256)


def find(archive: Archive, session: Session, study: Study, sop_instance_uid: str, series: str = "") -> State:
    """The presentation state of this UID in the study (and series, where one is named). Raises NotFound."""
    found = queries.instance_in(session, study, series, sop_instance_uid)
    if found is None:
        raise NotFound("Presentation state not found.")
    return load(archive, session, found)


def first_image(session: Session, study: Study, state: State) -> tuple[Instance, int]:
    """The first image of the study that the state is about, and which of its frames. Raises NotFound."""
    for uid, frames in presentation.references(state.header):
        found = queries.instance_in(session, study, "", uid)
        if found is not None and found.number_of_frames > 0:
            return found, frames[0] if frames else 1
    raise NotFound("The images of this presentation state are not in the archive.")
