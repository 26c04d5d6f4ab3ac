"""Settings: every group with its values, its rules and who changed it last."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from app import settings
from app.http import ReadSession, WriteSession, allow
from app.security import Actor, Verb

router = APIRouter(tags=["settings"])
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]


@router.get("/settings")
def list_settings(actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Lists every group with its values."""
    items = [settings.describe(session, kind) for kind in settings.groups().values()]
    return {"items": items, "total": len(items), "next": None}


@router.get("/settings/{group}")
def show_settings(group: str, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Returns a group with its values, defaults and help texts."""
    return settings.describe(session, settings.kind_of(group))


@router.get("/settings/{group}/history")
def show_history(group: str, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Lists the last 20 versions of a group, newest first."""
    items = [
        {"version": row.version, "values": row.values, "changed_by": row.changed_by, "changed_at": row.changed_at}
        for row in settings.history(session, settings.kind_of(group))
    ]
    return {"items": items, "total": len(items), "next": None}


@router.put("/settings/{group}")
def save_settings(group: str, body: dict[str, Any], actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Saves a group: values that are left out return to their default, unknown ones are refused."""
    settings.save_values(session, group, body, actor.name)
    return settings.describe(session, settings.kind_of(group))
