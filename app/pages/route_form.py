"""The form of a route: fields with dotted names ("conditions.items.0.value") to nested values and on to a rule, and back.
Rows are added, removed and moved by buttons of the form, so that it works without script. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.kit.errors import BadRequest
from app.kit.numbers import parse_integer
from app.routing.rule import VIRTUAL

# Attributes that most rules ask for; any other is typed as keyword or number.
COMMON = (
    "Modality",
    "StudyDescription",
    "SeriesDescription",
    "BodyPartExamined",
    "InstitutionName",
    "StationName",
    "Manufacturer",
    "ReferringPhysicianName",
    "PatientID",
    "SOPClassUID",
)
OTHER = "tag"
_MOST_ROWS, _DEEPEST = 60, 8
Typed = dict[str, Any]


def nest(pairs: Iterable[tuple[str, str]]) -> Typed:
    """Fields by their dotted names; every leaf is the list of its values. Raises BadRequest for names no form has."""
    found: Typed = {}
    for name, value in pairs:
        steps = name.split(".")
        if len(steps) > _DEEPEST:
            raise BadRequest("Unknown form field.")
        level = found
        for step in steps[:-1]:
            level = level.setdefault(step, {})
            if not isinstance(level, dict):
                raise BadRequest("Unknown form field.")
        leaf = level.setdefault(steps[-1], [])
        if not isinstance(leaf, list):
            raise BadRequest("Unknown form field.")
        leaf.append(value)
    return found


def _single_value(of: Any, name: str, default: str = "") -> str:
    values = of.get(name) if isinstance(of, dict) else None
    return str(values[0]).strip() if isinstance(values, list) and values else default


def _all_values(of: Any, name: str) -> list[str]:
    values = of.get(name) if isinstance(of, dict) else None
    return [str(value) for value in values] if isinstance(values, list) else []


def _rows(of: Any, name: str) -> list[Any]:
    rows = of.get(name) if isinstance(of, dict) else None
    if not isinstance(rows, dict):
        return []
    return [rows[key] for key in sorted((k for k in rows if parse_integer(k) is not None), key=int)][:_MOST_ROWS]


def typed(pairs: Iterable[tuple[str, str]]) -> Typed:
    """Values of the form, complete and in order."""
    raw = nest(pairs)
    when, conditions = raw.get("when", {}), raw.get("conditions", {})
    return {
        "name": _single_value(raw, "name"),
        "facility_id": _single_value(raw, "facility_id"),
        "take": _single_value(raw, "take", "matching"),
        "when": {
            "kind": _single_value(when, "kind", "settled"),
            "quiet": _single_value(when, "quiet", "10"),
            "at": _single_value(when, "at"),
            "every": _single_value(when, "every"),
            "weekdays": _all_values(when, "weekdays"),
        },
        "conditions": {
            "match": _single_value(conditions, "match", "all"),
            "items": [_item(r) for r in _rows(conditions, "items")],
        },
        "actions": [_action(row) for row in _rows(raw, "actions")],
    }


def _item(raw: Any) -> Typed:
    if _single_value(raw, "group"):
        return {"match": _single_value(raw, "match", "any"), "items": [_condition(row) for row in _rows(raw, "items")]}
    return _condition(raw)


def _condition(raw: Any) -> Typed:
    return {key: _single_value(raw, key, default) for key, default in _BLANK_CONDITION.items()}


_BLANK_CONDITION = {"what": "Modality", "tag": "", "op": "is", "value": "", "high": ""}
_BLANK_CHANGE = {"op": "set", "tag": "", "value": "", "find": "", "source": ""}


def _action(raw: Any) -> Typed:
    made = {
        "do": _single_value(raw, "do", "send"),
        "nodes": _all_values(raw, "nodes"),
        "back": bool(_single_value(raw, "back")),
        "profile": _single_value(raw, "profile", "basic"),
        "project": _single_value(raw, "project"),
        "options": _all_values(raw, "options"),
    }
    changes = [
        {key: _single_value(row, key, default) for key, default in _BLANK_CHANGE.items()}
        for row in _rows(raw, "changes")
    ]
    return made | {"changes": changes}


def blank() -> Typed:
    """The form of a new route."""
    return typed([("when.kind", "settled"), ("conditions.items.0.what", "Modality"), ("actions.0.do", "send")])


# -- buttons of the form -----------------------------------------------------------------------------------------


def command(form: Typed, said: str) -> None:
    """Applies the command of a button: "add:conditions.items:condition", "remove:actions.1", "up:actions.1",
    "down:actions.1", "refresh". Raises BadRequest for anything else."""
    verb, _, rest = said.partition(":")
    place, _, kind = rest.partition(":")
    if verb == "refresh":
        return
    if verb == "add":
        rows = _at(form, place.split("."))
        if not isinstance(rows, list):
            raise BadRequest("Unknown form action.")
        if len(rows) < _MOST_ROWS:
            rows.append(_fresh(kind))
        return
    steps = place.split(".")
    rows, number = _at(form, steps[:-1]), parse_integer(steps[-1])
    if not isinstance(rows, list) or number is None or number >= len(rows):
        raise BadRequest("Unknown form action.")
    row = rows.pop(number)
    if verb in ("up", "down"):
        rows.insert(max(0, number + (1 if verb == "down" else -1)), row)
    elif verb != "remove":
        raise BadRequest("Unknown form action.")


def _at(form: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(form, dict):
            form = form.get(step)
        elif isinstance(form, list) and (number := parse_integer(step, high=len(form) - 1)) is not None:
            form = form[number]
        else:
            return None
    return form


def _fresh(kind: str) -> Typed:
    if kind == "condition":
        return dict(_BLANK_CONDITION)
    if kind == "group":
        return {"match": "any", "items": [dict(_BLANK_CONDITION)]}
    if kind == "change":
        return dict(_BLANK_CHANGE)
    if kind in ("send", "anonymize", "change-step", "drop", "stop"):
        made = _action({"do": [kind.removesuffix("-step")]})
        return made | {"changes": [dict(_BLANK_CHANGE)]} if kind == "change-step" else made
    raise BadRequest("Unknown form action.")


# -- to a rule and back ------------------------------------------------------------------------------------------


def rule_of(form: Typed) -> dict[str, Any]:
    """The rule of the form, in the REST format; what is wrong with it is found by `rule.read`."""
    when = form["when"]
    start: dict[str, Any] = {"kind": when["kind"]}
    if when["kind"] in ("settled", "schedule"):
        start["quiet"] = _number(when["quiet"]) if when["quiet"] else 10
    if when["kind"] == "schedule":
        start |= {
            "at": _listed(when["at"]),
            "every": _number(when["every"]) if when["every"] else None,
            "weekdays": when["weekdays"],
        }
    return {
        "when": start,
        "take": form["take"],
        "conditions": {
            "match": form["conditions"]["match"],
            "items": [_condition_fields(item) for item in form["conditions"]["items"]],
        },
        "actions": [_action_fields(action) for action in form["actions"]],
    }


def _number(text: str) -> int | str:
    """A number as typed; any other text as it is, which `rule.read` refuses."""
    found = parse_integer(text.strip())
    return text if found is None else found


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]


def _condition_fields(item: Typed) -> dict[str, Any]:
    if "items" in item:
        return {"match": item["match"], "items": [_condition_fields(one) for one in item["items"]]}
    value: str | list[str] = item["value"]
    if item["op"] == "one-of":
        value = _listed(item["value"])
    elif item["op"] == "between":
        value = [item["value"], item["high"]]
    elif item["op"] in ("exists", "missing"):
        value = ""
    return {"field": item["tag"] if item["what"] == OTHER else item["what"], "op": item["op"], "value": value}


def _action_fields(action: Typed) -> dict[str, Any]:
    if action["do"] == "send":
        return {"do": "send", "nodes": action["nodes"], "back": action["back"]}
    if action["do"] == "anonymize":
        return {key: action[key] for key in ("do", "profile", "project", "options")}
    if action["do"] == "change":
        used = {"set": ("value",), "replace": ("find", "value"), "copy": ("source",)}
        return {
            "do": "change",
            "changes": [
                {"op": one["op"], "tag": one["tag"]} | {key: one[key] for key in used.get(one["op"], ())}
                for one in action["changes"]
            ],
        }
    return {"do": action["do"]}


def form_of(name: str, facility_id: str, rule: dict[str, Any]) -> Typed:
    """The form of a saved route."""
    when = rule["when"]
    return {
        "name": name,
        "facility_id": facility_id,
        "take": rule["take"],
        "when": {
            "kind": when["kind"],
            "quiet": str(when["quiet"]),
            "at": ", ".join(when["at"]),
            "every": str(when["every"] or ""),
            "weekdays": when["weekdays"],
        },
        "conditions": {
            "match": rule["conditions"]["match"],
            "items": [_condition_form(item) for item in rule["conditions"]["items"]],
        },
        "actions": [_action({}) | action for action in rule["actions"]],
    }


def _condition_form(item: dict[str, Any]) -> Typed:
    if "items" in item:
        return {"match": item["match"], "items": [_condition_form(one) for one in item["items"]]}
    field, value = item["field"], item["value"]
    known = field in VIRTUAL or field in COMMON
    shown = {"what": field if known else OTHER, "tag": "" if known else field, "op": item["op"], "high": ""}
    if item["op"] == "between":
        return shown | {"value": value[0], "high": value[1]}
    return shown | {"value": ", ".join(value) if isinstance(value, list) else value}
