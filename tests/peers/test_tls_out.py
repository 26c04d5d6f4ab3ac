"""Calling others by TLS: DCMTK's storescp, Orthanc both ways, and every way it can go wrong, in words."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from app.config import Config
from app.db import Database
from app.kit.errors import PeerFault
from app.kit.phrases import Phrase
from app.network import pdu
from app.network.pdu import Context
from app.network.probe import probe
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from app.nodes import service
from app.nodes.options import NodeValues
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.settings import save
from app.trust import certificates, runtime
from app.trust.settings import TlsSettings
from tests.support import dcmtk
from tests.support.dimse import Station, parts_of
from tests.support.orthanc import orthanc
from tests.support.pki import Authority, Pair
from tests.support.postgres import free_port
from tests.support.tls_peers import QUICK, mute, peer, said, server, storescp, tls_server
from tests.support.waiting import pace

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def pacs(authority: Authority) -> Pair:
    return authority.pair("pacs", "localhost", "127.0.0.1")


@pytest.fixture
def calling(sqlite_config: Config, peopled: Database, authority: Authority) -> Iterator[Database]:
    """This process calls out as an installation that has a certificate and trusts the test's authority."""
    own = authority.pair("ours", "filmroom.example")
    with peopled.write() as session:
        certificates.import_certificate(session, SYSTEM, Secrets(sqlite_config), "ours", own.chain, own.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
    runtime.configure(sqlite_config, peopled)
    yield peopled
    runtime._current = runtime.Ways()


@pytest.mark.parametrize("how", ["a byte in a record", "a byte of a record"])
def test_a_peer_that_dribbles_by_tls_is_left(calling: Database, pacs: Pair, how: str) -> None:
    """After the association: records come whole, a byte in each, or one record never ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pacs.certificate, pacs.key)

    def handle(sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(incoming, outgoing, server_side=True)

        def until(work: Callable[[], bytes | None]) -> bytes:
            while True:
                with suppress(ssl.SSLWantReadError):
                    done = work()
                    sock.sendall(outgoing.read())
                    return done or b""
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))

        until(secure.do_handshake)
        request = pdu.decode_associate(until(lambda: secure.read(65536))[6:])
        results = [pdu.ContextResult(c.id, pdu.ACCEPTED, c.transfer[0]) for c in request.contexts]
        secure.write(pdu.encode_accept(request, results, 16384))
        sock.sendall(outgoing.read())
        until(lambda: secure.read(65536))
        data = pdu.p_data(1, 3, bytes(1024))
        for at in range(len(data)):
            if how == "a byte in a record":
                secure.write(data[at : at + 1])
                sock.sendall(outgoing.read())
            else:
                if not outgoing.pending:
                    secure.write(data)
                sock.sendall(outgoing.read(1))
            pace(0.05)

    settings = DicomSettings().model_copy(update={"network_timeout": 0.3, "connect_timeout": 5})
    contexts = [Context(1, "1.2.840.10008.1.1", ["1.2.840.10008.1.2"])]
    begun = time.monotonic()
    with (
        server(handle) as port,
        pytest.raises(PeerFault, match=r"was too slow|did not answer within"),
        Association(peer(port), contexts, settings) as association,
    ):
        begun = time.monotonic()
        association.echo()
    assert time.monotonic() - begun < 25


@pytest.mark.parametrize("profile", ["bcp195", "non-downgrading", "modified"])
def test_it_echoes_and_stores_to_dcmtk(
    calling: Database, authority: Authority, pacs: Pair, shared_data: Path, tmp_path: Path, profile: str
) -> None:
    path = shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm"
    parts = parts_of(path)
    assert parts is not None
    meta, data = parts
    with storescp(tmp_path / "in", pacs, "+cf", str(authority.file)) as port:  # which demands our certificate
        found = probe(peer(port, tls_profile=profile), QUICK)
        assert found.ok, found
        reached = found.steps[0].words
        assert isinstance(reached, Phrase) and "TLSv1." in reached, "one sentence, so that all of it can be translated"
        assert not any(isinstance(value, Phrase) for value in reached.values.values())
        contexts = [Context(1, meta.MediaStorageSOPClassUID, [meta.TransferSyntaxUID])]
        with Association(peer(port), contexts, QUICK) as association:
            for plain in (False, True):  # from memory, and from a file by its descriptor
                with path.open("rb") if plain else BytesIO(data) as source:
                    source.seek(path.stat().st_size - len(data) if plain else 0)
                    answer = association.store(
                        1, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, source, len(data), plain
                    )
                assert answer.status == 0
    (kept,) = (tmp_path / "in").iterdir()
    assert kept.read_bytes().endswith(data)


def test_orthanc_by_tls_in_both_directions(
    sqlite_config: Config,
    calling: Database,
    receiver: Station,
    authority: Authority,
    pacs: Pair,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    port = free_port()
    with calling.write() as session:
        values = {"enabled": True, "dicom_tls_port": port, "client_certificates": "demanded"}
        save(session, TlsSettings.model_validate(values), "test")
    receiver.receiver.ways.invalidate()
    receiver.wait(lambda: receiver.receiver.tls.port == port, 30)
    more = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(pacs.certificate),
        "DicomTlsPrivateKey": str(pacs.key),
        "DicomTlsTrustedCertificates": str(authority.file),
        "DicomModalities": {"filmroom": {"AET": "FILMROOM", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}},
    }
    with orthanc(tmp_path / "orthanc", port, more=more) as (theirs, client):
        found = probe(Peer("ORTHANC", "FILMROOM", "127.0.0.1", theirs, tls=True), QUICK)
        assert found.ok, found
        file = shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm"
        made = client.post("/instances", content=file.read_bytes()).json()
        answer = client.post("/modalities/filmroom/store", json={"Resources": [made["ID"]], "Synchronous": True})
        assert answer.status_code == 200 and answer.json()["FailedInstancesCount"] == 0, answer.text
    assert len(receiver.instances()) == 1


def test_each_fault_has_its_own_words(calling: Database, authority: Authority, tmp_path: Path) -> None:
    cases = {
        "its certificate has expired": authority.pair("expired", "127.0.0.1", days=-1, since=-30),
        "its certificate is not valid yet": authority.pair("early", "127.0.0.1", days=60, since=30),
        "its certificate is for another host name": authority.pair("elsewhere", "pacs.example"),
        "is from an authority that is not trusted here": Authority(tmp_path / "b", "Another").pair(
            "other", "127.0.0.1"
        ),
    }
    for words, pair in cases.items():
        with server(tls_server(pair)) as port:
            assert words in said(port)


def test_a_peer_that_does_not_know_us_says_so(calling: Database, pacs: Pair, tmp_path: Path) -> None:
    other = Authority(tmp_path / "b", "Another")
    with server(tls_server(pacs, other.text)) as port:
        words = said(port)
    assert "the authority of the own certificate is not known there" in words
    assert "Import the certificate of Filmroom's authority" in words


def test_a_peer_that_demands_a_certificate_says_so(
    sqlite_config: Config, calling: Database, authority: Authority, pacs: Pair
) -> None:
    with calling.write() as session:
        certificates.remove(session, SYSTEM, certificates.queries.active(session).id, [])  # type: ignore[union-attr]
    runtime.current().invalidate()
    with server(tls_server(pacs, authority.text)) as port:
        assert "a client certificate is required, and none was sent" in said(port)
    with pytest.raises(PeerFault, match="Own certificate mislaid not found"):
        _call(pacs, authority, "mislaid")


def _call(pacs: Pair, authority: Authority, certificate: str) -> None:
    with (
        server(tls_server(pacs, authority.text)) as port,
        Association(peer(port, client_certificate=certificate), [Context(1, "1.2", ["1.2"])], QUICK),
    ):
        pass


def test_a_peer_without_tls_is_told_from_one_that_is_away(calling: Database, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "plain") as port:
        words = said(port)
    assert "No TLS with PACS1" in words
    with server(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        words = said(port)
    assert "it talks no TLS on this port" in words and "Ask for its TLS port" in words
    with server(mute) as port:
        assert "did not answer the handshake within" in said(port)


def test_the_check_of_a_node_decides(calling: Database, authority: Authority, pacs: Pair, tmp_path: Path) -> None:
    wrong_name = authority.pair("wrong-name", "pacs.example")
    with storescp(tmp_path / "a", wrong_name, "-ic") as port:
        assert "for another host name" in said(port)
        assert probe(peer(port, tls_check="ca"), QUICK).ok
    stranger = Authority(tmp_path / "b", "Another").pair("stranger")
    with storescp(tmp_path / "c", stranger, "-ic") as port:
        assert "not trusted here" in said(port, tls_check="ca")
        assert probe(peer(port, tls_check="fingerprint", tls_fingerprint=stranger.fingerprint), QUICK).ok
        words = said(port, tls_check="fingerprint", tls_fingerprint=pacs.fingerprint)
        assert "not the one whose fingerprint is noted" in words and stranger.fingerprint in words


def test_a_node_says_all_of_it(calling: Database, pacs: Pair) -> None:
    given = {"name": "PACS1", "ae_title": "PACS", "host": "127.0.0.1", "port": 2762, "tls": True}
    pinned = {"tls_check": "fingerprint", "tls_fingerprint": pacs.fingerprint.replace(":", "").lower()}
    with calling.write() as session:
        node = service.create_node(session, SYSTEM, NodeValues(**given, **pinned))  # type: ignore[arg-type]
        made = service.peer_of(node, "FILMROOM", DicomSettings())
    assert made.tls and made.tls_check == "fingerprint" and made.tls_fingerprint == pacs.fingerprint
