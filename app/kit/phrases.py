"""Messages: a template with values, so that they are stored as what they were made from (db/base.py) and translated where
they are shown (http/i18n.py)."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Self

_MOST_TEMPLATE, _MOST_VALUE = 4000, 400  # characters that are stored; values may quote what a peer sent


class Phrase(str):
    """A message. As a string it is its English text, which logs and programs take as it is.

    template: English text, also the key of the catalogue; plural: the template for counts other than one, else "";
    values: what is put into the template, each a str, int, float, date or another Phrase. A Phrase without values is its
    template as it is, braces included. Any operation of str gives a plain str: a column of messages takes a Phrase only.
    """

    __slots__ = ("plural", "template", "values")

    template: str
    plural: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, *, plural: str = "", **values: Any) -> Self:
        chosen = plural if plural and values.get("count") != 1 else template
        made = super().__new__(cls, chosen.format(**values) if values else chosen)
        made.template = str(template)
        made.plural = plural
        made.values = {k: v if isinstance(v, str | int | float | date) else str(v) for k, v in values.items()}
        return made

    def as_json(self) -> dict[str, Any]:
        """Stored form: {"template"}, with "plural" and "values" where there are any."""
        stored: dict[str, Any] = {"template": self.template[:_MOST_TEMPLATE]}
        if self.plural:
            stored["plural"] = self.plural
        if self.values:
            stored["values"] = {name: _stored(value) for name, value in self.values.items()}
        return stored

    def mapped(self, change: Callable[[str], str]) -> "Phrase":
        """The same message with its values changed, or its text where it has none: what is not to be kept is masked."""
        if not self.values:
            return self if change(self) == self else Phrase(change(self))
        return Phrase(self.template, plural=self.plural, **{k: _changed(v, change) for k, v in self.values.items()})


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Phrase):
        return value.mapped(change)
    return change(value) if isinstance(value, str) else value


def _stored(value: Any) -> Any:
    if isinstance(value, Phrase):
        return value.as_json()
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return value[:_MOST_VALUE] if isinstance(value, str) else value


def phrase(template: str, /, **values: Any) -> Phrase:
    """phrase("The zip file holds more than {count:n} files.", count=9). The template is a plain literal, because
    `make messages` collects it here for the translators; the values are put in as str.format does, and numbers with the
    format "n" or ".1f" as the reader's language writes them. A value may be a phrase of its own."""
    return Phrase(template, **values)


def phrases(one: str, many: str, /, *, count: int, **values: Any) -> Phrase:
    """phrases("{count} object was not taken.", "{count:n} objects were not taken.", count=3): a message with the plural
    forms of the reader's language. Both templates are plain literals, as of `phrase`."""
    return Phrase(one, plural=many, count=count, **values)


NOTHING = Phrase("")


def as_phrase(text: str) -> Phrase:
    """A message of any text: a Phrase as it is; other text becomes a template without values, which is translated only
    where the catalogue has exactly this text."""
    return text if isinstance(text, Phrase) else Phrase(str(text))


def of_fault(fault: BaseException) -> Phrase:
    """The message of an exception."""
    first = fault.args[0] if fault.args else None
    return first if isinstance(first, Phrase) else as_phrase(str(fault) or type(fault).__name__)


def verbatim(text: str) -> Phrase:
    """Text of another system (a peer, the operating system), which is never translated."""
    return text if isinstance(text, Phrase) else Phrase("{text}", text=str(text)) if text else NOTHING


def joined(parts: Iterable[str], between: str = " ") -> Phrase:
    """Several messages as one, each translated by itself; empty parts are left out."""
    phrases = [as_phrase(part) for part in parts if part]
    if len(phrases) == 1:
        return phrases[0]
    template = between.join(f"{{part{number}}}" for number in range(len(phrases)))
    return Phrase(template, **{f"part{number}": part for number, part in enumerate(phrases)})


def from_json(stored: dict[str, Any]) -> Phrase:
    """The message that `as_json` gave."""
    values = {name: _read(value) for name, value in stored.get("values", {}).items()}
    return Phrase(stored["template"], plural=stored.get("plural", ""), **values)


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return date.fromisoformat(value["date"]) if "date" in value else from_json(value)
    return value


def packed(value: Any) -> Any:
    """JSON in which every Phrase, however deep in lists and dictionaries, is what is stored of it."""
    if isinstance(value, Phrase):
        return value.as_json()
    if isinstance(value, dict):
        return {key: packed(one) for key, one in value.items()}
    return [packed(one) for one in value] if isinstance(value, list | tuple) else value


_KEYS = frozenset(("template", "plural", "values"))


def unpacked(value: Any) -> Any:
    """The reverse of `packed`."""
    if isinstance(value, dict):
        if isinstance(value.get("template"), str) and value.keys() <= _KEYS:
            return from_json(value)
        return {key: unpacked(one) for key, one in value.items()}
    return [unpacked(one) for one in value] if isinstance(value, list) else value
