"""Server-rendered pages and their parts (htmx 4): parse, call one verb, render.

A file here has `router = APIRouter(include_in_schema=False)` with whole paths ("/storage"); `routers()` finds it by itself."""

import importlib
import pkgutil

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Every page's router, for app/server.py to include."""
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        router = getattr(importlib.import_module(f"{__name__}.{module}"), "router", None)
        if isinstance(router, APIRouter):
            found.append(router)
    return found
