"""Column of each attribute in the index: the one table of attributes for QIDO-RS and C-FIND.

Aliases of the plain SQL: p patient, s study, r series, i instance. The attributes are those of PS3.4 Tables C.3-1 and
C.6-1 to C.6-4 and of PS3.18 Tables 10.6.3-3 to 10.6.3-5. Whether a column holds a number follows from its type, whether
it holds several values from the value multiplicity of PS3.6."""

from functools import cache
from typing import Any, Literal

from sqlalchemy import Integer

from app.archive.models import Instance, Patient, Series, Study
from app.dicom import numbers

Level = Literal["patient", "study", "series", "instance"]
LEVELS: tuple[Level, ...] = ("patient", "study", "series", "instance")

SEPARATOR = "\x1f"  # between the two values of a Request Attributes item
REQUEST = "00400275"
REQUEST_PARTS = ("00400009", "00401001")
REQUEST_COLUMN = f"r.scheduled_step_id || '{SEPARATOR}' || r.requested_procedure_id"

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
IMAGE = frozenset(("00280008", "00280010", "00280011", "00280100"))  # 0 in their columns: the object has no such value
MODALITIES, SOP_CLASSES, INSTITUTION = "00080061", "00080062", "00080080"

_PERSON = {
    "00100010": "patient_name",
    "00100020": "patient_id",
    "00100021": "issuer_of_patient_id",
    "00100030": "birth_date",
    "00100040": "sex",
}
_COUNTS = {"00201200": "count(*)", "00201202": "sum(x.series_count)", "00201204": "sum(x.instance_count)"}
_OF_STUDY = {
    MODALITIES: "s.modalities",
    SOP_CLASSES: "s.sop_classes",
    # asked for at this level by many; the same in all its series, or the first one speaks
    INSTITUTION: "coalesce((SELECT x.institution FROM series x WHERE x.study_pk = s.id ORDER BY x.id LIMIT 1), '')",
}
_ALL = STUDY | PATIENT | SERIES | INSTANCE

# whole numbers
NUMBERS = frozenset(_COUNTS) | {p for p, c in _ALL.items() if isinstance(c.property.columns[0].type, Integer)}
# several values, a backslash between (several items where the attribute is one of a sequence)
LISTS = frozenset(
    path for path in (*_ALL, *_OF_STUDY) if "." in path or numbers.multiplicity(int(path, 16)) != 1
) - NUMBERS  # fmt: skip


def _under(alias: str, known: dict[str, Any]) -> dict[str, str]:
    found = {}
    for path, column in known.items():
        name = f'{alias}."{column.property.columns[0].name}"'
        found[path] = f"nullif({name}, 0)" if path in IMAGE else name
    return found


def _counts(patient: str) -> dict[str, str]:
    return {path: f"(SELECT {what} FROM study x WHERE x.patient_pk = {patient})" for path, what in _COUNTS.items()}


@cache
def of_level(level: Level) -> dict[str, str]:
    """Attribute path -> SQL expression, of this level and of those above it."""
    known = {path: f"p.{name}" for path, name in _PERSON.items()}
    known |= _under("p", PATIENT) | _counts("p.id")
    if level == "patient":
        return known
    known |= _under("s", STUDY) | _OF_STUDY | _counts("s.patient_pk")
    if level == "study":
        return known
    known |= _under("r", SERIES)
    known[REQUEST] = REQUEST_COLUMN
    return known | _under("i", INSTANCE) if level == "instance" else known


@cache
def of_study() -> dict[str, str]:
    """Attribute path -> SQL expression over s alone, of what a study knows."""
    known = of_level("study")
    patient = {path: f"(SELECT {known[path]} FROM patient p WHERE p.id = s.patient_pk)" for path in PATIENT}
    return known | patient


@cache
def below(level: Level) -> dict[str, str]:
    """Attribute path -> SQL expression over r and i, of what the levels below know: one of their objects must match."""
    if level == "series":
        return _under("i", INSTANCE)
    return _under("i", INSTANCE) | _under("r", SERIES) if level in ("patient", "study") else {}
