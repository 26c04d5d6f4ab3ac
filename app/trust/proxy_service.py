"""The proxy's settings: kept, shown and tried (NET-10)."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app import audit, settings
from app.kit.clock import now
from app.kit.errors import Invalid, PeerFault
from app.kit.phrases import phrase
from app.security.actor import Actor, require
from app.security.secrets import Secrets
from app.security.verbs import Verb
from app.trust import names, queries, runtime
from app.trust.models import SealedSecret
from app.trust.proxy import open_through


def save(session: Session, actor: Actor, secrets: Secrets, values: dict[str, Any], password: str | None) -> None:
    """values: of the group `proxy`; password: None leaves it, empty forgets it. Raises Invalid."""
    require(actor, Verb.SETTINGS_EDIT)
    settings.save_values(session, "proxy", values, actor.name)
    if password is not None:
        set_password(session, actor, secrets, password)


def set_password(session: Session, actor: Actor, secrets: Secrets, password: str) -> None:
    """Kept sealed, never shown again."""
    require(actor, Verb.SETTINGS_EDIT)
    if len(password.encode()) > 255:
        raise Invalid("A proxy's password has at most 255 bytes.", field="password")
    row = queries.secret(session, runtime.PROXY_PASSWORD)
    if not password:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(
            SealedSecret(
                name=runtime.PROXY_PASSWORD, sealed=secrets.seal(password), changed_by=actor.name, changed_at=now()
            )
        )
    else:
        row.sealed, row.changed_by, row.changed_at = secrets.seal(password), actor.name, now()
    audit.by(session, actor, "settings.edit", "settings", runtime.PROXY_PASSWORD, detail={"set": bool(password)})


def has_password(session: Session) -> bool:
    return queries.secret(session, runtime.PROXY_PASSWORD) is not None


@dataclass(frozen=True, slots=True)
class Tried:
    """Result of a test of the proxy."""

    ok: bool
    message: str
    hint: str
    seconds: float


def test_proxy(actor: Actor, host: str, port: int, seconds: float) -> Tried:
    """Opens a connection to the host through the proxy as it is saved, and closes it; at most `seconds`."""
    require(actor, Verb.SETTINGS_EDIT)
    if fault := names.host_fault(host):
        raise Invalid(fault, field="host")
    if fault := names.port_fault(port):
        raise Invalid(fault, field="port")
    here = runtime.current()
    here.invalidate()
    if not here.material.proxy.url:
        return Tried(False, phrase("No proxy is set."), phrase("Write its address and save."), 0.0)
    proxy = here.proxy_for(host)
    if proxy is None:
        return Tried(True, phrase("{host} is called without the proxy, as its exceptions say.", host=host), "", 0.0)
    started = time.monotonic()
    try:
        open_through(proxy, host, port, seconds).close()
    except PeerFault as raised:
        return Tried(False, raised.detail, raised.hint, round(time.monotonic() - started, 3))
    words = phrase("{host} port {port} open, through {proxy}", host=host, port=port, proxy=str(proxy))
    return Tried(True, words, "", round(time.monotonic() - started, 3))
