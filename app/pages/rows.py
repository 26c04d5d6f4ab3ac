"""Studies, series and documents as the pages show them: names in groups, ages computed, states as icon and word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2s

from app.archive.models import SEVERAL, Series, Study
from app.dicom import names
from app.dicom.dates import age_at, parse_age
from app.dicom.identity import patient_of
from app.http.i18n import format_person, format_time
from app.http.i18n import gettext as _
from app.kit.clock import now

# Modalities whose objects are read, not looked at (PS3.3 C.7.3.1.1.1).
DOCUMENTS = {
    "SR",
    "DOC",
    "PR",
    "KO",
    "PLAN",
    "RTSTRUCT",
    "RTPLAN",
    "RTRECORD",
    "SEG",
    "REG",
    "FID",
    "AU",
    "ECG",
    "HD",
    "EPS",
    "RESP",
    "EEG",
    "EMG",
    "EOG",
    "ANN",
    "RWV",
    "M3D",
}
FRESH = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class StudyRoute:
    """Where a study goes. kind: ok, running, wait, warn, bad, paused (what `ui.state` takes)."""

    kind: str
    word: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study of a list. patient: the same for studies taken for one person's; images: instances here; fresh: arrived
    moments ago."""

    uid: str
    key: str
    name: str
    other_name: str
    patient: str
    patient_id: str
    birth_date: str
    age: str
    date: str
    time: str
    arrived: str
    modalities: list[str]
    description: str
    accession: str
    images: int
    series: int
    bytes: int
    arriving: bool
    fresh: bool
    locked: bool
    conflicts: int
    source: str
    facility: str
    sex: str = ""
    referrer: str = ""
    study_id: str = ""
    received: datetime | None = None
    routes: list[StudyRoute] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SeriesCard:
    """One series as a thumbnail. picture: the address of its thumbnail, empty where there is no image."""

    uid: str
    label: str
    caption: str
    images: int
    picture: str
    document: bool
    bytes: int


def age(birth: str, on: str, stated: str = "") -> str:
    """Short age for a column: "58", "5 mo", "9 d", computed or stated; a stated text that is not an age as it
    comes, empty where it is not known (`dates.age_at`)."""
    text = age_at(birth, on, stated)
    computed = parse_age(text)
    if computed is None:
        return text
    number, unit = computed
    short = {"M": _("%(n)d mo"), "W": _("%(n)d wk"), "D": _("%(n)d d")}
    return short[unit] % {"n": number} if unit in short else str(number)


def names_of(person_name: str) -> tuple[str, str]:
    """(the name people read first, the ideographic or phonetic group beside it), PS3.5 6.2.1."""
    parsed = names.parse(person_name)
    groups = (parsed.alphabetic, parsed.ideographic, parsed.phonetic)
    shown = [text for group in groups if group and (text := format_person(group))]
    return (shown[0], shown[1] if len(shown) > 1 else "") if shown else (_("No name"), "")


def study_row(
    study: Study,
    facilities: Mapping[str, str],
    conflicts: Mapping[str, int] | None = None,
    routes: Sequence[StudyRoute] = (),
    senders: Mapping[str, str] | None = None,
) -> StudyRow:
    """facilities: id -> name; conflicts: study UID -> open ones; senders: AE title -> name of the node."""
    name, other = names_of(study.patient_name)
    moment: datetime = study.last_received_at
    return StudyRow(
        uid=study.study_instance_uid,
        key=f"s{study.id}",
        name=name,
        other_name=other,
        patient=_short(patient_of(study)),
        patient_id=study.patient_id,
        birth_date=study.birth_date,
        age=" ".join(
            part for part in (age(study.birth_date, study.study_date, study.patient_age), study.sex[:1]) if part
        ),
        date=study.study_date,
        time=study.study_time,
        arrived=format_time(moment),
        modalities=[one for one in study.modalities.split("\\") if one],
        description=study.description,
        accession=study.accession_number,
        images=study.instance_count,
        series=study.series_count,
        bytes=study.bytes,
        arriving=study.state == "receiving",
        fresh=now() - moment < FRESH,
        locked=study.locked,
        conflicts=(conflicts or {}).get(study.study_instance_uid, 0),
        source=_("several") if study.source == SEVERAL else (senders or {}).get(study.source, study.source),
        facility=facilities.get(study.facility_id or "", ""),
        sex=study.sex[:1],
        referrer=names_of(study.referring_physician)[0] if study.referring_physician else "",
        study_id=study.study_id,
        received=study.received_at,
        routes=list(routes),
    )


def _short(text: str) -> str:
    """The same for the same text, and fit for an attribute: keys hold what HTML does not."""
    return blake2s(text.encode(), digest_size=8).hexdigest()


def series_card(series: Series) -> SeriesCard:
    document = series.modality in DOCUMENTS
    number = f" {series.series_number}" if series.series_number is not None else ""
    return SeriesCard(
        uid=series.series_instance_uid,
        label=f"{series.modality}{number}".strip(),
        caption=series.description or series.protocol_name or series.body_part or _("No description"),
        images=series.instance_count,
        picture="" if document else f"/api/v1/series/{series.series_instance_uid}/thumbnail",
        document=document,
        bytes=series.bytes,
    )
