"""Which studies a query can match at all, so that an index is asked for them before any row is read (`walks`, `chunks`).

What is added here may let through too much (case, accents, punctuation), never too little: all keys that it does not
decide are looked at on the columns (`query`)."""

from collections.abc import Sequence
from typing import Any

from app.archive.rows import fold_id, sort_key
from app.archive.search import plans
from app.archive.search.columns import MODALITIES
from app.archive.search.keys import Narrow, column_condition, values_of
from app.archive.search.plans import Bound, CompiledFilter, SqlRunner
from app.archive.search.study_list import add_dates, add_facility
from app.dicom import names
from app.dicom.matching import EMPTY, Key, split_range
from app.security import Actor

NAME, PATIENT_ID, BIRTH, MODALITY, STUDY_UID = "00100010", "00100020", "00100030", "00080060", "0020000D"
DATE, TIME, DESCRIPTION, REFERRING = "00080020", "00080030", "00081030", "00080090"
_EXACT = {"00080050": "accession_number", "00200010": "study_id"}
_LONGEST = 200  # characters of a value whose folded form is compared: columns of folded text are cut off behind


def narrow_studies(
    runner: SqlRunner, actor: Actor, keys: Sequence[Key], fuzzy: bool
) -> tuple[CompiledFilter, list[tuple[Key, bool]]]:
    """Conditions that an index can answer for keys of study attributes; and the keys that this does not decide, each
    with whether a condition of it is among them."""
    asked, rest = CompiledFilter(), list[tuple[Key, bool]]()
    if not actor.sees_all:
        add_facility(asked, actor.facility_id or "")
        asked.empty = not actor.facility_id
    for key in sorted(keys, key=lambda one: one.path != (DATE,)):  # modalities look at the dates
        before = len(asked.conditions)
        if not _add(asked, runner, key, fuzzy):
            rest.append((key, len(asked.conditions) > before))
    if asked.dates != (0, 0):
        asked.drivers.append(("SELECT id FROM study WHERE dt >= ? AND dt <= ?", list(asked.dates)))
    return asked, rest


def add_modality(asked: CompiledFilter, key: Key) -> None:
    """A series of such a modality is in a study of such a modality."""
    values = values_of(key)
    if values and key.value != EMPTY and not any(map(plans.has_wildcards, values)):
        plans.add_modalities(asked, values)


def _add(asked: CompiledFilter, runner: SqlRunner, key: Key, fuzzy: bool) -> bool:
    """Adds a key; whether it is decided by that."""
    path, values = ".".join(key.path), values_of(key)
    if key.value == EMPTY or not values:
        return False
    exact = not any(map(plans.has_wildcards, values))
    if path == STUDY_UID:
        _add_list(asked, "study_instance_uid", values)
        return True
    if path in _EXACT and exact:
        _add_list(asked, _EXACT[path], values)
        return True
    if path == MODALITIES and exact:
        plans.add_modalities(asked, values)
        return True
    if len(values) > 1:
        return False
    if path == DATE:
        return _dates(asked, values[0])
    if path == NAME:
        _name(asked, runner, values[0], fuzzy)
    elif path == PATIENT_ID:
        _patient_id(asked, runner, values[0])
    elif path in _EXACT:
        plans.match_condition(asked, _EXACT[path], values[0])
    elif path == DESCRIPTION and _is_foldable(values[0]):
        plans.add_listed(asked, runner, "description_fold", _folded(values[0]))
    elif path == BIRTH:
        _birth(asked, values[0])
    elif path == TIME:
        _times(asked, values[0])
    return False


def _add_list(asked: CompiledFilter, column: str, values: list[str]) -> None:
    """One of these values, that an index knows: condition and first driver."""
    marks = ", ".join("?" * len(values))
    asked.add(f"s.{column} IN ({marks})", *values)
    asked.drivers.insert(0, (f"SELECT id FROM study WHERE {column} IN ({marks})", list(values)))


def _is_foldable(value: str) -> bool:
    """Whether the folded form of a text that matches has the folded form of these pieces."""
    return len(value) <= _LONGEST and (value.isascii() or not plans.has_wildcards(value))


def _folded(value: str) -> str:
    """A pattern for folded text. Folding may shorten the text that `?` matches, and removes blanks beside a
    wildcard."""
    return "*".join(names.fold(piece) for piece in value.replace("?", "*").split("*"))


