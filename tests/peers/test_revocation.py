"""Lists of revoked certificates, against DCMTK both ways and Orthanc's HTTPS; and certificates of ours that DICOMweb
servers ask for."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from app.config import Config
from app.db import Database
from app.kit.clock import now
from app.kit.errors import Invalid, PeerFault
from app.kit.ids import new_id
from app.network.probe import probe
from app.network.settings import DicomSettings
from app.nodes import dicomweb, service
from app.nodes.models import Node
from app.nodes.options import NodeValues
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.settings import save
from app.trust import certificates, queries, runtime
from app.trust.settings import TlsSettings
from tests.support import dcmtk, orthanc
from tests.support.dimse import Station
from tests.support.pki import Authority, Pair
from tests.support.postgres import free_port
from tests.support.tls_peers import peer, said, server, storescp, tls_server
from tests.support.waiting import port_open

pytestmark = pytest.mark.peer
QUICK = DicomSettings(connect_timeout=5, network_timeout=5, artim=2)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def pairs(authority: Authority) -> tuple[Pair, Pair]:
    """One that stays good, and one that is stolen."""
    return authority.pair("good", "localhost", "127.0.0.1"), authority.pair("stolen", "localhost", "127.0.0.1")


@pytest.fixture
def calling(sqlite_config: Config, peopled: Database, authority: Authority) -> Iterator[Database]:
    own = authority.pair("ours", "localhost", "127.0.0.1")
    with peopled.write() as session:
        certificates.import_certificate(session, SYSTEM, Secrets(sqlite_config), "ours", own.chain, own.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
    runtime.configure(sqlite_config, peopled)
    yield peopled
    runtime._current = runtime.Ways()


def bring(database: Database, text: str) -> int:
    with database.write() as session:
        row = certificates.import_revocation_lists(session, SYSTEM, text)[0]
        found = certificates.certificate_json(row)
    runtime.current().invalidate()
    assert str(found["message"]).startswith("valid until ")
    return int(found["revoked"])


def bring_old(database: Database, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was good when it was brought, and is over by now."""
    with monkeypatch.context() as then:
        then.setattr(certificates, "now", lambda: now() - timedelta(days=9))
        with database.write() as session:
            certificates.import_revocation_lists(session, SYSTEM, authority.revoked(since=-10, days=3))
    runtime.current().invalidate()


