"""The metadata of a field of a node, and a field as the form, REST, the node file and the documentation read it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

Choices = tuple[tuple[Any, str], ...]


@dataclass(frozen=True, slots=True)
class Option:
    """The metadata of a field.

    label: noun of the form; help: one sentence for REST, file and documentation, also shown in the form when row is empty;
    section, row: where the form shows it (`SECTIONS`, `ROWS`); beside: in the line of the field before it; widget: empty
    for the usual one of the type, else secret, segments or checks; unit: shown behind the value; hint: shown below it;
    choices: (value, word); choices_from: name of the list that the page fills; bounds: lowest and highest number; length:
    most characters of a text; mono: monospaced; check: what is wrong with a text that is not empty, in words; protocols:
    empty for those whose model has the field; since: first version that has it; key: its name in the node file."""

    label: str
    help: str
    section: str = ""
    row: str = ""
    beside: bool = False
    widget: str = ""
    unit: str = ""
    hint: str = ""
    choices: Choices = ()
    choices_from: str = ""
    hide_without_choices: bool = False
    suggested: bool = False  # choices are words for some of the values within the bounds
    bounds: tuple[int, int] | None = None
    length: int = 1024
    mono: bool = True
    check: Callable[[str], str] | None = None
    protocols: tuple[str, ...] = ()
    since: str = "0.1.0"
    key: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """A field: its option, its type (str, int, bool or list), whether None is allowed, and its default."""

    name: str
    option: Option
    type: type
    nullable: bool
    default: Any
    protocols: tuple[str, ...]

    @property
    def widget(self) -> str:
        """text, number, switch, select, checks, segments or secret."""
        if self.option.widget:
            return self.option.widget
        if self.option.choices or self.option.choices_from:
            return "checks" if self.type is list else "select"
        return {bool: "switch", int: "number", list: "checks"}.get(self.type, "text")

    @property
    def secret(self) -> bool:
        return self.option.widget == "secret"

    @property
    def values(self) -> tuple[Any, ...]:
        """The allowed values; empty for any."""
        return () if self.option.suggested else tuple(value for value, _ in self.option.choices)


def describe(name: str, model: type[BaseModel], protocols: tuple[str, ...]) -> Described:
    """A field of a model by its name. protocols: those that have it, unless its option lists them."""
    info = model.model_fields[name]
    option = next(one for one in info.metadata if isinstance(one, Option))
    kinds = get_args(info.annotation) if isinstance(info.annotation, UnionType) else (info.annotation,)
    kind: Any = next(one for one in kinds if one is not NoneType)
    listed = get_origin(kind) is tuple
    default = list(info.default) if listed else info.default
    return Described(name, option, list if listed else kind, NoneType in kinds, default, option.protocols or protocols)
