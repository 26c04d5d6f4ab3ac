"""DICOM TLS (NET-7): which versions and cipher suites count, and what a failed handshake means in words.

The profiles of PS3.15 by their names. What they have in common: TLS 1.2 and newer only, no compression, no renegotiation,
forward secrecy, authenticated encryption. TLS 1.3 has no weak suites, so its own are taken as OpenSSL gives them."""

import contextlib
import os
import secrets
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from app.kit.phrases import phrase
from app.trust import pem

DEFAULT = "bcp195"

# RFC 9325 4.2: the four suites it recommends for TLS 1.2, elliptic curves first since both sides are quicker with them.
_RECOMMENDED = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
# profile -> its suites of TLS 1.2
SUITES: dict[str, tuple[str, ...]] = {
    # PS3.15 B.12: BCP 195 as RFC 8996 and RFC 9325 made it, nothing beside what is recommended.
    "bcp195": _RECOMMENDED,
    # PS3.15 B.10, of RFC 7525: also its two finite field suites, for devices that have no elliptic curves. Retired in
    # 2022, and the default of DCMTK.
    "non-downgrading": (*_RECOMMENDED, "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256"),
    # PS3.15 B.13: B.12 narrowed to curves and keys of 256 bits or more, but with CCM and ChaCha20 beside GCM.
    "modified": (
        *_RECOMMENDED,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-CCM",
        "ECDHE-ECDSA-AES128-CCM",
    ),
}
TITLES = {
    "bcp195": phrase("BCP 195 (RFC 8996, 9325)"),
    "non-downgrading": phrase("Non-downgrading BCP 195"),
    "modified": phrase("Modified BCP 195 (RFC 8996, 9325)"),
}


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """An own certificate: its chain in PEM, this station's first, and its key."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class TlsCaller:
    """Certificate of a peer that OpenSSL has found to be trusted."""

    fingerprint: str
    subject: str
    der: bytes

    def is_signed_by(self, authority: str) -> bool:
        """Whether this authority (PEM) signed the certificate itself."""
        try:
            signer = x509.load_pem_x509_certificate(authority.encode())
            x509.load_der_x509_certificate(self.der).verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def _context(side: int, profile: str) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # Level 2 (112 bits): no RSA below 2048 bits and no SHA-1 in certificates, whatever the machine's own policy is.
    context.set_ciphers(":".join(SUITES.get(profile, SUITES[DEFAULT])) + ":@SECLEVEL=2")
    return context


def load_identity(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    """Shows this certificate from now on. Python loads keys from files only. So that none lies on a disk in clear, even
    for a moment, it is encrypted with a random password that is not stored."""
    password = secrets.token_hex(16)
    locked = pem.key_pem(pem.key(identity.key), password.encode())
    with _private(identity.chain + locked) as file:
        context.load_cert_chain(file, password=password)


@contextlib.contextmanager
def _private(text: str) -> Iterator[str]:
    handle, name = tempfile.mkstemp(prefix="filmroom-", suffix=".pem")  # mode 0600
    try:
        os.write(handle, text.encode())
        os.close(handle)
        yield name
    finally:
        Path(name).unlink()


@lru_cache(maxsize=1)
def _ffdhe2048() -> str:
    """The group ffdhe2048 (RFC 7919 A.1) as OpenSSL reads it: p is 2^2048 - 2^1984 + (floor(2^1918 e) + 560316) 2^64 - 1."""
    term = total = 1 << 2048  # e as a sum of 1/n!, with 130 bits to spare
    for n in range(1, 400):
        term //= n
        total += term
    p = (1 << 2048) - (1 << 1984) + (((total >> 130) + 560316) << 64) - 1
    number = p.to_bytes(257, "big")  # a leading zero: positive
    der = b"\x30\x82\x01\x08" + b"\x02\x82\x01\x01" + number + b"\x02\x01\x02"  # PKCS #3: SEQUENCE { p, g = 2 }
    return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "DH PARAMETERS")


def server_context(profile: str, identity: TlsIdentity, trusted: Sequence[str], clients: str) -> ssl.SSLContext:
    """For callers. clients: none, asked or demanded, what is asked of them. Raises ssl.SSLError or ValueError when the
    certificate cannot be used."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, profile)
    load_identity(context, identity)
    if "DHE-RSA-AES128-GCM-SHA256" in SUITES.get(profile, ()):
        with _private(_ffdhe2048()) as file:
            context.load_dh_params(file)
    if trusted:
        context.load_verify_locations(cadata="".join(trusted))
    context.verify_mode = {"asked": ssl.CERT_OPTIONAL, "demanded": ssl.CERT_REQUIRED}.get(clients, ssl.CERT_NONE)
    return context


