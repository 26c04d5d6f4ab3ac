"""The end of the chain: how many rows there are and the digest of the last, under a key that the database does not hold.

The row can be put back to an older state together with the trail; so each start notes the end in the key folder too
(`Anchor`), and the trail must still contain that."""

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audit.models import AuditEvent, AuditHead

START = "0" * 64  # what the first row follows
_ONE = 1
_FILE = "audit.anchor"


def key_of(session: Session) -> bytes:
    """The key of this installation's trail; `app.db.Database` gives it to its sessions."""
    key = session.info["audit_key"]
    assert isinstance(key, bytes)
    return key


def mac_of(key: bytes, *values: object) -> str:
    return hmac.new(key, json.dumps(values).encode(), hashlib.sha256).hexdigest()


def _mac(session: Session, end: AuditHead) -> str:
    return mac_of(key_of(session), end.rows, end.digest, end.keyed_after)


def is_intact(session: Session, end: AuditHead) -> bool:
    return hmac.compare_digest(end.mac.encode(), _mac(session, end).encode())


def find(session: Session) -> AuditHead | None:
    return session.get(AuditHead, _ONE)


def current(session: Session) -> AuditHead:
    """The end as `record` goes on from it. A missing one was removed from outside: the work goes on, and with
    keyed_after 0 a verification finds the first row that a key does not fit."""
    end = session.get(AuditHead, _ONE)
    if end is None:
        last = session.scalar(select(AuditEvent.digest).order_by(AuditEvent.id.desc()).limit(1))
        rows = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
        end = AuditHead(id=_ONE, rows=rows, digest=last or START, keyed_after=0, mac="")
        session.add(end)
    return end


def advance(session: Session, end: AuditHead, digest: str) -> None:
    """The chain is one row longer. An end without a signature stays without one: only a start signs it (`seal`), or a
    manipulation that removes the signature together with the last rows would be signed."""
    if end.mac and not is_intact(session, end):
        end.mac = "broken"  # stays so: a manipulated chain is not signed
    end.rows, end.digest = end.rows + 1, digest
    if end.mac and end.mac != "broken":
        end.mac = _mac(session, end)


def seal(session: Session, end: AuditHead) -> None:
    """Signs an end that no process with the key has seen: after the upgrade, and on a new installation."""
    end.mac = _mac(session, end)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of the chain as it was at a start, kept in the key folder."""

    rows: int
    digest: str
    keyed_after: int


def read_anchor(folder: Path, key: bytes) -> Anchor | None:
    """None when there is none. Raises ValueError for one that was changed."""
    try:
        kept = json.loads((folder / _FILE).read_text("ascii"))
    except FileNotFoundError:
        return None
    found = Anchor(int(kept["rows"]), str(kept["digest"]), int(kept["keyed_after"]))
    if not hmac.compare_digest(
        mac_of(key, "anchor", found.rows, found.digest, found.keyed_after), str(kept.get("mac"))
    ):
        raise ValueError(f"{folder / _FILE} was changed")
    return found


def write_anchor(folder: Path, key: bytes, end: AuditHead) -> None:
    """Notes the end; all or nothing."""
    kept = {"rows": end.rows, "digest": end.digest, "keyed_after": end.keyed_after}
    kept["mac"] = mac_of(key, "anchor", end.rows, end.digest, end.keyed_after)
    draft = folder / f".{_FILE}.{os.getpid()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, json.dumps(kept).encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(folder / _FILE)
