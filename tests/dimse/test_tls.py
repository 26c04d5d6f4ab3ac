"""The TLS port, against DCMTK and with callers that do it wrong: the same association code behind another wire."""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Config
from app.db import open_database
from app.kit import rolestate
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.settings import save
from app.trust import certificates
from app.trust.settings import TlsSettings
from tests.support import dcmtk
from tests.support.dicom_role import dicom_role
from tests.support.dimse import station
from tests.support.pki import Authority, Pair
from tests.support.postgres import free_port
from tests.support.tls_station import TlsStation
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Pair:
    return authority.pair("filmroom", "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def modality(authority: Authority) -> Pair:
    return authority.pair("ct1", "ct1.example")


@pytest.fixture
def secured(sqlite_config: Config, authority: Authority, own: Pair, modality: Pair) -> Iterator[TlsStation]:
    database = open_database(sqlite_config)
    secrets = Secrets(sqlite_config)
    with database.write() as session:
        certificates.import_certificate(session, SYSTEM, secrets, "own", own.chain, own.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
    with station(sqlite_config, database) as plain:
        yield TlsStation(plain, secrets, authority, own, modality)
    database.dispose()


@pytest.mark.parametrize("profile", ["bcp195", "non-downgrading", "modified"])
def test_dcmtk_echoes_and_stores_by_tls(secured: TlsStation, shared_data: Path, profile: str) -> None:
    secured.open(profile=profile)
    assert secured.echo().code == 0
    file = shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm"
    options = ("-R", "+tls", str(secured.modality.key), str(secured.modality.certificate))
    done = dcmtk.storescu(secured.port, [file], *options, "+cf", str(secured.authority.file))
    assert done.code == 0, done.output
    assert len(secured.plain.instances()) == 1


def test_the_port_opens_moves_and_closes_while_the_role_runs(secured: TlsStation) -> None:
    first = secured.open()
    assert secured.echo().code == 0
    second = secured.open()
    assert second != first and secured.echo().code == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", first), timeout=5)
    secured.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", second), timeout=5)
    assert dcmtk.echoscu(secured.plain.port).code == 0


def test_another_certificate_counts_for_the_next_connection(secured: TlsStation, authority: Authority) -> None:
    secured.open()
    new = authority.pair("renewed", "localhost")
    with secured.database.write() as session:
        row = certificates.import_certificate(session, SYSTEM, secured.secrets, "renewed", new.chain, new.clear)
        assert not row.active
        certificates.activate(session, SYSTEM, row.id)
    secured.plain.receiver.ways.invalidate()
    context = ssl.create_default_context(cadata=authority.text)

    def shown() -> str:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", secured.port), timeout=5) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as secure,
        ):
            return str(secure.getpeercert()["subject"])  # type: ignore[index]
        return ""

    secured.plain.wait(lambda: "renewed" in shown(), 30)


def test_demanded_client_certificates_keep_others_out(
    secured: TlsStation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secured.open(client_certificates="demanded")
    assert secured.echo(pair=secured.modality).code == 0
    with caplog.at_level(logging.WARNING, "app.dimse.server"):
        assert secured.echo().code != 0
        stranger = Authority(tmp_path / "other", "Another").pair("stranger")
        assert secured.echo(pair=stranger).code != 0
        secured.plain.calm()
    assert "shows no client certificate, and one is demanded" in caplog.text
    assert "from an authority that is not trusted here" in caplog.text or "self-signed" in caplog.text


def test_an_expired_client_certificate_is_named(secured: TlsStation, caplog: pytest.LogCaptureFixture) -> None:
    secured.open(client_certificates="asked")
    old = secured.authority.pair("old", days=-1, since=-30)
    with caplog.at_level(logging.WARNING, "app.dimse.server"):
        assert secured.echo(pair=old).code != 0
        secured.plain.calm()
    assert "its certificate has expired" in caplog.text


def test_a_node_is_bound_to_its_certificate(secured: TlsStation) -> None:
    """By title and address alone nobody may be the node any more: neither plainly nor with another certificate."""
    secured.node(tls_caller="fingerprint", tls_fingerprint=secured.modality.fingerprint)
    secured.open(client_certificates="asked")
    assert secured.echo(pair=secured.modality).code == 0
    for refused in (
        secured.echo(),
        secured.echo(pair=secured.own),
        dcmtk.echoscu(secured.plain.port, "FILMROOM", "ECHOSCU"),
    ):
        assert refused.code != 0 and "Calling AE Title Not Recognized" in refused.output


def test_a_node_is_bound_to_an_authority(secured: TlsStation, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Another")
    with secured.database.write() as session:
        certificates.trust_certificates(session, SYSTEM, other.text)
    secured.node(tls_caller="authority", tls_authority=secured.authority.fingerprint)
    secured.open(client_certificates="asked")
    assert secured.echo(pair=secured.modality).code == 0
    trusted_elsewhere = other.pair("elsewhere")
    refused = secured.echo(pair=trusted_elsewhere)
    assert refused.code != 0 and "Calling AE Title Not Recognized" in refused.output


def test_a_plain_caller_leaves_one_line_and_nothing_else(secured: TlsStation, caplog: pytest.LogCaptureFixture) -> None:
    secured.open()
    with caplog.at_level(logging.INFO):
        assert dcmtk.echoscu(secured.port).code != 0
        secured.plain.calm()
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("app.dimse")]
    assert len(lines) == 1 and "it talks no TLS on this port" in lines[0]
    assert secured.echo().code == 0


def test_who_says_nothing_keeps_nobody_waiting(secured: TlsStation) -> None:
    secured.plain.set(artim=2)
    secured.open()
    silent = [socket.create_connection(("127.0.0.1", secured.port), timeout=30) for _ in range(20)]
    started = time.monotonic()
    assert secured.echo().code == 0
    assert time.monotonic() - started < 20 * 2, "it did not wait for one after the other"
    for sock in silent:
        assert sock.recv(100) == b""
        sock.close()


def test_old_versions_are_refused(secured: TlsStation) -> None:
    secured.open(profile="non-downgrading")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secured.port), timeout=30) as sock, pytest.raises(OSError):
        context.wrap_socket(sock)


