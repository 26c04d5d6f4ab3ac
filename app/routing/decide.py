"""Which objects of a study a route takes. Pure over facts; the same for what happens and for what the bench shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.routing.conditions import ConditionFacts, conditions_match
from app.routing.rule import Rule, When


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route as the decision needs it. facility_id None: for every facility."""

    id: str
    name: str
    rule: Rule
    facility_id: str | None = None
    position: int = 0


@dataclass(slots=True)
class Taken:
    """Selection of a route: numbers of objects, and those that another route kept from it (number -> its name)."""

    route_id: str
    objects: list[int] = field(default_factory=list)
    stopped: dict[int, str] = field(default_factory=dict)


def rank(when: When) -> float:
    """Which of two routes comes first: objects as they arrive, then the shorter quiet, then the clock, then people."""
    return {"object": -1.0, "schedule": 1e9, "hand": 2e9}.get(when.kind, float(when.quiet))


def select_objects(
    route: Candidate,
    others: Sequence[Candidate],
    objects: Sequence[tuple[int, ConditionFacts]],
    facility_id: str | None,
) -> Taken:
    """The objects of one study that `route` selects.

    A route with `stop` keeps what it takes from those further down, unless they act before it: a question of the rules
    alone, so that the answer does not depend on who was quicker."""
    taken = Taken(route.id)
    if not applies_to_facility(route, facility_id):
        return taken
    stoppers = [
        one
        for one in others
        if one.id != route.id
        and one.rule.stops
        and one.position < route.position
        and rank(one.rule.when) <= rank(route.rule.when)
        and applies_to_facility(one, facility_id)
    ]
    kept = {one.id: _matching(one.rule, objects) for one in stoppers}
    for number in sorted(_matching(route.rule, objects)):
        stopper = next((one for one in stoppers if number in kept[one.id]), None)
        if stopper is None:
            taken.objects.append(number)
        else:
            taken.stopped[number] = stopper.name
    return taken


def applies_to_facility(route: Candidate, facility_id: str | None) -> bool:
    """Facility isolation: a route of a facility sees its studies only (SEC-10)."""
    return route.facility_id is None or route.facility_id == facility_id


def _matching(rule: Rule, objects: Sequence[tuple[int, ConditionFacts]]) -> set[int]:
    matching = {number for number, facts in objects if conditions_match(rule.conditions, facts)}
    return {number for number, _ in objects} if matching and rule.take == "study" else matching


def spans(chosen: Sequence[int], every: Sequence[int]) -> list[list[int]]:
    """Chosen numbers as [first, last] spans, unbroken among `every` (both ascending): short also where the numbers of
    several studies are interleaved."""
    found: list[list[int]] = []
    wanted, open_ = set(chosen), False
    for number in every:
        if number in wanted:
            if open_:
                found[-1][1] = number
            else:
                found.append([number, number])
        open_ = number in wanted
    return found


def within(ranges: Sequence[Sequence[int]]) -> Callable[[int], bool]:
    """Whether a number lies in one of the spans."""
    return lambda number: any(first <= number <= last for first, last in ranges)
