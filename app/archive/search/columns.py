"""C-FIND: where each attribute stands in the index at each level, as plain SQL over fixed aliases.

p patient, s study, r series, i instance. The attributes are those of `attribute_columns`, and what the standard lets a
query ask beside them (PS3.4 Tables C.3-1 and C.6-1 to C.6-4)."""

from functools import cache
from typing import Any, Literal

from app.archive.search import attribute_columns as columns

Level = Literal["patient", "study", "series", "instance"]
LEVELS: tuple[Level, ...] = ("patient", "study", "series", "instance")

SEPARATOR = "\x1f"  # between the two values of a Request Attributes item
REQUEST = "00400275"
REQUEST_PARTS = ("00400009", "00401001")
NUMBERS = frozenset(
    (
        "00200011", "00200013", "00201206", "00201208", "00201209", "00280008", "00280010", "00280011", "00280100",
        "00201200", "00201202", "00201204",
    )
)  # fmt: skip
# several values, a backslash between
LISTS = frozenset(("00081080", "00101000", "00080061", "00080062", *(f"{REQUEST}.{part}" for part in REQUEST_PARTS)))

_PERSON = {
    "00100010": "patient_name",
    "00100020": "patient_id",
    "00100021": "issuer_of_patient_id",
    "00100030": "birth_date",
    "00100040": "sex",
}
_COUNTS = {"00201200": "count(*)", "00201202": "sum(x.series_count)", "00201204": "sum(x.instance_count)"}
_OF_STUDY = {
    "00080061": "s.modalities",
    "00080062": "s.sop_classes",
    # asked for at this level by many; the same in all its series, or the first one speaks
    "00080080": "(SELECT x.institution FROM series x WHERE x.study_pk = s.id LIMIT 1)",
}


def _under(alias: str, known: dict[str, Any]) -> dict[str, str]:
    return {path: f'{alias}."{column.property.columns[0].name}"' for path, column in known.items()}


def _counts(patient: str) -> dict[str, str]:
    return {path: f"(SELECT {what} FROM study x WHERE x.patient_pk = {patient})" for path, what in _COUNTS.items()}


@cache
def of_level(level: Level) -> dict[str, str]:
    """Attribute path -> SQL expression, of this level and of those above it."""
    known = {path: f"p.{name}" for path, name in _PERSON.items()}
    known |= _under("p", columns.PATIENT) | _counts("p.id")
    if level == "patient":
        return known
    known |= _under("s", columns.STUDY) | _OF_STUDY | _counts("s.patient_pk")
    if level == "study":
        return known
    known |= _under("r", columns.SERIES)
    known[REQUEST] = f"r.scheduled_step_id || '{SEPARATOR}' || r.requested_procedure_id"
    return known | _under("i", columns.INSTANCE) if level == "instance" else known


@cache
def below(level: Level) -> dict[str, str]:
    """Attribute path -> SQL expression over x, of what the levels below a study or series know: for its existence."""
    if level == "series":
        return _under("i", columns.INSTANCE)
    if level in ("patient", "study"):
        lower = {} if level == "study" else of_level("study")
        return {**lower, **_under("i", columns.INSTANCE), **_under("r", columns.SERIES)}
    return {}
