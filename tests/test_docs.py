"""What we promise is written down: every option, command, setting and REST route explains itself."""

import dataclasses

import pytest
from fastapi.routing import iter_route_contexts

from app import cli
from app.config import Config
from app.db.models import load_all
from app.settings import Group
from tests.support.client import all_routers


@pytest.mark.parametrize("item", dataclasses.fields(Config), ids=lambda item: item.name)
def test_every_boot_option_has_a_help_text(item: dataclasses.Field[object]) -> None:
    assert len(item.metadata.get("help", "")) > 10


def test_every_command_has_a_help_text() -> None:
    for action in cli._parser()._subparsers._group_actions:  # type: ignore[union-attr]
        for choice in action._choices_actions:  # type: ignore[attr-defined]
            assert choice.help


def test_every_setting_has_a_help_text() -> None:
    load_all()
    all_routers()
    groups = Group.__subclasses__()
    assert groups
    missing = [
        f"{g.__name__}.{name}" for g in groups for name, field in g.model_fields.items() if not field.description
    ]
    assert not missing


def test_every_rest_route_says_what_it_does() -> None:
    routes = [route for router in all_routers() for route in iter_route_contexts(router.routes)]
    public = [route for route in routes if getattr(route, "include_in_schema", True) and route.path.startswith("/api/")]
    assert len(public) > 20, "the walk finds the routes"
    silent = [route.path for route in public if not (route.endpoint.__doc__ or "").strip()]
    assert not silent, f"no docstring: {silent}"
