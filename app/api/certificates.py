"""Certificates of DICOM TLS, and the proxy's password and test."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.http import ReadSession, WriteSession, allow, services
from app.http.i18n import translate
from app.kit.phrases import joined
from app.network.settings import connect_timeout
from app.nodes import queries as node_queries
from app.security import Actor, Verb
from app.trust import certificates, proxy_service, queries

router = APIRouter(tags=["certificates"])
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]


class CertificateBody(BaseModel):
    """A certificate to keep. Keys are kept sealed and never shown again."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["own", "made", "trusted", "crl"] = Field(
        description="own: brought with its key; made: made here for the local network; trusted: one of others;"
        " crl: a list of revoked certificates of an authority that is trusted"
    )
    name: str = Field("", max_length=64, description="What people see; empty: as the certificate says")
    chain: str = Field(
        "", description="own, trusted, crl: PEM; of own the certificate first, then those that signed it"
    )
    key: str = Field("", description="own: its private key in PEM; empty when it is part of chain")
    password: str = Field("", description="own: of a locked key")
    hosts: list[str] = Field([], description="made: host names and addresses; empty: those of this machine")


class ProxyPassword(BaseModel):
    """The password that the proxy asks for."""

    model_config = ConfigDict(extra="forbid")

    password: str = Field(description="Empty to forget it")


class Target(BaseModel):
    """Where a test of the proxy leads."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or IP address")
    port: int = Field(ge=1, le=65535, description="TCP port")


@router.get("/certificates")
def list_certificates(actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Lists own certificates, trusted certificates, the local authority, and revocation lists."""
    items = [certificates.certificate_json(row) for row in queries.all_certificates(session)]
    return {"items": items, "total": len(items), "next": None}


@router.post("/certificates", status_code=201)
def add_certificate(
    body: CertificateBody, request: Request, response: Response, actor: Editor, session: WriteSession
) -> dict[str, Any]:
    """Imports or creates a certificate, or imports a revocation list. Of several in one text the first is returned."""
    secrets = services(request).secrets
    if body.kind == "own":
        row = certificates.import_certificate(session, actor, secrets, body.name, body.chain, body.key, body.password)
    elif body.kind == "made":
        row, _ = certificates.create_certificate(session, actor, secrets, body.name, body.hosts)
    elif body.kind == "crl":
        row = certificates.import_revocation_lists(session, actor, body.chain)[0]
    else:
        row = certificates.trust_certificates(session, actor, body.chain)[0]
    response.headers["Location"] = f"/api/v1/certificates/{row.id}"
    return certificates.certificate_json(row)


@router.get("/certificates/{certificate_id}")
def get_certificate(certificate_id: str, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Returns a certificate with its chain in PEM, without its key."""
    row = queries.certificate(session, certificate_id)
    return certificates.certificate_json(row) | {"chain": row.chain}


@router.post("/certificates/{certificate_id}/use")
def use_certificate(certificate_id: str, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Uses this certificate for incoming TLS connections from now on."""
    return certificates.certificate_json(certificates.activate(session, actor, certificate_id))


@router.delete("/certificates/{certificate_id}", status_code=204)
def remove_certificate(certificate_id: str, actor: Editor, session: WriteSession) -> None:
    """Deletes a certificate with its key."""
    certificates.remove(session, actor, certificate_id, node_queries.nodes_showing(session, certificate_id))


@router.put("/settings/proxy/password", status_code=204)
def set_proxy_password(body: ProxyPassword, request: Request, actor: Editor, session: WriteSession) -> None:
    """Sets the password of the proxy, which is stored encrypted. Its other values are the settings group `proxy`."""
    proxy_service.set_password(session, actor, services(request).secrets, body.password)


@router.post("/settings/proxy/test")
def test_proxy(body: Target, request: Request, actor: Editor) -> dict[str, Any]:
    """Tests the saved proxy with a connection. Answers 200 also when the proxy fails."""
    seconds = connect_timeout(services(request).database)
    found = proxy_service.test_proxy(actor, body.host, body.port, seconds)
    return {"ok": found.ok, "message": translate(joined((found.message, found.hint))), "seconds": found.seconds}
