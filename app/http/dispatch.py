"""Finding the route of a request: FastAPI tries every route of every included router in turn, twice a level, which costs
more than a small answer. Here each included router is asked only when one of its paths can be meant."""

from collections.abc import Callable, Iterable
from typing import Any

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from app.kit import compat


def add_guards(routes: Iterable[BaseRoute]) -> None:
    """Puts a guard before each included router (its `matches` is the protocol of `starlette.routing.BaseRoute`). Which
    paths it has is learned with the first request: a start does not pay for it."""
    for router in compat.included_routers(routes):
        if not isinstance(router.matches, _Guard):
            router.matches = _Guard(router)


class _Guard:
    """Replaces `matches` of one included router."""

    def __init__(self, router: Any) -> None:
        self._router = router
        self._matches: Callable[[Scope], tuple[Match, Scope]] = router.matches
        self._whole: frozenset[str] = frozenset()
        self._beginnings: tuple[str, ...] | None = None

    def _learn(self) -> tuple[str, ...]:
        add_guards(compat.routers_within(self._router))
        paths = compat.included_paths(self._router)
        self._whole = frozenset(path for path in paths if "{" not in path)
        self._beginnings = tuple({path.partition("{")[0] for path in paths if "{" in path})
        return self._beginnings

    def __call__(self, scope: Scope) -> tuple[Match, Scope]:
        beginnings = self._learn() if self._beginnings is None else self._beginnings
        path = scope["path"]
        if scope.get("root_path") or path in self._whole or path.startswith(beginnings):
            return self._matches(scope)
        return Match.NONE, {}
