"""Certificates of DICOM TLS: bring, make, use, trust, remove; and what is about to expire."""

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from sqlalchemy.orm import Session

from app import audit, events
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.security.actor import SYSTEM, Actor, require
from app.security.secrets import Secrets
from app.security.verbs import Verb
from app.trust import names, pem, queries, revocation
from app.trust.models import Certificate

OWN, TRUSTED, AUTHORITY = "own", "trusted", "authority"
LIST = "crl"  # a list of revoked certificates; its names: the fingerprint of who signed it
WARN_DAYS = (30, 7)
LIST_DAYS = 2  # lists come anew each week or so


def import_certificate(
    session: Session, actor: Actor, secrets: Secrets, name: str, chain: str, key: str, password: str = ""
) -> Certificate:
    """An own certificate with its key, both in PEM; the first becomes the one that callers are shown. Raises
    Invalid (field, words) and Conflict."""
    require(actor, Verb.SETTINGS_EDIT)
    found, clear = pem.checked_pair(chain, key or chain, password)
    return _store(session, actor, OWN, name, found, secrets.seal(clear))


def create_certificate(
    session: Session, actor: Actor, secrets: Secrets, name: str, hosts: list[str]
) -> tuple[Certificate, Certificate]:
    """A certificate for these hosts, signed by the own authority for the local network, which is created when there is
    none that is valid long enough. Answers both; others need to trust the authority only."""
    require(actor, Verb.SETTINGS_EDIT)
    hosts = [one.strip() for one in hosts if one.strip()] or own_names()
    for one in hosts:
        if names.address(one) is None and (fault := names.host_fault(one)):
            raise Invalid(fault, field="hosts")
    authority = next(iter(queries.of_kind(session, AUTHORITY)), None)
    if authority is None or authority.not_after < now() + timedelta(days=pem.LEAF_DAYS):
        made, key = pem.create_authority(f"Filmroom {socket.gethostname()[:40]} {now():%Y}")
        authority = _store(session, actor, AUTHORITY, made_name(made), [made], secrets.seal(key))
    signer = x509.load_pem_x509_certificate(authority.chain.encode())
    leaf, key = pem.create_leaf(signer, secrets.unseal(authority.sealed_key or ""), hosts, hosts[0])
    return _store(session, actor, OWN, name or hosts[0], [leaf, signer], secrets.seal(key)), authority


def made_name(certificate: x509.Certificate) -> str:
    return pem.facts(certificate).subject[:64]


def own_names() -> list[str]:
    """Names and addresses of this machine, as far as known."""
    name = socket.gethostname()
    found = [name] if not names.host_fault(name) else []
    full = socket.getfqdn()
    if full not in found and not names.host_fault(full) and "." in full:
        found.append(full)
    try:
        listed = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(name, None)}
    except OSError:
        listed = set()
    kept = [one for one in sorted(listed) if (ip := names.address(one)) and not names.forbidden_address(ip)]
    return list(dict.fromkeys([*found, *kept, "localhost", "127.0.0.1"]))


def trust_certificates(session: Session, actor: Actor, text: str) -> list[Certificate]:
    """Trusts every certificate of a PEM text: authorities, or a peer's own one. Those known already stay."""
    require(actor, Verb.SETTINGS_EDIT)
    kept = []
    for one in pem.certificates(text):
        found = pem.facts(one)
        known = queries.with_fingerprint(session, TRUSTED, found.fingerprint)
        if known is None and found.not_after < now():
            raise Invalid(
                phrase("{subject} expired on {day}.", subject=found.subject, day=found.not_after.date()),
                field="certificate",
            )
        kept.append(known or _store(session, actor, TRUSTED, found.subject[:64], [one], None))
    return kept


