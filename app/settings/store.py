"""Load and save typed groups. Absent means default; a group is a pydantic model with `group` as class variable."""

from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import audit
from app.kit.clock import now
from app.settings.models import SettingGroup


class Group(BaseModel):
    """Base of every group: fields carry default, bounds and description (the help text)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    group: ClassVar[str]
    title: ClassVar[str]


G = TypeVar("G", bound=Group)


def _newest(session: Session, name: str) -> SettingGroup | None:
    return session.scalar(
        select(SettingGroup).where(SettingGroup.name == name).order_by(SettingGroup.version.desc()).limit(1)
    )


def load(session: Session, kind: type[G]) -> G:
    """The group as saved, with defaults where nothing is. Read once per request or job."""
    row = _newest(session, kind.group)
    return kind.model_validate(row.values if row else {})


def save(session: Session, group: Group, actor_name: str) -> None:
    """A new version; old and new values are in the audit trail (secrets are never part of a group)."""
    row = _newest(session, group.group)
    values: dict[str, Any] = group.model_dump(mode="json")
    before = row.values if row else {}
    default = type(group).model_validate({}).model_dump(mode="json")
    changed = {k: [before.get(k), v] for k, v in values.items() if before.get(k, default[k]) != v}
    session.add(
        SettingGroup(
            name=group.group,
            version=(row.version if row else 0) + 1,
            values=values,
            changed_by=actor_name,
            changed_at=now(),
        )
    )
    audit.by(session, audit.Named(actor_name), "settings.edit", "settings", group.group, detail=changed)


def change(session: Session, kind: type[G], actor_name: str, **values: Any) -> None:
    """Saves some values of a group; the others stay as they are. The values are not checked."""
    save(session, load(session, kind).model_copy(update=values), actor_name)


def history(session: Session, kind: type[Group], limit: int = 20) -> list[SettingGroup]:
    return list(
        session.scalars(
            select(SettingGroup)
            .where(SettingGroup.name == kind.group)
            .order_by(SettingGroup.version.desc())
            .limit(limit)
        )
    )