def client_context(profile: str, identity: TlsIdentity | None, trusted: Sequence[str], check: str) -> ssl.SSLContext:
    """For calling others. check: name (chain and host name), ca (chain only), or fingerprint (the caller of this looks at it)."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, profile)
    context.check_hostname = check == "name"
    context.verify_mode = ssl.CERT_NONE if check == "fingerprint" else ssl.CERT_REQUIRED
    if identity is not None:
        load_identity(context, identity)
    if trusted:
        context.load_verify_locations(cadata="".join(trusted))
    return context


def caller_of(sock: ssl.SSLSocket) -> TlsCaller | None:
    """Name of the other side by its certificate; None when it showed none."""
    der = sock.getpeercert(binary_form=True)
    if not der:
        return None
    found = pem.facts(x509.load_der_x509_certificate(der))
    return TlsCaller(found.fingerprint, found.subject, der)


# Alerts of the other side (RFC 8446 6.2, RFC 5246 7.2.2) as OpenSSL names them: what it did not like about us.
_ALERTS = {
    "UNKNOWN_CA": phrase("the authority of the own certificate is not known there"),
    "CERTIFICATE_EXPIRED": phrase("the own certificate was reported as expired"),
    "BAD_CERTIFICATE": phrase("the own certificate was rejected"),
    "CERTIFICATE_UNKNOWN": phrase("the own certificate was rejected"),
    "CERTIFICATE_REVOKED": phrase("the own certificate was reported as revoked"),
    "UNSUPPORTED_CERTIFICATE": phrase("the type of the own certificate is not supported there"),
    "CERTIFICATE_REQUIRED": phrase("a client certificate is required, and none was sent"),
    "ACCESS_DENIED": phrase("the own certificate is known there, but access is denied"),
    "HANDSHAKE_FAILURE": phrase("no common cipher suite, or a certificate is required and was not sent"),
    "INSUFFICIENT_SECURITY": phrase("stronger cipher suites are required than the TLS profile contains"),
    "PROTOCOL_VERSION": phrase("it speaks no TLS 1.2 or newer"),
    "DECRYPT_ERROR": phrase("the signature of this station could not be verified"),
    "UNRECOGNIZED_NAME": phrase("the requested host name is not known there"),
}
# Errors found by OpenSSL itself (codes of X509_V_ERR_...).
_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_SIGNED_CHAIN, _NO_ISSUER, _NO_FIRST, _NAME, _ADDRESS = (
    10, 9, 18, 19, 20, 21, 62, 64
)  # fmt: skip
_PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "UNSUPPORTED_PROTOCOL", "PACKET_LENGTH_TOO_LONG")


def describe_fault(fault: OSError, calling: bool) -> str:
    """Description of the fault, as part of a sentence. calling: an outgoing call; else a caller is meant."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _verification(fault)
    if isinstance(fault, TimeoutError):
        return phrase("it did not answer the TLS handshake in time")
    reason = (getattr(fault, "reason", None) or "").upper()
    alert = next((alert_text for name, alert_text in _ALERTS.items() if f"ALERT_{name}" in reason), None)
    if alert is not None:
        return alert
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return phrase("it shows no client certificate, and one is demanded")
    if reason in _PLAIN:
        return phrase("it talks no TLS on this port")
    if reason in ("NO_SHARED_CIPHER", "NO_CIPHERS_AVAILABLE"):
        return phrase("there is no cipher suite that both sides take")
    if reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW", "UNSUPPORTED_PROTOCOL_VERSION"):
        return phrase("it speaks no TLS 1.2 or newer")
    if isinstance(fault, ssl.SSLEOFError | ConnectionError):
        return (
            phrase("it closed the connection during the TLS handshake")
            if not calling
            else phrase("it closed the connection during the TLS handshake; perhaps it talks no TLS on this port")
        )
    return phrase("TLS failed ({reason})", reason=reason.replace("_", " ").lower() or type(fault).__name__)


def _verification(fault: ssl.SSLCertVerificationError) -> str:
    code = fault.verify_code
    if code == _EXPIRED:
        return phrase("its certificate has expired")
    if code == _NOT_YET:
        return phrase("its certificate is not valid yet; look at the clocks")
    if code in (_SELF_SIGNED, _SELF_SIGNED_CHAIN):
        return phrase("its certificate is self-signed and not trusted here")
    if code in (_NO_ISSUER, _NO_FIRST):
        return phrase("its certificate is from an authority that is not trusted here")
    if code in (_NAME, _ADDRESS):
        return phrase("its certificate is for another host name")
    return phrase("its certificate cannot be trusted ({reason})", reason=fault.verify_message)


def fault_hint(fault: OSError) -> str:
    """Hint for the fault; empty when the description is sufficient."""
    code = getattr(fault, "verify_code", 0)
    reason = (getattr(fault, "reason", None) or "").upper()
    if code in (_SELF_SIGNED, _SELF_SIGNED_CHAIN, _NO_ISSUER, _NO_FIRST):
        return phrase("Add its authority under Settings, Certificates, or pin its fingerprint at the node.")
    if code in (_NAME, _ADDRESS):
        return phrase("Call it by the name in its certificate, or check only the authority at the node.")
    if reason in _PLAIN:
        return phrase("Ask for its TLS port, or switch TLS off at the node.")
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return phrase("Select an own certificate for the node, and import its authority on the node.")
    if "UNKNOWN_CA" in reason:
        return phrase("Import the certificate of Filmroom's authority on the other system (Settings, Certificates).")
    return ""


def version_of(sock: socket.socket) -> str:
    """Like TLSv1.3 TLS_AES_256_GCM_SHA384, for the log and the test of a node."""
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    suite = sock.cipher()
    return f"{sock.version()} {suite[0] if suite else ''}".strip()
