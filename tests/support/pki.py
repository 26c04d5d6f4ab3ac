"""Authorities and certificates of the tests' own, in files as DCMTK and Orthanc read them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from app.kit.clock import now
from app.trust import pem, revocation


@dataclass
class Pair:
    """A certificate with its key, each in a file."""

    certificate: Path
    key: Path

    @property
    def chain(self) -> str:
        return self.certificate.read_text()

    @property
    def clear(self) -> str:
        return self.key.read_text()

    @property
    def fingerprint(self) -> str:
        return pem.facts(x509.load_pem_x509_certificate(self.certificate.read_bytes())).fingerprint


class Authority:
    """Signs what a test needs. names: host names and addresses; days: how long; since: days from now until it begins."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._certificate, self._key = pem.create_authority(name)
        self.file = self._write(f"{name}.pem", pem.to_pem([self._certificate]))

    @property
    def text(self) -> str:
        return self.file.read_text()

    @property
    def fingerprint(self) -> str:
        return pem.facts(self._certificate).fingerprint

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name.replace(" ", "-")
        path.write_text(text)
        return path

    def revoked(self, *pairs: Pair, since: float = 0, days: float = 7) -> str:
        """A list of revoked certificates with these, in PEM, from so many days on for so many days."""
        begin = now() + timedelta(days=since) - timedelta(minutes=1)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(begin).next_update(begin + timedelta(days=days))
        for pair in pairs:
            serial = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begin).build()
            )
        signer = pem.key(self._key)
        return revocation.to_pem(builder.sign(signer, hashes.SHA256()))  # type: ignore[arg-type]

    def pair(self, name: str, *names: str, days: int = 90, since: int = 0) -> Pair:
        made = rsa.generate_private_key(65537, 2048)
        begin = now() + timedelta(days=since) - timedelta(minutes=5)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(made.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(begin, now() + timedelta(days=days - 1)))
            .not_valid_after(now() + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if names:
            general = [pem._general(one) for one in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        signer = pem.key(self._key)
        assert not isinstance(signer, rsa.RSAPrivateKey)
        leaf = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
        return Pair(self._write(f"{name}.crt", pem.to_pem([leaf])), self._write(f"{name}.key", pem.key_pem(made)))
