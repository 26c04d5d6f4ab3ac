"""Server-rendered pages and their parts (htmx 4): parse, call one verb, render.

A file here has `router = APIRouter(include_in_schema=False)` with whole paths ("/storage"); `routers()` finds it by itself."""

import importlib
import pkgutil

from fastapi import APIRouter, Depends

from app.http.texts import refuse_body


def routers() -> list[APIRouter]:
    """One router with every page, for app/server.py to include."""
    whole = APIRouter(dependencies=[Depends(refuse_body)])
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        router = getattr(importlib.import_module(f"{__name__}.{module}"), "router", None)
        if isinstance(router, APIRouter):
            whole.include_router(router)
    return [whole]