def import_revocation_lists(session: Session, actor: Actor, text: str) -> list[Certificate]:
    """Keeps every list of revoked certificates of a PEM text, in place of an older one of the same authority, which
    must be trusted here. Raises Invalid for one that has expired, is older than the stored one, or is of an unknown
    authority."""
    require(actor, Verb.SETTINGS_EDIT)
    signers = [
        (row, x509.load_pem_x509_certificate(row.chain.encode()))
        for kind in (TRUSTED, AUTHORITY)
        for row in queries.of_kind(session, kind)
    ]
    kept = []
    for one in revocation.parse_lists(text):
        found = revocation.facts(one)
        signer = revocation.signer_of(one, [certificate for _, certificate in signers])
        if signer is None:
            raise Invalid(
                phrase("The list is of {authority}, which is not trusted here.", authority=found.authority),
                hint="Trust the authority first.",
                field=revocation.FIELD,
            )
        if found.until <= now():
            raise Invalid(
                phrase("The list ended on {day}.", day=found.until.date()),
                hint="Ask for the newer one.",
                field=revocation.FIELD,
            )
        owner = next(row for row, certificate in signers if certificate is signer)
        kept.append(_store_list(session, actor, one, found, owner))
    return kept


def _store_list(
    session: Session,
    actor: Actor,
    one: x509.CertificateRevocationList,
    found: revocation.ListFacts,
    owner: Certificate,
) -> Certificate:
    for old in queries.of_kind(session, LIST):
        if old.fingerprint == found.fingerprint:
            return old
        if old.names[:1] == [owner.fingerprint]:
            if old.not_before > found.since:
                raise Invalid("A newer list of this authority is here already.", field=revocation.FIELD)
            session.delete(old)
    row = Certificate(
        id=new_id(),
        kind=LIST,
        name=f"CRL {owner.name}"[:64],
        chain=revocation.to_pem(one),
        sealed_key=None,
        subject=str(found.count),
        issuer=found.authority,
        fingerprint=found.fingerprint,
        names=[owner.fingerprint],
        not_before=found.since,
        not_after=found.until,
        active=False,
        told=0,
        created_by=actor.name,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    _notify(session, actor, row, "certificate.revocations")
    return row


def _store(
    session: Session, actor: Actor, kind: str, name: str, chain: list[x509.Certificate], sealed: str | None
) -> Certificate:
    found = pem.facts(chain[0])
    if queries.with_fingerprint(session, kind, found.fingerprint) is not None:
        raise Conflict("This certificate is here already.", field="certificate")
    name = (name.strip() or found.subject)[:64]
    if not name.isprintable():
        raise Invalid("A name has printable characters only.", field="name")
    row = Certificate(
        id=new_id(),
        kind=kind,
        name=name,
        chain=pem.to_pem(chain),
        sealed_key=sealed,
        subject=found.subject,
        issuer=found.issuer,
        fingerprint=found.fingerprint,
        names=found.names,
        not_before=found.not_before,
        not_after=found.not_after,
        active=kind == OWN and queries.active(session) is None,
        told=0,
        created_by=actor.name,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    _notify(session, actor, row, "certificate.add")
    return row


def activate(session: Session, actor: Actor, certificate_id: str) -> Certificate:
    """From now on callers are shown this one; it counts for the next connection."""
    require(actor, Verb.SETTINGS_EDIT)
    chosen = queries.certificate(session, certificate_id)
    if chosen.kind != OWN:
        raise Invalid("Only a certificate with its key can be shown to others.")
    if chosen.not_after < now():
        raise Invalid(phrase("The certificate expired on {day}.", day=chosen.not_after.date()))
    for one in queries.of_kind(session, OWN):
        one.active = one.id == chosen.id
    session.flush()
    _notify(session, actor, chosen, "certificate.use")
    return chosen


def remove(session: Session, actor: Actor, certificate_id: str, used_by: Sequence[str]) -> None:
    """Forgets a certificate and its key. The active one stays while it is needed: another must be in use first. used_by:
    names of the nodes that show it (nodes.queries.nodes_showing); with any it stays."""
    require(actor, Verb.SETTINGS_EDIT)
    found = queries.certificate(session, certificate_id)
    if found.active and len(queries.of_kind(session, OWN)) > 1:
        raise Conflict("This certificate is in use.", hint="Use another one first.")
    if used_by:
        raise Conflict(phrase("These nodes use it: {nodes}.", nodes=", ".join(used_by)))
    for row in queries.of_kind(session, LIST):
        if row.names[:1] == [found.fingerprint]:
            session.delete(row)  # no certificate is left that it could contain
    session.delete(found)
    session.flush()
    _notify(session, actor, found, "certificate.remove")


def _notify(session: Session, actor: Actor, row: Certificate, verb: str) -> None:
    events.append(session, "certificate.changed", {"id": row.id, "name": row.name}, facility_id=None)
    audit.by(
        session,
        actor,
        verb,
        "certificate",
        row.name,
        detail={"kind": row.kind, "subject": row.subject, "fingerprint": row.fingerprint},
    )


def days_left(row: Certificate, moment: datetime | None = None) -> int:
    """Whole days; below zero when it has expired."""
    return (row.not_after - (moment or now())) // timedelta(days=1)


def certificate_status(row: Certificate, moment: datetime | None = None) -> tuple[str, str]:
    """Its status: ok, warn or bad, and in words."""
    moment = moment or now()
    left = days_left(row, moment)
    if row.not_after <= moment:
        return "bad", phrase("expired on {day}", day=row.not_after.date())
    if row.not_before > moment:
        return "bad", phrase("not valid before {day}; look at the clock", day=row.not_before.date())
    until = f"{row.not_after:%Y-%m-%d}"
    if row.kind == LIST and left >= LIST_DAYS:
        return "ok", phrase("valid until {day}", day=until)
    if left < WARN_DAYS[1]:
        return "bad", phrase("expires in {days} days, on {day}", days=left, day=until)
    if left < WARN_DAYS[0]:
        return "warn", phrase("expires in {days} days, on {day}", days=left, day=until)
    return "ok", phrase("valid until {day}", day=until)


def expiring_certificates(session: Session, moment: datetime | None = None) -> list[Certificate]:
    """Those in use or trusted that need a look: 30 days before their end and later."""
    limit = (moment or now()) + timedelta(days=WARN_DAYS[0])
    found = [one for one in queries.ending_before(session, limit) if one.active or one.kind != OWN]
    return [one for one in found if one.kind != LIST or days_left(one, moment) < LIST_DAYS]


def warn_expiring(session: Session) -> list[str]:
    """By the clock: one event and one row of the trail 30 and 7 days before an end, and at it. The words, for the log."""
    warnings = []
    for one in expiring_certificates(session):
        left = days_left(one)
        step = next((days for days in (0, *reversed(WARN_DAYS)) if left < days), WARN_DAYS[0])
        mark = step or -1
        if one.told == mark:
            continue
        one.told = mark
        words = certificate_status(one)[1]
        events.append(session, "certificate.expiring", {"id": one.id, "name": one.name, "days": left})
        detail = {"days": left, "fingerprint": one.fingerprint}
        audit.by(session, SYSTEM, "certificate.warn", "certificate", one.name, detail=detail)
        warnings.append(f"certificate {one.name!r} {words}")
    return warnings


def certificate_json(row: Certificate) -> dict[str, Any]:
    """A certificate or a list of revoked ones as REST shows it; never a key. revoked: the number of revoked
    certificates."""
    state, words = certificate_status(row)
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "subject": "" if row.kind == LIST else row.subject,
        "revoked": int(row.subject) if row.kind == LIST else None,
        "issuer": row.issuer,
        "fingerprint": row.fingerprint,
        "names": [] if row.kind == LIST else row.names,
        "not_before": row.not_before.isoformat(),
        "not_after": row.not_after.isoformat(),
        "days_left": days_left(row),
        "state": state,
        "message": words,
        "active": row.active,
        "has_key": row.sealed_key is not None,
        "created_by": row.created_by,
        "created_at": row.created_at.isoformat(),
    }
