"""Which DICOM attribute stands in which column, and the SQL condition that a query's value makes of it.

A condition may let through a little too much (LIKE ignores case on SQLite; a time may be short); `exact` says whether
it does not. What is inexact is looked at once more by `dicom.matching`."""

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from app.archive.models import Instance, Patient, Series, Study, StudyModality
from app.dicom import names, numbers
from app.dicom.matching import Key, split_range, split_uids

_MOST_WORDS = 32  # of a name in one condition; the others are looked at afterwards (SQLite: expressions of depth 1000)
Condition = tuple[ColumnElement[bool], bool]  # the condition, and whether it is exact

STUDY: dict[str, Any] = {
    "0020000D": Study.study_instance_uid,
    "00080020": Study.study_date,
    "00080030": Study.study_time,
    "00080050": Study.accession_number,
    "00080090": Study.referring_physician,
    "00080201": Study.timezone_offset,
    "00081030": Study.description,
    "00081048": Study.physicians_of_record,
    "00081060": Study.reading_physicians,
    "00081080": Study.admitting_diagnoses,
    "00100010": Study.patient_name,
    "00100020": Study.patient_id,
    "00100021": Study.issuer_of_patient_id,
    "00100030": Study.birth_date,
    "00100040": Study.sex,
    "00101010": Study.patient_age,
    "00101020": Study.patient_size,
    "00101030": Study.patient_weight,
    "00102180": Study.occupation,
    "001021B0": Study.patient_history,
    "00200010": Study.study_id,
    "00201206": Study.series_count,
    "00201208": Study.instance_count,
}
PATIENT: dict[str, Any] = {
    "00100032": Patient.birth_time,
    "00101000": Patient.other_patient_ids,
    "00101001": Patient.other_patient_names,
    "00102160": Patient.ethnic_group,
    "00104000": Patient.comments,
}
SERIES: dict[str, Any] = {
    "0020000E": Series.series_instance_uid,
    "00080021": Series.series_date,
    "00080031": Series.series_time,
    "00080060": Series.modality,
    "00080070": Series.manufacturer,
    "00080080": Series.institution,
    "00081010": Series.station_name,
    "0008103E": Series.description,
    "00081050": Series.performing_physician,
    "00081070": Series.operators,
    "00081090": Series.model_name,
    "00180015": Series.body_part,
    "00181030": Series.protocol_name,
    "00200011": Series.series_number,
    "00200052": Series.frame_of_reference_uid,
    "00200060": Series.laterality,
    "00201209": Series.instance_count,
    "00400244": Series.pps_start_date,
    "00400245": Series.pps_start_time,
    "00400275.00400009": Series.scheduled_step_id,
    "00400275.00401001": Series.requested_procedure_id,
}
INSTANCE: dict[str, Any] = {
    "00080018": Instance.sop_instance_uid,
    "00080016": Instance.sop_class_uid,
    "00080023": Instance.content_date,
    "00080033": Instance.content_time,
    "00083002": Instance.transfer_syntax_uid,
    "00200013": Instance.instance_number,
    "00280008": Instance.number_of_frames,
    "00280010": Instance.rows,
    "00280011": Instance.columns,
    "00280100": Instance.bits_allocated,
}
_UNIQUE: dict[str, Any] = {"0020000E": Series.series_instance_uid, "00080018": Instance.sop_instance_uid}
_NUMBERS = frozenset(
    ("00200011", "00200013", "00201206", "00201208", "00201209", "00280008", "00280010", "00280011", "00280100")
)
# several values, a backslash between
_LISTS = frozenset(
    ("00081060", "00081048", "00101000", "00081070", "00081050", "00400275.00400009", "00400275.00401001")
)


def of_study(key: Key, fuzzy: bool) -> Condition | None:
    """The condition on Study; None where there is no column for it at this level."""
    path = ".".join(key.path)
    if path == "00080061":
        wanted = exists().where(StudyModality.study_pk == Study.id, _text(StudyModality.modality, key.value))
        return wanted, "*" not in key.value and "?" not in key.value
    if path == "00080062":
        named = (Study.sop_classes.contains(uid, autoescape=True) for uid in split_uids(key.value))
        return or_(false(), *named), False
    if path == "00100010":
        return _patient_name(key.value, fuzzy)
    if path in PATIENT:
        inside, _ = of_column(PATIENT[path], key, path)
        return Study.patient_pk.in_(select(Patient.id).where(inside)), True
    return of_column(STUDY[path], key, path) if path in STUDY else None


