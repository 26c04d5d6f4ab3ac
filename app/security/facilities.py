"""Facilities: whose a study is (SEC-10). Each has an AE title and a port of its own, made from its name (NET-8)."""

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app import audit
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.security import queries
from app.security.actor import Actor, can, require
from app.security.changes import announce
from app.security.models import Facility
from app.security.verbs import Verb

FIRST_PORT = 11113
NEXT_FREE = -1  # as a TLS port: one is chosen
HOME_NAME = "Main"
_LAST_PORT = 65535
_AE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")  # PS3.5 6.2, VR AE: no backslash, no control characters


def title_for(name: str, taken: set[str]) -> str:
    """An AE title from a name: HOSPITAL, HOSPITAL02 when that is taken; at most 16 characters, unique."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    words = re.sub(r"[^A-Z0-9]+", "_", plain).strip("_")
    stem = re.sub(r"(?<=[A-Z])_(?=[0-9])", "", words)[:16].rstrip("_") or "FACILITY"  # HOSPITAL1, CLINIC02
    title, number = stem, 1
    while title in taken:
        number += 1
        title = f"{stem[: 16 - len(f'{number:02d}')]}{number:02d}"
    return title


def port_for(taken: Collection[int], is_free: Callable[[int], bool] = lambda port: True) -> int:
    """The lowest free port from 11113 up. is_free: whether no other program has it."""
    port = FIRST_PORT
    while port in taken or not is_free(port):
        port += 1
        if port > _LAST_PORT:
            raise Conflict("No free port is available.", hint="Enter a port.", field="port")
    return port


@dataclass(frozen=True, slots=True)
class Reserved:
    """Titles and ports that no facility can have: the installation's own titles and ports. is_free: whether no other
    program of this machine listens at a port; called only for an automatic choice, not for a typed value."""

    titles: Collection[str] = ()
    ports: Collection[int] = ()
    is_free: Callable[[int], bool] = lambda port: True


NOTHING_RESERVED = Reserved()


def _check(
    session: Session,
    name: str,
    ae_title: str | None,
    port: int | None,
    tls_port: int | None,
    reserved: Reserved,
    own_id: str = "",
) -> None:
    if not 0 < len(name) <= 128:
        raise Invalid("Enter a facility name of at most 128 characters.", field="name")
    if ae_title is not None and (not _AE.fullmatch(ae_title) or ae_title != ae_title.strip()):
        raise Invalid("An AE title has 1 to 16 ASCII characters without a backslash.", field="ae_title")
    for field, number in (("port", port), ("tls_port", tls_port)):
        if number is not None and not 0 < number <= _LAST_PORT:
            raise Invalid("Enter a port from 1 to 65535.", field=field)
        if number in reserved.ports:
            raise Conflict("This port is used by this installation.", hint="Choose another value.", field=field)
    if port is not None and port == tls_port:
        raise Conflict(
            "Plain and TLS connections require different ports.", hint="Choose another value.", field="tls_port"
        )
    if ae_title in reserved.titles:
        raise Conflict("This AE title is used by this installation.", hint="Choose another value.", field="ae_title")
    for other in queries.facilities(session):
        if other.id == own_id:
            continue
        for field, mine, theirs in (
            ("name", name.casefold(), other.name.casefold()),
            ("ae_title", ae_title, other.ae_title),
            ("port", port, other.port),
            ("port", port, other.tls_port),
            ("tls_port", tls_port, other.port),
            ("tls_port", tls_port, other.tls_port),
        ):
            if mine is not None and mine == theirs:
                raise Conflict(
                    phrase("{name} already uses this value.", name=other.name),
                    hint="Choose another value.",
                    field=field,
                )


def ensure_home(session: Session) -> None:
    """Makes the installation's own facility at the first start, so that isolation (SEC-10) holds without setting anything up."""
    if home_id(session) is None:
        session.add(Facility(id=new_id(), name=HOME_NAME, home=True, created_at=now()))
        session.flush()


def home_id(session: Session) -> str | None:
    """The facility of objects sent to the installation's own title by a caller without facility, and of users without
    another."""
    return queries.home_facility(session)


