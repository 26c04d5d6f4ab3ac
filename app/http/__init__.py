"""Shared parts of the interfaces: services, sessions and actors, errors, templates, languages, headers.

    services = Services.open(config)            # once a process, after the fork
    app = FastAPI(...); http.install(app, services); app.include_router(...)

A route names what it needs: `actor: Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]`, or `@public` on the endpoint.
A raw async endpoint calls `await actor_for(request, Verb.X)` and declares it with
`@checks_permission_itself(Verb.X)`."""

from app.http.deps import ReadSession, WriteSession, actor_for, allow, checks_permission_itself, identify, public
from app.http.install import install
from app.http.services import Services, services
from app.http.templates import render

__all__ = [
    "ReadSession",
    "Services",
    "WriteSession",
    "actor_for",
    "allow",
    "checks_permission_itself",
    "identify",
    "install",
    "public",
    "render",
    "services",
]
