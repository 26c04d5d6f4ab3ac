"""Which objects the identifier of a C-MOVE or C-GET means (PS3.4 C.4.2.1.4, C.4.2.2): unique keys, nothing else."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.archive.models import Instance, Patient, Series, Study
from app.archive.queries import visible_to
from app.archive.rows import fold_id
from app.kit.errors import Invalid
from app.kit.phrases import phrase
from app.security.actor import Actor

# Query/Retrieve Level -> its unique key (PS3.4 C.6.1.1, C.6.2.1)
UNIQUE_KEYS = {
    "PATIENT": ("PatientID", 0x00100020),
    "STUDY": ("StudyInstanceUID", 0x0020000D),
    "SERIES": ("SeriesInstanceUID", 0x0020000E),
    "IMAGE": ("SOPInstanceUID", 0x00080018),
}
_COLUMNS = {
    "STUDY": Study.study_instance_uid,
    "SERIES": Series.series_instance_uid,
    "IMAGE": Instance.sop_instance_uid,
}
_LEVEL = 0x00080052
_STEP = 500  # UIDs of one statement


class BadKeys(Invalid):
    """The identifier does not fit the information model; `tag` is what is wrong with it."""

    code, dimse = "bad-keys", 0xA900

    def __init__(self, detail: str, tag: int) -> None:
        super().__init__(detail)
        self.tag = tag


def select_instances(
    session: Session, actor: Actor, levels: Sequence[str], identifier: Mapping[str, str], *, relational: bool = False
) -> list[Instance]:
    """The objects that are meant and that the actor may see, in the order of study, series, number.

    levels: of the information model, from the top down. Above the level that is asked for each unique key has one
    value, unless relational retrieval was agreed: then they may be missing (PS3.4 C.4.2.2.2). At that level UIDs may
    be a list. Raises BadKeys."""
    level = identifier.get("QueryRetrieveLevel", "").strip()
    if level not in levels:
        wanted = ", ".join(levels)
        raise BadKeys(phrase("Query/Retrieve Level must be one of {wanted}", wanted=wanted), _LEVEL)
    above: list[ColumnElement[bool]] = [visible_to(actor)]
    for name in levels[: levels.index(level)]:
        values = _values(identifier, name)
        if len(values) > 1 or not (values or relational):
            keyword, tag = UNIQUE_KEYS[name]
            raise BadKeys(phrase("One {keyword} is needed at level {level}", keyword=keyword, level=level), tag)
        above += [_is(name, value) for value in values]
    keyword, tag = UNIQUE_KEYS[level]
    values = _values(identifier, level)
    if not values or (level == "PATIENT" and len(values) > 1):
        raise BadKeys(phrase("{keyword} is needed at level {level}", keyword=keyword, level=level), tag)
    if issuer := identifier.get("IssuerOfPatientID", "").strip():
        above.append(Study.patient_pk.in_(select(Patient.id).where(Patient.issuer_of_patient_id == issuer)))
    if level == "PATIENT":
        return _found(session, [*above, _is(level, values[0])])
    found: list[Instance] = []
    for at in range(0, len(values), _STEP):
        found += _found(session, [*above, _COLUMNS[level].in_(values[at : at + _STEP])])
    return found


def _values(identifier: Mapping[str, str], level: str) -> list[str]:
    """The values of the level's unique key, each once."""
    text = identifier.get(UNIQUE_KEYS[level][0], "")
    parts = [part.strip() for part in text.split("\\")]
    return list(dict.fromkeys(part for part in parts if part and part != "*"))


def _is(level: str, value: str) -> ColumnElement[bool]:
    if level == "PATIENT":  # the folded form has the index
        return (Study.pid_fold == fold_id(value)) & (Study.patient_id == value)
    return _COLUMNS[level] == value


def _found(session: Session, conditions: Sequence[ColumnElement[bool]]) -> list[Instance]:
    query = (
        select(Instance)
        .join(Series, Series.id == Instance.series_pk)
        .join(Study, Study.id == Instance.study_pk)
        .where(*conditions)
        .order_by(Instance.study_pk, Series.series_number, Instance.series_pk, Instance.instance_number, Instance.id)
    )
    return list(session.scalars(query))