def create(
    session: Session,
    actor: Actor,
    name: str,
    *,
    ae_title: str | None = None,
    port: int | None = None,
    tls_port: int | None = None,
    reserved: Reserved = NOTHING_RESERVED,
) -> Facility:
    """A new facility; title and port are made when none are given. port 0: it has none of its own. tls_port: NEXT_FREE
    to have one chosen, None or 0 for none."""
    require(actor, Verb.FACILITY_ADMIN)
    name, there = name.strip(), queries.facilities(session)
    ae_title = ae_title or title_for(name, {f.ae_title or "" for f in there} | set(reserved.titles))
    if port is None:
        port = _next_port(there, reserved, tls_port)
    if tls_port == NEXT_FREE:
        tls_port = _next_port(there, reserved, port)
    _check(session, name, ae_title, port or None, tls_port or None, reserved)
    facility = Facility(
        id=new_id(), name=name, ae_title=ae_title, port=port or None, tls_port=tls_port or None, created_at=now()
    )
    session.add(facility)
    session.flush()
    _record(session, actor, "facility.create", facility, _audit_values(facility))
    return facility


def _next_port(there: Collection[Facility], reserved: Reserved, more: int | None) -> int:
    """A port that neither these facilities nor the installation have; more: nor this one."""
    taken = {port or 0 for one in there for port in (one.port, one.tls_port)}
    return port_for(taken | set(reserved.ports) | {more or 0}, reserved.is_free)


def _audit_values(facility: Facility) -> dict[str, object]:
    """Audit values of a facility."""
    return {
        "name": facility.name,
        "ae_title": facility.ae_title,
        "port": facility.port,
        "tls_port": facility.tls_port,
    }


def change(
    session: Session,
    actor: Actor,
    facility_id: str,
    name: str,
    ae_title: str | None,
    port: int | None,
    reserved: Reserved = NOTHING_RESERVED,
    tls_port: int | None = None,
) -> Facility:
    """Renames; title and ports stay unless others are given. port, tls_port 0: it has none of its own any more;
    tls_port NEXT_FREE: one is chosen, unless it has one."""
    require(actor, Verb.FACILITY_ADMIN)
    facility = get(session, actor, facility_id)
    before = _audit_values(facility)
    name, ae_title = name.strip(), ae_title or facility.ae_title
    port = facility.port if port is None else port or None
    if tls_port is None or (tls_port == NEXT_FREE and facility.tls_port):
        tls_port = facility.tls_port
    elif tls_port == NEXT_FREE:
        tls_port = _next_port(queries.facilities(session), reserved, port)
    _check(session, name, ae_title, port, tls_port or None, reserved, facility.id)
    facility.name, facility.ae_title, facility.port, facility.tls_port = name, ae_title, port, tls_port or None
    after = _audit_values(facility)
    _record(
        session, actor, "facility.edit", facility, {k: [before[k], after[k]] for k in after if before[k] != after[k]}
    )
    return facility


def get(session: Session, actor: Actor, facility_id: str) -> Facility:
    """A facility one may know of: one's own, or any for those who see all or look after them."""
    facility = session.get(Facility, facility_id)
    if facility is None or not _may_know(actor, facility):
        raise NotFound("There is no such facility.")
    return facility


def _may_know(actor: Actor, facility: Facility) -> bool:
    return actor.sees_all or can(actor, Verb.FACILITY_ADMIN) or facility.id == actor.facility_id


def list_facilities(session: Session, actor: Actor) -> list[Facility]:
    return [facility for facility in queries.facilities(session) if _may_know(actor, facility)]


def delete(session: Session, actor: Actor, facility_id: str) -> None:
    """Only while no user, node or object belongs to it; the database refuses what this cannot see (studies, nodes)."""
    require(actor, Verb.FACILITY_ADMIN)
    facility = get(session, actor, facility_id)
    if facility.home:
        raise Conflict("This is the facility of this site.", hint="It cannot be removed, only renamed.")
    users = queries.users_of_facility(session, facility.id)
    if users:
        raise Conflict(
            phrase("{users} users belong to this facility.", users=users), hint="Assign them to another facility first."
        )
    if queries.is_referred_to(session, Facility.__tablename__, facility.id):
        raise Conflict("Studies or nodes belong to this facility.", hint="Assign them to another facility first.")
    session.delete(facility)
    _record(session, actor, "facility.delete", facility, {"name": facility.name})


def _record(session: Session, actor: Actor, verb: str, facility: Facility, detail: dict[str, object]) -> None:
    announce(session)
    audit.by(session, actor, verb, "facility", facility.id, facility_id=facility.id, detail=detail)
