"""Certificates as files hold them: reading and checking what is brought, making some for a local network. Pure."""

import ipaddress
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.kit.clock import now
from app.kit.errors import Invalid
from app.kit.phrases import phrase

LIMIT = 1 << 20  # characters of a PEM text; a chain has some thousand
LEAF_DAYS = 397  # what browsers and careful devices take at most
AUTHORITY_DAYS = 3650
_EARLIER = timedelta(minutes=10)  # clocks of modalities are late
# Up to the next five dashes and no further: a text of beginnings without an end costs no more than its length.
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(?:(?!-----).)+-----END CERTIFICATE-----", re.S)
_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----).)+-----END [A-Z ]{0,40}PRIVATE KEY-----", re.S)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Displayed values of one certificate. fingerprint: SHA-256 in capitals, two by two; names: the host names
    and addresses it is for; authority: it may sign others (RFC 5280 4.2.1.9)."""

    subject: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    names: list[str]
    authority: bool


def facts(certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        subject=common_name(certificate.subject),
        issuer=common_name(certificate.issuer),
        fingerprint=fingerprint(certificate.public_bytes(serialization.Encoding.DER)),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=_names(certificate),
        authority=_is_authority(certificate),
    )


def fingerprint(der: bytes) -> str:
    """SHA-256 of the certificate as `openssl x509 -fingerprint -sha256` writes it."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex(":").upper()


def clean_fingerprint(text: str) -> str:
    """A typed fingerprint in canonical form; empty when it is none of 32 bytes."""
    digits = re.sub(r"^sha-?256( fingerprint)?\s*[=:]|[\s:-]", "", text.strip(), flags=re.I).upper()
    plain = re.fullmatch(r"[0-9A-F]{64}", digits)
    return ":".join(digits[n : n + 2] for n in range(0, 64, 2)) if plain else ""


def common_name(name: x509.Name) -> str:
    """Display name of a subject or issuer: its common name, else all of it."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value if common else name.rfc4514_string())[:256]


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return certificate.subject == certificate.issuer  # old ones of version 1 have no such extension


def certificates(text: str, field: str = "certificate") -> list[x509.Certificate]:
    """Every certificate of a PEM text, in its order. Raises Invalid."""
    if len(text) > LIMIT:
        raise Invalid("This is too long for certificates in PEM.", field=field)
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise Invalid(
            "There is no certificate in it: PEM begins with -----BEGIN CERTIFICATE-----.",
            hint="Convert other forms with openssl x509 -inform der.",
            field=field,
        )
    try:
        return [x509.load_pem_x509_certificate(block.encode("ascii", "replace")) for block in blocks]
    except ValueError:
        raise Invalid("A certificate in it cannot be read.", field=field) from None


def to_pem(chain: Sequence[x509.Certificate]) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)


def key(text: str, password: str = "") -> PrivateKeyTypes:
    """The private key of a PEM text, which may also hold certificates. Raises Invalid."""
    found = _KEY.search(text[:LIMIT])
    if found is None:
        raise Invalid("There is no private key in it: PEM begins with -----BEGIN PRIVATE KEY-----.", field="key")
    raw, secret = found[0].encode("ascii", "replace"), password.encode() or None
    try:
        return serialization.load_pem_private_key(raw, secret)
    except TypeError:
        if secret is not None:
            return serialization.load_pem_private_key(raw, None)  # it needs no password
        raise Invalid("The key is locked with a password.", hint="Write it beside.", field="password") from None
    except (ValueError, UnsupportedAlgorithm):
        if secret is not None:
            raise Invalid("The key does not open: wrong password, or damaged.", field="password") from None
        raise Invalid("The private key cannot be read.", field="key") from None


def key_pem(found: PrivateKeyTypes, password: bytes | None = None) -> str:
    """PKCS #8. With a password it is locked."""
    lock: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    return found.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def checked_pair(chain_text: str, key_text: str, password: str = "") -> tuple[list[x509.Certificate], str]:
    """An own certificate with its chain, and its key in clear. Raises Invalid when they do not belong together,
    when the certificate has expired, or is weaker than BCP 195 requires (RFC 9325 4.5: RSA of 2048 bits, curves of
    224)."""
    chain = certificates(chain_text)
    found = key(key_text, password)
    leaf = chain[0]
    if _public(leaf.public_key()) != _public(found.public_key()):
        raise Invalid(
            "The private key does not belong to the first certificate.",
            hint="The certificate of this station comes first, then those that signed it.",
            field="key",
        )
    if leaf.not_valid_after_utc < now():
        raise Invalid(
            phrase("The certificate expired on {day}.", day=leaf.not_valid_after_utc.date()), field="certificate"
        )
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size < 2048:
        raise Invalid("An RSA key has 2048 bits or more (BCP 195).", field="key")
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or (
        isinstance(found, ec.EllipticCurvePrivateKey) and found.key_size < 224
    ):
        raise Invalid("DICOM TLS takes RSA keys, and elliptic curves of 224 bits or more.", field="key")
    for signed, signer in itertools.pairwise(chain):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature):
            raise Invalid(
                "The chain is out of order: each certificate is followed by the one that signed it.",
                field="certificate",
            ) from None
    return chain, key_pem(found)


def _public(found: object) -> bytes:
    return found.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def create_authority(name: str) -> tuple[x509.Certificate, str]:
    """An own authority for a local network: certificate and key. P-256 (RFC 9325 4.5)."""
    made = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        _builder(subject, subject, made, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(made.public_key()), critical=False)
        .sign(made, hashes.SHA256())
    )
    return certificate, key_pem(made)


def create_leaf(
    authority: x509.Certificate, authority_key: str, names: Sequence[str], title: str, days: int = LEAF_DAYS
) -> tuple[x509.Certificate, str]:
    """A certificate for these host names and addresses, as server and client, signed by the authority; and its key.
    RSA of 2048 bits: some modalities know no curves in certificates."""
    made = rsa.generate_private_key(65537, 2048)
    signer = key(authority_key)
    assert isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title[:64])])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        _builder(subject, authority.subject, made, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )
    return certificate, key_pem(made)


def _builder(subject: x509.Name, issuer: x509.Name, made: Key, days: int) -> x509.CertificateBuilder:
    moment = now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _EARLIER)
        .not_valid_after(moment + timedelta(days=days))
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode() if not name.isascii() else name)