def test_elder_devices_without_curves_need_the_non_downgrading_profile(secured: TlsStation) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256")
    secured.open(profile="bcp195")
    with socket.create_connection(("127.0.0.1", secured.port), timeout=30) as sock, pytest.raises(OSError):
        context.wrap_socket(sock)
    secured.open(profile="non-downgrading")
    with (
        socket.create_connection(("127.0.0.1", secured.port), timeout=30) as sock,
        context.wrap_socket(sock) as secure,
    ):
        assert secure.cipher() == ("DHE-RSA-AES128-GCM-SHA256", "TLSv1.2", 128)


def test_a_caller_with_tls_on_the_plain_port_is_told_so(secured: TlsStation, caplog: pytest.LogCaptureFixture) -> None:
    options = ("+tla", "+cf", str(secured.authority.file))
    with caplog.at_level(logging.INFO, "app.dimse"):
        assert dcmtk.echoscu(secured.plain.port, "FILMROOM", "ECHOSCU", *options).code != 0
        secured.plain.calm()
    assert "it talks TLS on a port without it" in caplog.text


def test_garbage_after_the_handshake_ends_that_connection_only(secured: TlsStation) -> None:
    secured.open()
    context = ssl.create_default_context(cadata=secured.authority.text)
    for data in (b"\x16" * 4000, b"\x01\x00\xff\xff\xff\xff", b"\x04\x00\x00\x00\x00\x06" + b"\0" * 6, b""):
        with (
            socket.create_connection(("127.0.0.1", secured.port), timeout=30) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as secure,
        ):
            secure.sendall(data)
            if data:
                assert secure.recv(10)[:1] == b"\x07", "an A-ABORT"
    for data in (b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"GET / HTTP/1.0\r\n\r\n"):
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", secured.port), timeout=30) as sock,
        ):
            sock.sendall(data)
            while sock.recv(4096):
                pass
    secured.plain.calm()
    assert secured.echo().code == 0


@pytest.mark.slow
def test_every_receiver_process_opens_the_tls_port(sqlite_config: Config, authority: Authority, own: Pair) -> None:
    database, port = open_database(sqlite_config), free_port()
    with database.write() as session:
        certificates.import_certificate(session, SYSTEM, Secrets(sqlite_config), "own", own.chain, own.clear)
        values = {"enabled": True, "dicom_tls_port": port}
        save(session, TlsSettings.model_validate(values), "test")
    database.dispose()
    with dicom_role(sqlite_config, 2) as role:
        role.wait(2)
        ports = eventually(lambda: _ports(sqlite_config), "both report their port", until=lambda found: len(found) >= 2)
        assert ports == [port, port]
        for _ in range(6):
            shown = ("+tla", "+cf", str(authority.file))
            assert dcmtk.echoscu(port, "FILMROOM", "ECHOSCU", *shown).code == 0


def _ports(config: Config) -> list[int]:
    return [one.detail["tls_port"] for one in rolestate.read_all(config.run) if one.detail.get("tls_port")]
