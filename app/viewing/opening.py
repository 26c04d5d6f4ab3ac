"""Opening a study in the viewer: what the page shows before the first byte of the manifest."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app import audit
from app.archive import queries as archive
from app.archive.models import Instance, Series, Study
from app.kit.errors import NotFound
from app.security import Actor, Verb, require
from app.viewing import queries

PDF = "1.2.840.10008.5.1.4.1.1.104.1"
REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_DRAWN_OVER = frozenset(("SEG", "RTDOSE"))  # made for other images: never the first thing to see where those are


@dataclass(frozen=True, slots=True)
class StripSeries:
    """One entry of the strip. picture: SOP Instance UID of the thumbnail, empty for a series without images."""

    uid: str
    number: str
    modality: str
    description: str
    images: int
    picture: str


@dataclass(frozen=True, slots=True)
class StudyDocument:
    """A PDF or a report of the study."""

    uid: str
    series_uid: str
    title: str
    pdf: bool


@dataclass(frozen=True, slots=True)
class OpenedStudy:
    """first: the instance whose frame 1 is seen first; None when the study holds no object."""

    study: Study
    series_uid: str
    first: Instance | None
    strip: list[StripSeries]
    documents: list[StudyDocument]


def open_study(session: Session, actor: Actor, study_uid: str, series_uid: str = "") -> OpenedStudy:
    """The study as the viewer opens it: the series asked for, else the first one with acquired images. Audited.

    Raises NotFound for a study or series that is not there or not theirs, Forbidden without study.view."""
    require(actor, Verb.STUDY_VIEW)
    study = archive.study(session, actor, study_uid)
    series = archive.series_of(session, study)
    firsts = queries.first_instances(session, series)
    shown = _choose_series(series, firsts, series_uid)
    counts = queries.frame_counts(session, series)
    strip = [_strip_entry(one, firsts.get(one.id), counts.get(one.id, 0)) for one in series]
    documents = [
        StudyDocument(
            instance.sop_instance_uid,
            of.series_instance_uid,
            of.description or of.modality,
            instance.sop_class_uid == PDF,
        )
        for of, instance in queries.objects_without_image(session, study, series)
        if instance.sop_class_uid == PDF or instance.sop_class_uid.startswith(REPORTS)
    ]
    audit.by(session, actor, str(Verb.STUDY_VIEW), "study", study_uid, facility_id=study.facility_id)
    audit.mark_recorded(study_uid)
    first = firsts.get(shown.id) if shown else None
    return OpenedStudy(study, shown.series_instance_uid if shown else "", first, strip, documents)


def _choose_series(series: list[Series], firsts: dict[int, Instance], wanted: str) -> Series | None:
    if wanted:
        found = next((one for one in series if one.series_instance_uid == wanted), None)
        if found is None:
            raise NotFound("Series not found in this study.")
        return found
    images = [one for one in series if one.id in firsts and firsts[one.id].number_of_frames > 0]
    acquired = (one for one in images if one.modality not in _DRAWN_OVER)
    return next(acquired, images[0] if images else series[0] if series else None)


def _strip_entry(series: Series, first: Instance | None, frames: int) -> StripSeries:
    return StripSeries(
        uid=series.series_instance_uid,
        number="" if series.series_number is None else str(series.series_number),
        modality=series.modality,
        description=series.description,
        images=frames or series.instance_count,
        picture=first.sop_instance_uid if first is not None and first.number_of_frames > 0 else "",
    )
