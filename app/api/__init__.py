"""REST under /api/v1: parse, call one verb, answer.

A file here has `router = APIRouter(tags=[...])` with paths below /api/v1 ("/studies/{uid}"); `routers()` finds it by itself."""

import importlib
import pkgutil

from fastapi import APIRouter, Depends

from app.http.texts import refuse_body

PREFIX = "/api/v1"


def routers() -> list[APIRouter]:
    """One router with everything under /api/v1, for app/server.py to include."""
    whole = APIRouter(prefix=PREFIX, dependencies=[Depends(refuse_body)])
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        router = getattr(importlib.import_module(f"{__name__}.{module}"), "router", None)
        if isinstance(router, APIRouter):
            whole.include_router(router)
    return [whole]
