"""Whether an object is what a rule means, and why not. Pure."""

from dataclasses import dataclass, field
from typing import Protocol

from app.routing.patterns import condition_holds
from app.routing.rule import Condition, ConditionGroup, Conditions


class ConditionFacts(Protocol):
    """An object as conditions see it."""

    def values(self, field: str) -> list[str] | None:
        """The values of a field; None where it is not there."""


@dataclass(slots=True)
class Verdict:
    """Result of one condition or group. seen: the object's values, which may be patient data: for the person who
    asked, never for a log."""

    ok: bool
    condition: Condition | None = None
    match: str = ""
    seen: list[str] | None = None
    inner: list["Verdict"] = field(default_factory=list)


def conditions_match(conditions: Conditions | ConditionGroup, facts: ConditionFacts) -> bool:
    """Whether the object is meant; looks no further than it must."""
    if not conditions.items:
        return True
    judge = all if conditions.match == "all" else any
    return judge(
        condition_holds(item.field, item.op, item.value, facts.values(item.field))
        if isinstance(item, Condition)
        else conditions_match(item, facts)
        for item in conditions.items
    )


def explain_conditions(conditions: Conditions | ConditionGroup, facts: ConditionFacts) -> Verdict:
    """The same, with the result of every condition."""
    inner = []
    for item in conditions.items:
        if isinstance(item, Condition):
            seen = facts.values(item.field)
            inner.append(Verdict(condition_holds(item.field, item.op, item.value, seen), item, "", seen))
        else:
            inner.append(explain_conditions(item, facts))
    judge = all if conditions.match == "all" else any
    return Verdict(not inner or judge(one.ok for one in inner), None, conditions.match, None, inner)
