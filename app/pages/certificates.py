"""Settings, Certificates: the TLS port, own certificates, and trusted ones."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from app import settings
from app.http import ReadSession, allow, render, services
from app.http.i18n import gettext as _
from app.http.i18n import translate
from app.http.texts import read_form
from app.kit import rolestate
from app.kit.errors import Invalid
from app.kit.ids import new_id
from app.nodes import queries as node_queries
from app.pages.forms import Faults, attempt, redirect
from app.pages.settings import read_values
from app.pages.shell import fields
from app.security import Actor, Verb, can
from app.trust import certificates, pem, queries, tls
from app.trust.models import Certificate
from app.trust.settings import TlsSettings

router = APIRouter(include_in_schema=False)
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]
_HERE = "/settings/certificates"


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """One certificate. state: ok, warn or bad, in words; about: for whom it is, or who signed it; revoked: the number
    of certificates on a list."""

    id: str
    name: str
    about: str
    fingerprint: str
    state: str
    words: str
    active: bool
    revoked: int | None


@dataclass(frozen=True, slots=True)
class CertificatesPage:
    """values: the values of the port's form; wrong: the form that was refused; typed: what stood in it;
    listening: 0, or the port that is open; trouble: why it is not open though it should be."""

    section: str
    own: list[CertificateLine]
    trusted: list[CertificateLine]
    authorities: list[CertificateLine]
    lists: list[CertificateLine]
    values: dict[str, Any]
    profiles: list[tuple[str, str]]
    demands: list[tuple[str, str]]
    hosts: str
    listening: int
    trouble: str
    may_edit: bool
    saved: str
    wrong: str
    typed: dict[str, str]
    faults: Faults


def _line(row: Certificate) -> CertificateLine:
    state, words = certificates.certificate_status(row)
    count = int(row.subject) if row.kind == certificates.LIST else None
    about = ", ".join(row.names) if row.kind == "own" else row.issuer
    return CertificateLine(
        row.id, row.name, about or row.subject, row.fingerprint, state, translate(words), row.active, count
    )


def _listening(request: Request) -> tuple[int, str]:
    """State of the TLS port in the receivers."""
    details = [one.detail for one in rolestate.read_all(services(request).config.run) if one.role == "dicom"]
    port = max((int(one.get("tls_port") or 0) for one in details), default=0)
    return port, next((translate(one["tls_fault"]) for one in details if one.get("tls_fault")), "")


def _page(request: Request, actor: Actor, **more: Any) -> Response:
    listening, trouble = _listening(request)
    with services(request).database.read() as session:
        values = settings.load(session, TlsSettings).model_dump()
        page = CertificatesPage(
            section="certificates",
            own=[_line(row) for row in queries.of_kind(session, "own")],
            trusted=[_line(row) for row in queries.of_kind(session, "trusted")],
            authorities=[_line(row) for row in queries.of_kind(session, "authority")],
            lists=[_line(row) for row in queries.of_kind(session, "crl")],
            values=values | more.get("values", {}),
            profiles=[(name, translate(title)) for name, title in tls.TITLES.items()],
            demands=[("none", _("Not requested")), ("asked", _("Optional")), ("demanded", _("Required"))],
            hosts="\n".join(certificates.own_names()),
            listening=listening,
            trouble=trouble,
            may_edit=can(actor, Verb.SETTINGS_EDIT),
            saved=more.get("saved", ""),
            wrong=more.get("wrong", ""),
            typed=more.get("typed", {}),
            faults=more.get("faults", Faults()),
        )
    return render(request, "settings/certificates.html", fields(page), 422 if page.faults.message else 200)


@router.get(_HERE)
def show(request: Request, actor: Reader, saved: str = "") -> Response:
    return _page(request, actor, saved=saved)


@router.get(_HERE + "/{certificate_id}.pem")
def download(certificate_id: str, actor: Reader, session: ReadSession) -> Response:
    """The public part, for the other side."""
    row = queries.certificate(session, certificate_id)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in row.name)
    head = {"content-disposition": f'attachment; filename="{name or new_id()}.pem"'}
    return PlainTextResponse(row.chain, headers=head, media_type="application/x-pem-file")


async def _typed(request: Request) -> dict[str, str]:
    form = await read_form(request)
    return {name: str(form.get(name) or "")[: 16 * pem.LIMIT + 1] for name in form}


Typed = Annotated[dict[str, str], Depends(_typed)]


@router.post(_HERE + "/tls")
def save_port(request: Request, actor: Editor, typed: Typed) -> Response:
    """The port, its profile, and what callers must show. It opens and closes without a restart."""
    values = read_values(TlsSettings, {name: [value] for name, value in typed.items()})

    def store(session: Any) -> None:
        if values["enabled"] and queries.active(session) is None:
            raise Invalid(
                "The TLS port requires a certificate of this station.",
                hint="Import or create a certificate below.",
                field="enabled",
            )
        settings.save_values(session, TlsSettings.group, values, actor.name)

    faults = attempt(request, store)[1]
    if faults.message:
        return _page(request, actor, wrong="tls", values=values, faults=faults)
    return redirect(f"{_HERE}?saved=tls")


@router.post(_HERE + "/bring")
def import_own(request: Request, actor: Editor, typed: Typed) -> Response:
    """An own certificate with its key."""
    secrets = services(request).secrets
    one = {name: typed.get(name, "") for name in ("name", "chain", "key", "password")}
    faults = attempt(request, lambda session: certificates.import_certificate(session, actor, secrets, **one).id)[1]
    if faults.message:
        kept = {"name": one["name"], "chain": one["chain"]}  # a key is never sent back
        return _page(request, actor, wrong="bring", typed=kept, faults=faults)
    return redirect(f"{_HERE}?saved=bring")


@router.post(_HERE + "/make")
def make(request: Request, actor: Editor, typed: Typed) -> Response:
    """A certificate for the local network."""
    secrets, hosts = services(request).secrets, typed.get("hosts", "").splitlines()
    name = typed.get("name", "")
    faults = attempt(
        request, lambda session: certificates.create_certificate(session, actor, secrets, name, hosts)[0].id
    )[1]
    if faults.message:
        return _page(request, actor, wrong="make", typed={"hosts": typed.get("hosts", ""), "name": name}, faults=faults)
    return redirect(f"{_HERE}?saved=make")


@router.post(_HERE + "/trust")
def trust(request: Request, actor: Editor, typed: Typed) -> Response:
    """Authorities of others, or a certificate of a peer itself; and lists of revoked certificates, or those alone."""
    text, lists = typed.get("trusted", ""), typed.get("revocations", "")

    def store(session: Any) -> None:
        if text.strip() or not lists.strip():
            certificates.trust_certificates(session, actor, text)
        if lists.strip():
            certificates.import_revocation_lists(session, actor, lists)

    faults = attempt(request, store)[1]
    if faults.message:
        return _page(request, actor, wrong="trust", typed={"trusted": text, "revocations": lists}, faults=faults)
    return redirect(f"{_HERE}?saved=trust")


@router.post(_HERE + "/{certificate_id}/use")
def activate(certificate_id: str, request: Request, actor: Editor) -> Response:
    faults = attempt(request, lambda session: certificates.activate(session, actor, certificate_id).id)[1]
    return _page(request, actor, wrong="own", faults=faults) if faults.message else redirect(f"{_HERE}?saved=own")


@router.post(_HERE + "/{certificate_id}/remove")
def remove(certificate_id: str, request: Request, actor: Editor) -> Response:
    faults = attempt(
        request,
        lambda session: certificates.remove(
            session, actor, certificate_id, node_queries.nodes_showing(session, certificate_id)
        ),
    )[1]
    return _page(request, actor, wrong="own", faults=faults) if faults.message else redirect(_HERE)