def test_whom_we_call(
    calling: Database,
    authority: Authority,
    pairs: tuple[Pair, Pair],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, stolen = pairs
    with storescp(tmp_path / "good", good, "-ic") as fine, storescp(tmp_path / "stolen", stolen, "-ic") as bad:
        assert probe(peer(bad), QUICK).ok, "nobody has said anything yet"
        assert bring(calling, authority.revoked(stolen)) == 1
        words = said(bad)
        assert f"No TLS with PACS1 (127.0.0.1:{bad}): its certificate was revoked on " in words
        assert "It needs a new certificate" in words
        assert probe(peer(fine), QUICK).ok
        assert probe(peer(bad, tls_check="fingerprint", tls_fingerprint=stolen.fingerprint), QUICK).ok, "pinned"
        with calling.write() as session:
            certificates.remove(session, SYSTEM, queries.of_kind(session, certificates.LIST)[0].id, [])
        bring_old(calling, authority, monkeypatch)
        words = said(fine)
        assert "the list of revoked certificates of Test authority ended on " in words
        assert "Bring its newer list under Settings, Certificates." in words
        bring(calling, authority.revoked())  # in place of the old one
        assert probe(peer(fine), QUICK).ok and probe(peer(bad), QUICK).ok


def test_who_calls_us(
    receiver: Station,
    calling: Database,
    authority: Authority,
    pairs: tuple[Pair, Pair],
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    with calling.write() as session:
        values = {"enabled": True, "dicom_tls_port": port, "client_certificates": "demanded"}
        save(session, TlsSettings.model_validate(values), "test")
        certificates.import_revocation_lists(session, SYSTEM, authority.revoked(pairs[1]))
    receiver.receiver.ways.invalidate()
    receiver.wait(lambda: receiver.receiver.tls.port == port, 30)

    def echo(pair: Pair) -> int:
        shown = ("+tls", str(pair.key), str(pair.certificate), "+cf", str(authority.file))
        return dcmtk.echoscu(port, "FILMROOM", "CT1", *shown).code

    assert echo(pairs[0]) == 0 and echo(pairs[1]) != 0
    assert "no association with 127.0.0.1: its certificate was revoked on " in caplog.text


def test_what_is_no_use_is_refused(calling: Database, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Another")
    cases = {
        other.revoked(): "The list is of Another, which is not trusted here.",
        Authority(tmp_path / "same").revoked(): "The list is of Test authority, which is not trusted here.",
        authority.revoked(since=-10, days=3): "The list ended on ",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----": "cannot be read",
        authority.text: "There is no list of revoked certificates in it",
    }
    for text, words in cases.items():
        with pytest.raises(Invalid, match=words) as fault:
            bring(calling, text)
        assert fault.value.extra["field"] == "revocations"
    bring(calling, authority.revoked(days=20))
    with pytest.raises(Invalid, match="A newer list of this authority is here already"):
        bring(calling, authority.revoked(since=-1, days=5))


def test_the_end_of_a_list_is_told(calling: Database, authority: Authority) -> None:
    bring(calling, authority.revoked(days=7))
    with calling.read() as session:
        assert not [one for one in certificates.expiring_certificates(session) if one.kind == certificates.LIST]
        (found,) = certificates.expiring_certificates(session, now() + timedelta(days=5, hours=1))
        assert certificates.certificate_status(found, now() + timedelta(days=5, hours=1))[0] == "bad"
        assert certificates.certificate_status(found, now() + timedelta(days=8)) == (
            "bad",
            f"expired on {found.not_after:%Y-%m-%d}",
        )


@contextmanager
def nginx(folder: Path, pair: Pair, authority: Authority, behind: str) -> Iterator[str]:
    """nginx before a DICOMweb server, as hospitals have it: HTTPS for those with a certificate of the authority."""
    folder.mkdir()
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"""daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
        http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
          uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
          server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};
            ssl_client_certificate {authority.file}; ssl_verify_client on; location / {{ proxy_pass {behind}; }} }} }}"""
    )
    process = subprocess.Popen(
        [dcmtk.program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    )
    try:
        port_open(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def search(config: Config, url: str, certificate: str) -> list[dict[str, str]]:
    set_to = {"protocol": "dicomweb", "url": url, "client_certificate": certificate}
    node = Node(id=new_id(), name="web", ae_title="", host="", port=0, options=set_to)
    with dicomweb.client(node, QUICK, config) as http:
        return list(dicomweb.find(http, "web", "STUDY", {}))


def test_dicomweb_servers_that_ask_for_a_certificate(
    sqlite_config: Config, calling: Database, authority: Authority, pairs: tuple[Pair, Pair], tmp_path: Path
) -> None:
    """One that says so in the handshake, and nginx before Orthanc, which says so after it."""
    good = pairs[0]
    with server(tls_server(good, authority.text)) as port:
        with pytest.raises(
            PeerFault, match="No TLS with web: a client certificate is required, and none was sent"
        ) as no:
            search(sqlite_config, f"https://127.0.0.1:{port}", "")
        assert "Select an own certificate for the node" in no.value.hint
    with (
        orthanc.orthanc(tmp_path / "orthanc", 104, more=orthanc.web()) as (_, client),
        nginx(tmp_path / "nginx", good, authority, str(client.base_url)) as front,
    ):
        url = f"{front}/dicom-web"
        assert search(sqlite_config, url, "ours") == []
        with pytest.raises(PeerFault, match="web rejects the certificate of this station, or none was sent"):
            search(sqlite_config, url, "")
        with pytest.raises(PeerFault, match="Own certificate mislaid not found"):
            search(sqlite_config, url, "mislaid")
        with calling.write() as session:
            service.create_node(session, SYSTEM, NodeValues(name="web", protocol="dicomweb", url=url))
        shown = service.probe_node(calling, SYSTEM, "web", sqlite_config)
        assert not shown.ok and "rejects the certificate of this station, or none was sent" in shown.message
        with calling.write() as session:
            service.update_node(session, SYSTEM, "web", NodeValues(client_certificate="ours"))
        assert service.probe_node(calling, SYSTEM, "web", sqlite_config).ok
        bring(calling, authority.revoked(good))
        with pytest.raises(PeerFault, match="No TLS with web: its certificate was revoked on "):
            search(sqlite_config, url, "ours")
