"""Which studies can match a query by attributes at all, so that an index is asked for them (`walks`) before any row is read.

What is said here may let through too much, never too little: `attribute_columns` and `dicom.matching` look at what is
left."""

import re
from collections.abc import Sequence

from app.archive.rows import fold_id, sort_key
from app.archive.search import plans
from app.archive.search.plans import Asked, Runner
from app.archive.search.study_list import add_dates, add_facility
from app.dicom import names
from app.dicom.matching import EMPTY, Key, alternatives, split_range, split_uids
from app.security import Actor

_UIDS = {
    "0020000D": "SELECT id FROM study WHERE study_instance_uid IN ({})",
    "0020000E": "SELECT study_pk AS id FROM series WHERE series_instance_uid IN ({})",
    "00080018": "SELECT study_pk AS id FROM instance WHERE sop_instance_uid IN ({})",
}
_PLAIN = re.compile(r"[A-Za-z0-9._/*? -]+")  # nothing that folding takes away
_EXACT = {"00080050": "accession_number", "00200010": "study_id"}


def narrowed(runner: Runner, actor: Actor, keys: Sequence[Key], fuzzy: bool) -> tuple[Asked, bool]:
    """What an index can say of these keys, and whether that is all there is to say."""
    asked, whole = Asked(), True
    if not actor.sees_all:
        add_facility(asked, actor.facility_id or "")
        asked.empty = not actor.facility_id
    for key in sorted(keys, key=lambda one: one.path != ("00080020",)):  # modalities look at the dates
        whole = _add(asked, runner, key, fuzzy) and whole
    return asked, whole


def _add(asked: Asked, runner: Runner, key: Key, fuzzy: bool) -> bool:
    """Adds a key; whether it is decided by that."""
    path, value = ".".join(key.path), key.value
    if value == EMPTY:
        return False
    if len(alternatives(key)) > 1:
        return _add_list(asked, path, value)
    if path in _UIDS:
        uids = sorted(split_uids(value))
        sql = _UIDS[path].format(", ".join("?" * len(uids)))
        if len(uids) > 500:
            return False
        asked.drivers.insert(0, (sql, uids))
        return False
    if path == "00080020":
        return _dates(asked, value)
    if path in ("00080061", "00080060") and value and not plans.has_wildcards(value):
        plans.add_modalities(asked, [value])
        return path == "00080061"
    if path == "00100010":
        _name(asked, runner, value, fuzzy)
    elif path == "00100020":
        _patient_id(asked, runner, value)
    elif path in _EXACT:
        _beginning(asked, _EXACT[path], plans.prefix_of(value), plans.has_wildcards(value))
    elif path == "00081030" and _PLAIN.fullmatch(value):
        plans.add_listed(asked, runner, "description_fold", names.fold(value))
    elif path == "00100030":
        _birth(asked, value)
    elif path == "00080030":
        _times(asked, value)
    return False


def _add_list(asked: Asked, path: str, value: str) -> bool:
    """Adds a key with several values, of which one must match; whether it is decided by that."""
    if path not in ("00080061", "00080060") or plans.has_wildcards(value):
        return False
    plans.add_modalities(asked, [one for one in value.split("\\") if one])
    return path == "00080061"


def _bounds(value: str) -> tuple[str, str]:
    low, high = (bound.replace(".", "") for bound in split_range("DA", value))
    return low, high


def _dates(asked: Asked, value: str) -> bool:
    low, high = _bounds(value)
    if any(bound and not (len(bound) == 8 and bound.isascii() and bound.isdigit()) for bound in (low, high)):
        return False
    add_dates(asked, sort_key(low, "") or 1, sort_key(high or "99999999", "235960"))
    return True


def _birth(asked: Asked, value: str) -> None:
    low, high = _bounds(value)
    values = [low or "0", high or "99999999"]
    asked.drivers.append(("SELECT id FROM study WHERE birth_date >= ? AND birth_date <= ?", values))


def _times(asked: Asked, value: str) -> None:
    """By the hour: the sort key ends with hhmmss where there is a date."""
    low, high = (bound.replace(":", "")[:2] for bound in split_range("TM", value))
    if all(bound.isascii() and (bound.isdigit() or not bound) for bound in (low, high)):
        values = [int(low or "0") * 10_000, int(high or "99") * 10_000 + 9_999]
        asked.add("(s.dt = 0 OR s.dt - s.dt / 1000000 * 1000000 BETWEEN ? AND ?)", *values, covered=True)


def _patient_id(asked: Asked, runner: Runner, value: str) -> None:
    if plans.has_wildcards(value) and _PLAIN.fullmatch(value):
        plans.add_patient_id(asked, runner, fold_id(value))
    else:
        _beginning(asked, "pid_fold", fold_id(plans.prefix_of(value)), plans.has_wildcards(value))


def _beginning(asked: Asked, column: str, start: str, more: bool) -> None:
    if start:
        plans.matched(asked, column, f"{start}*" if more else start)


def _name(asked: Asked, runner: Runner, value: str, fuzzy: bool) -> None:
    """By the index where the alphabetic group begins so, else by full text."""
    if fuzzy:
        words = [word.strip("*?") for word in names.fold(value).split()]
        words = [word for word in words if word.isascii() and word.isalnum()]
        _inside(asked, runner, words)
        plans.add_patients(asked, runner, words, [])
        return
    start = names.fold(plans.prefix_of(value))
    if value.isascii() and "=" not in value and start:
        plans.matched(asked, "fold", f"{start}*")
        return
    parts = [part for chunk in value.replace("?", "*").split("*") for part in names.fold(chunk).split()]
    parts = [part for part in parts if len(part) >= 3 and part.isascii()]
    _inside(asked, runner, parts)
    plans.add_patients(asked, runner, [], parts)


def _inside(asked: Asked, runner: Runner, parts: Sequence[str]) -> None:
    """Seen on the entries of every walk's index, so that no row is read for it. What are more is seen on the rows."""
    for part in list(dict.fromkeys(parts))[: plans.MOST_WORDS]:
        asked.add(f"{'strpos' if runner.postgresql else 'instr'}(s.fold, ?) > 0", part, covered=True)
