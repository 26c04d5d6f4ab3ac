"""The choices of the selects in the form of a node: those of the option, or names from the database."""

from collections.abc import Callable
from typing import Any

from app.http import ReadSession
from app.http.i18n import gettext as _
from app.nodes.option_kit import Described
from app.trust import queries as certificate_queries

Pairs = list[tuple[Any, str]]


def node_choices(session: ReadSession, facilities: list[tuple[str, str]]) -> Callable[[Described, Any], Pairs]:
    """A function of a field and its present value: its choices as (value, word). facilities: (id, name)."""
    own = certificate_queries.of_kind(session, "own")
    trusted = [*certificate_queries.of_kind(session, "authority"), *certificate_queries.of_kind(session, "trusted")]
    return chooser(
        {
            "facilities": [("", _("None")), *facilities],
            "certificates": [("", _("Not selected")), *dict.fromkeys((one.name, one.name) for one in own)],
            "authorities": [("", _("None")), *((one.fingerprint, one.name) for one in trusted)],
        }
    )


def chooser(lists: dict[str, Pairs]) -> Callable[[Described, Any], Pairs]:
    """The same with lists by name (`Option.choices_from`)."""

    def choices(one: Described, value: Any) -> Pairs:
        if one.option.choices_from:
            return lists[one.option.choices_from]
        if one.type is not int:
            return [(key, _(word)) for key, word in one.option.choices]
        found = {str(key): _(word) for key, word in one.option.choices}
        return list(({str(value): str(value)} | found).items() if str(value) not in found else found.items())

    return choices
