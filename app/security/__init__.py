"""Users, roles, facilities, sessions, tokens, and can(actor, verb, thing).

Every route, page, WebSocket topic and DIMSE verb names the Verb it needs; `require` says no in one place."""

from app.security.actor import SYSTEM, Actor, can, may_see, owns, require, require_facility
from app.security.verbs import Verb

__all__ = ["SYSTEM", "Actor", "Verb", "can", "may_see", "owns", "require", "require_facility"]
