"""Lists of revoked certificates (CRLs, RFC 5280 5): reading them, and checking a peer. Pure.

OpenSSL's own check would demand a list of every authority that is trusted; here a list is used where one was imported.
Looked at are the peer's certificate and the authorities kept here that signed it, one above the other."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from app.kit.clock import now
from app.kit.errors import Invalid
from app.kit.phrases import phrase
from app.trust import pem

FIELD = "revocations"  # of the form
_BLOCK = re.compile(r"-----BEGIN X509 CRL-----(?:(?!-----).)+-----END X509 CRL-----", re.S)
_DEEPEST = 8  # authorities above one another

Revocation = tuple[str, str]  # a list and the certificate of the authority that signed it, both PEM


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a certificate is not taken, as part of a sentence, and what to do."""

    words: str
    hint: str


@dataclass(frozen=True, slots=True)
class ListFacts:
    """Displayed values of a list. fingerprint: SHA-256; until: when the next one is due."""

    authority: str
    fingerprint: str
    since: datetime
    until: datetime
    count: int


def parse_lists(text: str) -> list[x509.CertificateRevocationList]:
    """Every list of a PEM text. Raises Invalid."""
    if len(text) > 16 * pem.LIMIT:
        raise Invalid("This is too long for a list of revoked certificates.", field=FIELD)
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise Invalid(
            "There is no list of revoked certificates in it: PEM begins with -----BEGIN X509 CRL-----.",
            hint="Convert other forms with openssl crl -inform der.",
            field=FIELD,
        )
    try:
        return [x509.load_pem_x509_crl(block.encode("ascii", "replace")) for block in blocks]
    except ValueError:
        raise Invalid("A list of revoked certificates in it cannot be read.", field=FIELD) from None


def facts(found: x509.CertificateRevocationList) -> ListFacts:
    """Raises Invalid for a list without the date of the next update: it would be valid without end (RFC 5280 5.1.2.5)."""
    if found.next_update_utc is None:
        raise Invalid("The list does not say until when it counts.", field=FIELD)
    return ListFacts(
        authority=pem.common_name(found.issuer),
        fingerprint=pem.fingerprint(found.public_bytes(Encoding.DER)),
        since=found.last_update_utc,
        until=found.next_update_utc,
        count=len(found),
    )


def signer_of(
    found: x509.CertificateRevocationList, authorities: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    """Which of these signed the list."""
    return next((one for one in authorities if one.subject == found.issuer and _signed(found, one)), None)


def _signed(found: x509.CertificateRevocationList, signer: x509.Certificate) -> bool:
    try:
        return found.is_signature_valid(signer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def to_pem(found: x509.CertificateRevocationList) -> str:
    return found.public_bytes(Encoding.PEM).decode()


@lru_cache(maxsize=8)
def _read(revocations: tuple[Revocation, ...]) -> list[tuple[x509.CertificateRevocationList, x509.Certificate]]:
    return [
        (x509.load_pem_x509_crl(one.encode()), x509.load_pem_x509_certificate(signer.encode()))
        for one, signer in revocations
    ]


@lru_cache(maxsize=8)
def _authorities(trusted: tuple[str, ...]) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(one.encode()) for one in trusted]


def revocation_fault(
    der: bytes, revocations: Sequence[Revocation], trusted: Sequence[str], moment: datetime | None = None
) -> Distrust | None:
    """The reason to reject a peer with this otherwise trusted certificate; None: nothing. After a list has expired,
    certificates of its authority are rejected until there is a newer one."""
    if not revocations:
        return None
    moment = moment or now()
    certificate = x509.load_der_x509_certificate(der)
    for _ in range(_DEEPEST):
        for found, signer in _read(tuple(revocations)):
            if found.issuer != certificate.issuer or not _issued(certificate, signer):
                continue
            if fault := _against(certificate, found, moment):
                return fault
        above = next((one for one in _authorities(tuple(trusted)) if _issued(certificate, one)), None)
        if above is None or above.subject == above.issuer:
            return None
        certificate = above
    return None


def _issued(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _against(certificate: x509.Certificate, found: x509.CertificateRevocationList, moment: datetime) -> Distrust | None:
    revoked = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if revoked is not None:
        return Distrust(
            phrase("its certificate was revoked on {day}", day=revoked.revocation_date_utc.date()),
            phrase("It needs a new certificate of its authority."),
        )
    if found.next_update_utc is not None and found.next_update_utc <= moment:
        return Distrust(
            phrase(
                "the list of revoked certificates of {authority} ended on {day}",
                authority=pem.common_name(found.issuer),
                day=found.next_update_utc.date(),
            ),
            phrase("Bring its newer list under Settings, Certificates."),
        )
    return None
