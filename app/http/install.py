"""Puts this package around an application."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.http.cors import CrossOrigin
from app.http.dispatch import add_guards
from app.http.edge import Edge
from app.http.hosts import Hosts
from app.http.problems import handle_fault
from app.http.services import Services
from app.kit.errors import AppError


def install(app: FastAPI, services: Services) -> None:
    """State, fault handlers and the edge. Add routers and other middleware before this call: the edge stays outermost."""
    add_guards(app.router.routes)
    app.state.services = services
    for kind in (AppError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle_fault)
    app.add_middleware(CrossOrigin, services=services)
    app.add_middleware(Edge, hosts=Hosts(services), readings=services.readings)
