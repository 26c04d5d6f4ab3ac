"""What certificates say of their end, how our own are made, and what cannot be kept."""

import os
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy import select

from app.config import Config
from app.db import Database
from app.events.models import Event
from app.kit.clock import now
from app.kit.errors import Invalid
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.trust import certificates, pem, queries, tls
from app.trust.models import Certificate
from tests.support.pki import Authority


@pytest.fixture
def row(config: Config, database: Database) -> Certificate:
    with database.write() as session:
        made, _ = certificates.create_certificate(session, SYSTEM, Secrets(config), "LAN", ["localhost", "10.0.0.5"])
        session.expunge(made)
    return made


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (100, "ok", "valid until"),
        (30, "ok", "valid until"),
        (29, "warn", "expires in 29 days"),
        (7, "warn", "expires in 7 days"),
        (6, "bad", "expires in 6 days"),
        (0, "bad", "expires in 0 days"),
        (-1, "bad", "expired on"),
    ],
)
def test_the_end_is_told_in_time(row: Certificate, days: int, state: str, words: str) -> None:
    moment = row.not_after - timedelta(days=days, seconds=1 if days >= 0 else -1)
    found = certificates.certificate_status(row, moment)
    assert found[0] == state and str(found[1]).startswith(words)


def test_one_that_is_not_valid_yet_points_to_the_clock(row: Certificate) -> None:
    assert "look at the clock" in certificates.certificate_status(row, row.not_before - timedelta(days=1))[1]


def test_each_warning_comes_once(config: Config, database: Database, row: Certificate) -> None:
    said = []
    for days in (40, 29, 28, 6, 5, -1, -2):
        with database.write() as session:
            for one in queries.all_certificates(session):
                one.not_after = now() + timedelta(days=days, hours=1 if days >= 0 else -1)
            said.append(len(certificates.warn_expiring(session)))
    assert said == [0, 2, 0, 2, 0, 2, 0], "ours in use and the authority, at 30 days, at 7, at the end"
    with database.read() as session:
        told = [e.payload["days"] for e in session.scalars(select(Event).where(Event.topic == "certificate.expiring"))]
    assert sorted(told) == [-2, -2, 6, 6, 29, 29]


def test_openssl_takes_what_is_made(database: Database, config: Config, tmp_path: Path) -> None:
    with database.write() as session:
        made, authority = certificates.create_certificate(
            session, SYSTEM, Secrets(config), "", ["filmroom.example", "10.0.0.5", "::1"]
        )
        again, same = certificates.create_certificate(session, SYSTEM, Secrets(config), "next", ["filmroom.example"])
        assert same.id == authority.id and made.active and not again.active
        (tmp_path / "leaf.pem").write_text(made.chain)
        (tmp_path / "ca.pem").write_text(authority.chain)
    for purpose in ("sslserver", "sslclient"):
        check = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", tmp_path / "ca.pem"]
        for more in (["-verify_hostname", "filmroom.example"], ["-verify_ip", "10.0.0.5"], ["-verify_ip", "::1"]):
            done = subprocess.run([*check, *more, tmp_path / "leaf.pem"], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_hosts_that_are_none_are_refused(database: Database, config: Config) -> None:
    with database.write() as session, pytest.raises(Invalid):
        certificates.create_certificate(session, SYSTEM, Secrets(config), "", ["a b"])


def test_a_locked_key_needs_its_password(tmp_path: Path) -> None:
    pair = Authority(tmp_path).pair("locked")
    locked = pem.key_pem(pem.key(pair.clear), b"secret")
    assert pem.checked_pair(pair.chain, locked, "secret")[1] == pair.clear
    assert pem.checked_pair(pair.chain + locked, pair.chain + locked, "secret")[1] == pair.clear, "both in one text"
    for password, words in (("", "locked with a password"), ("wrong", "wrong password")):
        with pytest.raises(Invalid, match=words):
            pem.checked_pair(pair.chain, locked, password)


def test_weak_keys_are_refused(tmp_path: Path) -> None:
    authority, key = pem.create_authority("weak")
    for made, words in (
        (rsa.generate_private_key(65537, 1024), "2048 bits or more"),
        (ed25519.Ed25519PrivateKey.generate(), "takes RSA keys"),
    ):
        builder = pem._builder(authority.subject, authority.subject, made, 10)  # type: ignore[arg-type]
        leaf = builder.sign(pem.key(key), hashes.SHA256())  # type: ignore[arg-type]
        clear = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        with pytest.raises(Invalid, match=words):
            pem.checked_pair(pem.to_pem([leaf]), clear)


def test_a_chain_out_of_order_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.pair("one"), Authority(tmp_path / "b", "Another")
    assert pem.checked_pair(pair.chain + authority.text, pair.clear)
    with pytest.raises(Invalid, match="out of order"):
        pem.checked_pair(pair.chain + other.text, pair.clear)


def test_a_key_lies_on_no_disk_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Authority(tmp_path / "pki").pair("one")
    seen: list[str] = []
    mine = tmp_path / "scratch"
    mine.mkdir()
    monkeypatch.setattr(tls.tempfile, "tempdir", str(mine))
    unlink = Path.unlink

    def look(self: Path, missing_ok: bool = False) -> None:
        assert stat.S_IMODE(os.stat(self).st_mode) == 0o600
        seen.append(self.read_text())
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", look)
    tls.server_context("bcp195", tls.TlsIdentity(pair.chain, pair.clear), [], "none")
    assert len(seen) == 1 and "ENCRYPTED PRIVATE KEY" in seen[0] and pair.clear.splitlines()[3] not in seen[0]
    assert list(mine.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["ab" * 32, ("ab:" * 32)[:-1], "SHA256 Fingerprint=" + ("AB:" * 32)[:-1], "sha-256: " + "AB " * 32]
)
def test_fingerprints_are_taken_as_people_paste_them(text: str) -> None:
    assert pem.clean_fingerprint(text) == ":".join(["AB"] * 32)
    assert pem.clean_fingerprint(text[:-4]) == ""


def test_the_fingerprint_is_that_of_openssl(tmp_path: Path) -> None:
    pair = Authority(tmp_path).pair("one")
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", pair.certificate],
        capture_output=True,
        text=True,
    )
    assert pem.clean_fingerprint(done.stdout) == pair.fingerprint
    assert pem.facts(x509.load_pem_x509_certificate(pair.certificate.read_bytes())).fingerprint == pair.fingerprint