def _bounds(value: str) -> tuple[str, str]:
    low, high = (bound.replace(".", "") for bound in split_range("DA", value))
    return low, high


def _dates(asked: CompiledFilter, value: str) -> bool:
    low, high = _bounds(value)
    if any(bound and not (len(bound) == 8 and bound.isascii() and bound.isdigit()) for bound in (low, high)):
        return False
    add_dates(asked, sort_key(low, "") or 1, sort_key(high or "99999999", "999999"))
    return True


def _birth(asked: CompiledFilter, value: str) -> None:
    low, high = _bounds(value)
    values = [low or "0", high or "99999999"]
    asked.drivers.append(("SELECT id FROM study WHERE birth_date >= ? AND birth_date <= ?", values))


def _times(asked: CompiledFilter, value: str) -> None:
    """By the hour: the sort key ends with hhmmss where there is a date."""
    low, high = (bound.replace(":", "")[:2] for bound in split_range("TM", value))
    if all(bound.isascii() and (bound.isdigit() or not bound) for bound in (low, high)):
        values = [int(low or "0") * 10_000, int(high or "99") * 10_000 + 9_999]
        asked.add("(s.dt = 0 OR s.dt - s.dt / 1000000 * 1000000 BETWEEN ? AND ?)", *values, covered=True)


def _patient_id(asked: CompiledFilter, runner: SqlRunner, value: str) -> None:
    if not plans.has_wildcards(value):
        plans.match_condition(asked, "pid_fold", fold_id(value))
    elif _is_foldable(value):
        plans.add_patient_id(asked, runner, _folded(value))


def _name(asked: CompiledFilter, runner: SqlRunner, value: str, fuzzy: bool) -> None:
    """Names are compared folded, any of their component groups with the one asked for."""
    if fuzzy:
        _words(asked, runner, value)
    elif "=" not in (group := value.strip("=")) and names.fold(group).strip("* "):
        plans.add_name(asked, runner, group)


def _words(asked: CompiledFilter, runner: SqlRunner, value: str) -> None:
    """Each word asked for begins a word of the name (PS3.18 8.3.4.2)."""
    words = [word for word in dict.fromkeys(one.strip("*?") for one in names.fold(value).split()) if word]
    inside = "strpos" if runner.postgresql else "instr"
    for word in words[: plans.MOST_WORDS]:  # all are tested again on the values
        asked.add(f"{inside}(' ' || replace(s.fold, '=', ' '), ?) > 0", f" {word}", covered=True)
    plans.add_patients(asked, runner, [word for word in words if word.isascii() and word.isalnum()], [])


def on_column(path: str, column: str, key: Key, fuzzy: bool) -> list[Narrow]:
    """The conditions that a key makes of a study's column."""
    found = column_condition(path, column, key, fuzzy)
    values = values_of(key)
    if path != REFERRING or key.value == EMPTY or len(values) != 1 or fuzzy or "=" in values[0]:
        return [found]
    folded = f"%={plans.like_pattern(names.fold(values[0]))}=%"
    return [found, Narrow("('=' || s.referring_fold || '=') LIKE ? ESCAPE '!'", [folded])]


def exists_below(level: str, path: str, column: str, found: Narrow) -> tuple[Narrow, Bound | None]:
    """A condition that a study (s) or series (r) has something below it with this value; a driver for UIDs."""
    of_instance = column.startswith(('i."', "nullif(i."))
    if level == "series":
        frm, where = "instance i", "i.series_pk = r.id"
    elif of_instance:
        frm, where = "series y JOIN instance i ON i.series_pk = y.id", "y.study_pk = s.id"
    else:
        frm, where = "series r", "r.study_pk = s.id"
    values: list[Any] = list(found.values)
    if level == "series" or path not in ("0020000E", "00080018"):
        return Narrow(f"EXISTS (SELECT 1 FROM {frm} WHERE {where} AND {found.sql})", values), None
    alias, table = ("i", "instance i") if of_instance else ("r", "series r")
    driver = (f"SELECT {alias}.study_pk AS id FROM {table} WHERE {found.sql}", values)
    return Narrow(f"s.id IN ({driver[0]})", values), driver
