"""C-FIND: the part of a query that speaks of patients and studies, as conditions and drivers of `plans`.

The study list's own plans are used: they let through too much (case, accents, punctuation), never too little; the keys
that they do not decide are tested again on the values."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.archive.search import plans
from app.archive.search.columns import of_level
from app.archive.search.keys import Narrow, narrow, values_of
from app.archive.search.plans import Asked, Runner
from app.archive.search.study_list import StudyFilter, compiled
from app.dicom import names
from app.dicom.matching import EMPTY, Key, split_range
from app.security import Actor

NAME, PATIENT_ID, MODALITIES, STUDY_UID = "00100010", "00100020", "00080061", "0020000D"
DATE, TIME, BIRTH = "00080020", "00080030", "00100030"
_DECIDED = frozenset((MODALITIES, DATE, BIRTH, STUDY_UID))  # exactly, by what `_listed` and `ask` make of them


def ask(runner: Runner, actor: Actor, keys: Sequence[Key], fuzzy: bool) -> tuple[Asked, list[Key]]:
    """The conditions on `study s` of the keys that the study list knows; and the keys whose values must be tested, too."""
    wanted, again, rest = StudyFilter(), [], []
    for key in keys:
        made = _listed(wanted, key, fuzzy)
        if made is None:
            rest.append(key)
        else:
            wanted = made
            if key.path[0] not in _DECIDED:
                again.append(key)
    asked = compiled(runner, actor, wanted)
    for key in rest:
        if not _own(asked, runner, key, fuzzy):
            again.append(key)
    return asked, again


def _listed(wanted: StudyFilter, key: Key, fuzzy: bool) -> StudyFilter | None:
    """The filter with this key in it; None where the study list has nothing like it."""
    path, values = ".".join(key.path), values_of(key)
    if key.value == EMPTY or not values:
        return None
    if path == MODALITIES:
        return None if any("*" in v or "?" in v for v in values) else replace(wanted, modalities=values)
    if path == DATE:
        return replace(wanted, study_date=_days(key.value))
    if path == BIRTH:
        return replace(wanted, birth_date="-".join(_days(key.value)))
    if path == TIME:
        low, high = split_range("TM", key.value)
        return replace(wanted, study_time=(low[:2], high[:2]))
    if len(values) != 1:
        return None
    value = values[0]
    if path == NAME and not fuzzy and "=" not in value.strip("="):
        return replace(wanted, patient_name=value)
    if path in ("00080050", "00200010"):
        return replace(wanted, accession_number=value) if path == "00080050" else replace(wanted, study_id=value)
    if "?" in value:  # folding may shorten what stands for several characters
        return None
    if path == PATIENT_ID:
        return replace(wanted, patient_id=value)
    return replace(wanted, description=value) if path == "00081030" else None


def _days(value: str) -> tuple[str, str]:
    low, high = split_range("DA", value)
    return low.replace(".", ""), high.replace(".", "")


def _own(asked: Asked, runner: Runner, key: Key, fuzzy: bool) -> bool:
    """Adds the condition of a key that the study list does not know; whether it decides."""
    path, values = ".".join(key.path), values_of(key)
    if path == STUDY_UID:
        add_uids(asked, "s.study_instance_uid", "SELECT id FROM study WHERE study_instance_uid", values)
        return True
    if path == NAME and fuzzy and len(values) == 1:
        _fuzzy(asked, runner, values[0])
        return False
    if path == PATIENT_ID and key.value != EMPTY and not any("*" in v or "?" in v for v in values):
        folded = [names.fold(v)[:64] for v in values]
        add_uids(asked, "s.pid_fold", "SELECT id FROM study WHERE pid_fold", folded)
        return False
    if path == MODALITIES and key.value != EMPTY:
        tests = " OR ".join(["m.modality LIKE ? ESCAPE '!'"] * len(values))
        asked.add(
            f"EXISTS (SELECT 1 FROM study_modality m WHERE m.study_pk = s.id AND ({tests}))",
            *(plans.like(v) for v in values),
        )
        return False
    if path == "00080090" and len(values) == 1 and "=" not in values[0] and key.value != EMPTY:
        asked.add("('=' || s.referring_fold || '=') LIKE ? ESCAPE '!'", f"%={plans.like(names.fold(values[0]))}=%")
        return False
    column = of_level("study")[path]
    if column.startswith("p.") and not column.startswith("p.id"):
        column = f"(SELECT {column} FROM patient p WHERE p.id = s.patient_pk)"
    found = narrow(path, column, key, fuzzy)
    asked.add(found.sql, *found.values)
    return found.test is None


def add_uids(asked: Asked, column: str, select: str, values: list[str]) -> None:
    """A list that an index knows: condition and first driver."""
    if not values:
        asked.empty = True
        return
    marks = ", ".join("?" * len(values))
    asked.add(f"{column} IN ({marks})", *values)
    asked.drivers.insert(0, (f"{select} IN ({marks})", list(values)))


def _fuzzy(asked: Asked, runner: Runner, wanted: str) -> None:
    """Each word asked for begins a word of the name (PS3.18 8.3.4.2)."""
    words = [word.strip("*?") for word in names.fold(wanted).split()]
    words = [word for word in dict.fromkeys(words) if word][: plans.MOST_WORDS]  # all are tested again on the values
    for word in words:
        asked.add("(' ' || replace(s.fold, '=', ' ')) LIKE ? ESCAPE '!'", f"% {plans.like(word)}%")
    found = plans.patients_with(runner, words, [])
    if found is not None:
        sql, values = found
        asked.drivers.append((f"SELECT id FROM study WHERE patient_pk IN ({sql})", list(values)))


def exists_below(
    level: str, path: str, column: str, key: Key, fuzzy: bool
) -> tuple[Narrow, tuple[str, list[Any]] | None]:
    """A condition that a study (s) or series (r) has something below it with this value; a driver for UIDs."""
    inner = narrow(path, column, key, fuzzy)
    if column.startswith("i."):
        where = f"i.series_pk = {'r.id' if level == 'series' else 'y.id'}"
        frm = "instance i" if level == "series" else "series y JOIN instance i ON i.series_pk = y.id"
        if level != "series":
            where = "y.study_pk = s.id"
    else:
        frm, where = "series r", "r.study_pk = s.id"
    sql = f"EXISTS (SELECT 1 FROM {frm} WHERE {where} AND {inner.sql})"
    driver = None
    if key.vr == "UI" and level != "series" and path in ("0020000E", "00080018"):
        table = "instance i" if column.startswith("i.") else "series r"
        driver = (f"SELECT {column.split('.')[0]}.study_pk AS id FROM {table} WHERE {inner.sql}", list(inner.values))
        sql = f"s.id IN ({driver[0]})"
    return Narrow(sql, list(inner.values)), driver