def below_study(key: Key) -> ColumnElement[bool] | None:
    """A study that has such a series or instance."""
    path = ".".join(key.path)
    if path in _UNIQUE:  # its index names the study
        table = _UNIQUE[path].class_
        return Study.id.in_(select(table.study_pk).where(of_column(_UNIQUE[path], key, path)[0]))
    if path in SERIES:  # looked at study by study: they come in order, and a page of them is soon full
        return exists().where(Series.study_pk == Study.id, of_column(SERIES[path], key, path)[0])
    if path in INSTANCE:
        test = of_column(INSTANCE[path], key, path)[0]
        return exists().where(Series.study_pk == Study.id, Instance.series_pk == Series.id, test)
    return None


def below_series(key: Key) -> ColumnElement[bool] | None:
    path = ".".join(key.path)
    if path in _UNIQUE:
        return Series.id.in_(select(Instance.series_pk).where(of_column(_UNIQUE[path], key, path)[0]))
    if path in INSTANCE:
        return exists().where(Instance.series_pk == Series.id, of_column(INSTANCE[path], key, path)[0])
    return None


def of_column(column: Any, key: Key, path: str) -> Condition:
    """The condition that key makes of a column."""
    value = key.value
    if path in _NUMBERS:
        wanted = numbers.number(value)
        if not isinstance(wanted, int) or abs(wanted) >= 2**31:
            return false(), True
        return column == wanted, True
    if key.vr == "UI":
        return column.in_(split_uids(value)), True
    if key.vr == "DA":
        return _dates(column, value)
    if key.vr in ("TM", "DT"):
        low, high = split_range(key.vr, value)
        return and_(column != "", column >= low[:2], column < (high[:2] + "~" if high else "~")), False
    if key.vr == "PN" or path in _LISTS:
        part = max(names.fold(value).replace("?", "*").split("*"), key=len).strip() if value.isascii() else ""
        return _contains(func.lower(column), part.split(" ")[0]) if part else column != "", False
    return _text(column, value), "*" not in value and "?" not in value


def _dates(column: Any, value: str) -> Condition:
    low, high = (bound.replace(".", "") for bound in split_range("DA", value))
    bounds = [column != ""]
    if low:
        bounds.append(column >= low)
    if high:
        bounds.append(column <= high)
    return and_(*bounds, func.length(column) == 8), True  # what is no date stands there as it is written


def _text(column: Any, value: str) -> ColumnElement[bool]:
    if "*" not in value and "?" not in value:
        same: ColumnElement[bool] = column == value
        return same
    like: ColumnElement[bool] = column.like(_pattern(value), escape="!")
    return like


def _pattern(value: str) -> str:
    return value.replace("!", "!!").replace("%", "!%").replace("_", "!_").replace("*", "%").replace("?", "_")


def _contains(column: Any, part: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.like(f"%{_pattern(part)}%", escape="!")
    return found


def _patient_name(value: str, fuzzy: bool) -> Condition:
    """`Study.fold` holds the folded groups one behind the other; the alphabetic one comes first (names.fold)."""
    if fuzzy:
        words = dict.fromkeys(word.strip("*?") for word in names.fold(value).split())
        each = [
            or_(Study.fold.like(f"{_pattern(w)}%", escape="!"), Study.fold.like(f"% {_pattern(w)}%", escape="!"))
            for w in list(words)[:_MOST_WORDS]
            if w
        ]
        return and_(Study.fold != "", *each), False
    folded = names.fold(value.partition("=")[0]) or names.fold(value)
    first = Study.fold.like(_pattern(folded) + "%", escape="!")
    if value.isascii():
        return first, False
    return or_(first, _contains(Study.fold, folded)), False
