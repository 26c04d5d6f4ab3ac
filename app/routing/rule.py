"""Content of a route: when, which objects, what to do. Shape and bounds here; `faults` finds what no schema can see."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from app.dicom.lookup import UnknownAttribute, parse
from app.kit.errors import Invalid
from app.kit.phrases import Phrase, phrase
from app.kit.validation import message_of
from app.routing import changing, patterns

VIRTUAL = ("calling", "called", "facility", "source", "node", "time", "weekday")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Operator = Literal[
    "is",
    "is-not",
    "contains",
    "starts",
    "wildcard",
    "regex",
    "one-of",
    "exists",
    "missing",
    "greater",
    "less",
    "between",
]
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class When(_Part):
    """object: each as it arrives; settled: when nothing came for `quiet` seconds; schedule: at times of the day (`at`)
    or every `every` minutes, on these weekdays (none: all), in the time zone of the site; hand: manually."""

    kind: Literal["object", "settled", "schedule", "hand"] = "settled"
    quiet: int = Field(10, strict=True, ge=1, le=86400, description="Seconds without a new object")
    at: list[str] = Field([], max_length=48, description="HH:MM")
    every: int | None = Field(None, strict=True, ge=1, le=1440, description="Minutes")
    weekdays: list[Weekday] = Field([], max_length=7)


class Condition(_Part):
    """One comparison. field: a keyword, a tag number, a path with dots, `0009xx01:CREATOR`, or one of calling, called,
    facility, source, node, time, weekday. Texts are compared without regard to case; of several values one suffices."""

    field: str = Field(min_length=1, max_length=256)
    op: Operator = "is"
    value: str | list[str] = Field("", max_length=1024, description="A list for one-of, [low, high] for between")


class ConditionGroup(_Part):
    """all: every one must hold; any: one suffices. Without a condition every object is meant."""

    match: Literal["all", "any"] = "all"
    items: list[Condition] = Field([], max_length=50)


def _kind(value: Any) -> str:
    has_items = "items" in value if isinstance(value, dict) else isinstance(value, ConditionGroup)
    return "group" if has_items else "condition"


class Conditions(_Part):
    """The conditions of a route, groups among them."""

    match: Literal["all", "any"] = "all"
    items: list[
        Annotated[
            Annotated[Condition, Tag("condition")] | Annotated[ConditionGroup, Tag("group")], Discriminator(_kind)
        ]
    ] = Field([], max_length=50)


class Send(_Part):
    """To these nodes, DICOM, DICOMweb or folder. back: also to the node an object came from."""

    do: Literal["send"]
    nodes: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=20, description="Names or ids")
    back: bool = False


class Anonymize(_Part):
    """After this step the objects are anonymized copies; the stored object stays as it is."""

    do: Literal["anonymize"]
    profile: str = Field("basic", max_length=64)
    options: list[str] = Field([], max_length=10)
    project: str = Field("", max_length=64)


class AttributeChange(_Part):
    """set: to the value; remove: the attribute; replace: `find` by `value` within its text; copy: the value of `source`."""

    op: Literal["set", "remove", "replace", "copy"] = "set"
    tag: str = Field(min_length=1, max_length=256)
    value: str = Field("", max_length=1024)
    find: str = Field("", max_length=256)
    source: str = Field("", max_length=256)


class Changes(_Part):
    """After this step these attributes are changed; the stored object stays as it is."""

    do: Literal["change"]
    changes: list[AttributeChange] = Field(min_length=1, max_length=50)


class Drop(_Part):
    """Delete here once every transfer of the run is proven: delivered, or committed where the node can."""

    do: Literal["drop"]


class Stop(_Part):
    """Routes further down leave these objects alone."""

    do: Literal["stop"]


Action = Annotated[Send | Anonymize | Changes | Drop | Stop, Field(discriminator="do")]


class Rule(_Part):
    """take: of a study the objects that the conditions mean, or all of it when they mean one."""

    when: When = Field(default_factory=lambda: When.model_validate({}))
    take: Literal["matching", "study"] = "matching"
    conditions: Conditions = Field(default_factory=lambda: Conditions.model_validate({}))
    actions: list[Action] = Field([], max_length=20)

    def action(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.actions if isinstance(one, kind)]

    @property
    def stops(self) -> bool:
        return bool(self.action(Stop))

    @property
    def drops(self) -> bool:
        return bool(self.action(Drop))

    @property
    def derives(self) -> bool:
        """Whether something else than the stored objects leaves."""
        return bool(self.action(Anonymize) or self.action(Changes))


_TAGS = {"condition", "group", "send", "anonymize", "change", "drop", "stop"}


def read(data: dict[str, Any]) -> Rule:
    """A rule from the values of a form or REST request. Raises Invalid with `errors`: place -> words; a place is like
    `conditions.items.0.value`."""
    try:
        rule = Rule.model_validate(data)
    except ValidationError as raised:
        wrong = {_location_path(error["loc"]): message_of(error) for error in raised.errors()}
    else:
        wrong = faults(rule)
    if wrong:
        field, words = next(iter(wrong.items()))
        raise Invalid(phrase("{field}: {words}", field=field, words=words), field=field, errors=wrong)
    return rule


def _location_path(location: tuple[int | str, ...]) -> str:
    """pydantic names the member of a union between the steps; people need not know."""
    return ".".join(
        str(step)
        for number, step in enumerate(location)
        if not (step in _TAGS and number and isinstance(location[number - 1], int))
    )


def faults(rule: Rule) -> dict[str, Phrase]:
    """Place -> what is wrong there. Pure."""
    found: dict[str, Phrase] = {}
    _check_when(rule.when, found)
    for number, item in enumerate(rule.conditions.items):
        place = f"conditions.items.{number}"
        if isinstance(item, ConditionGroup):
            for inner, one in enumerate(item.items):
                _check_condition(one, f"{place}.items.{inner}", found)
        else:
            _check_condition(item, place, found)
    _check_actions(rule, found)
    return found


def _check_when(when: When, found: dict[str, Phrase]) -> None:
    for number, clock in enumerate(when.at):
        if not _CLOCK.fullmatch(clock):
            found[f"when.at.{number}"] = phrase("Write a time of day as HH:MM, like 02:00.")
    if when.kind == "schedule" and bool(when.at) == (when.every is not None):
        found["when.at"] = phrase("Give times of the day, or every how many minutes; one of both.")


def _check_condition(one: Condition, place: str, found: dict[str, Phrase]) -> None:
    if one.field not in VIRTUAL:
        try:
            parse(one.field)
        except UnknownAttribute:
            found[f"{place}.field"] = phrase(
                "{name} is not a keyword, a tag or a path of tags.", name=one.field if one.field.isprintable() else "?"
            )
            return
    if words := patterns.value_fault(one.field, one.op, one.value):
        found[f"{place}.value"] = words


def _check_actions(rule: Rule, found: dict[str, Phrase]) -> None:
    if not rule.actions:
        found["actions"] = phrase("A route needs something to do.")
    if rule.drops and not rule.action(Send):
        found["actions"] = phrase("Nothing may be dropped here that is not sent anywhere.")
    for number, action in enumerate(rule.actions):
        place = f"actions.{number}"
        if isinstance(action, Drop | Stop) and any(not isinstance(a, Drop | Stop) for a in rule.actions[number + 1 :]):
            found[place] = phrase("Delete here and Stop must be the last actions.")
        elif isinstance(action, Anonymize):
            if words := changing.profile_fault(action.profile, action.options):
                found[f"{place}.profile"] = words
        elif isinstance(action, Changes):
            for inner, change in enumerate(action.changes):
                field, words = changing.change_fault(change.op, change.tag, change.value, change.find, change.source)
                if words:
                    found[f"{place}.changes.{inner}.{field}"] = words
        if isinstance(action, Anonymize | Changes) and not any(isinstance(a, Send) for a in rule.actions[number + 1 :]):
            found[place] = phrase("Nothing is sent after this step; it would have no effect.")
