"""The other services by TLS: C-FIND by DCMTK, C-GET and C-MOVE by our own SCU, since DCMTK's know no TLS."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app.archive import Source
from app.archive.models import Study
from app.config import Config
from app.db import open_database
from app.network.retrieve_scu import Getter, Mover
from app.network.scu import Peer
from app.network.settings import DicomSettings
from app.nodes import service
from app.nodes.options import NodeValues
from app.security import facilities
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.settings import save
from app.trust import certificates, runtime
from app.trust import queries as certificate_queries
from app.trust.settings import TlsSettings
from tests.support import dcmtk
from tests.support.dimse import station
from tests.support.pki import Authority
from tests.support.postgres import free_port
from tests.support.tls_peers import storescp
from tests.support.tls_station import TlsStation

pytestmark = pytest.mark.peer
SOURCE = "codecs/wg04/ct1/ct1_uncompressed.dcm"
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040826185059.5457"


@pytest.fixture
def secured(sqlite_config: Config, tmp_path: Path) -> Iterator[TlsStation]:
    authority = Authority(tmp_path / "pki")
    own, modality = authority.pair("own", "localhost", "127.0.0.1"), authority.pair("ct1", "127.0.0.1")
    database, secrets = open_database(sqlite_config), Secrets(sqlite_config)
    with database.write() as session:
        certificates.import_certificate(session, SYSTEM, secrets, "own", own.chain, own.clear)
        certificates.import_certificate(session, SYSTEM, secrets, "ct1", modality.chain, modality.clear)
        certificates.trust_certificates(session, SYSTEM, authority.text)
    runtime.configure(sqlite_config, database)
    with station(sqlite_config, database) as plain:
        yield TlsStation(plain, secrets, authority, own, modality)
    runtime._current = runtime.Ways()
    database.dispose()


def test_find_get_and_move(secured: TlsStation, shared_data: Path, tmp_path: Path) -> None:
    """A node that must show its certificate, and is called by TLS itself."""
    port = secured.open(client_certificates="demanded")
    shown = ("+tls", str(secured.modality.key), str(secured.modality.certificate), "+cf", str(secured.authority.file))
    who = ("-aet", "WS1", "-aec", "FILMROOM", "127.0.0.1", str(port))
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    with storescp(tmp_path / "moved", secured.modality, "+cf", str(secured.authority.file)) as back:
        secured.node(
            name="WS1", ae_title="WS1", port=back, tls=True, capabilities=["store", "find", "move", "get"],
            tls_caller="fingerprint", tls_fingerprint=secured.modality.fingerprint,
        )  # fmt: skip
        assert dcmtk.storescu(port, [shared_data / SOURCE], "-R", *shown, calling="WS1").code == 0
        found = dcmtk.run("findscu", "-v", "-S", *shown, *keys, "-k", "PatientID", *who)
        assert found.code == 0 and STUDY in found.output
        certified = Peer("FILMROOM", "WS1", "127.0.0.1", port, tls=True, client_certificate="ct1")
        wanted = {"StudyInstanceUID": STUDY}
        with Getter(certified, DicomSettings(), secured.plain.archive, Source("dimse", "WS1", "WS1")) as getter:
            got = getter.retrieve("STUDY", wanted)
        assert got.success and got.counts.stored == 1
        with Mover(certified, DicomSettings(), "WS1") as mover:
            assert mover.retrieve("STUDY", wanted).success
        assert len(list((tmp_path / "moved").iterdir())) == 1
    plain = ("-aet", "WS1", "-aec", "FILMROOM", "127.0.0.1", str(secured.plain.port))
    refused = dcmtk.run("findscu", "-v", "-S", *keys, *plain)
    assert refused.code != 0 and "Calling AE Title Not Recognized" in refused.output


def test_a_pin_needs_its_fingerprint(secured: TlsStation) -> None:
    """What the form of a node refuses about TLS."""
    with secured.database.read() as session:
        wrong = service.faults_of(
            session,
            NodeValues(name="x", ae_title="X", host="h", port=1, tls_check="fingerprint", tls_fingerprint=""),
            None,
            None,
        )
    assert wrong == {"tls_fingerprint": "This is needed."}


def test_a_facility_has_a_tls_port_of_its_own(secured: TlsStation, shared_data: Path) -> None:
    """With the installation's certificate, whether or not that has a TLS port; what comes in there is the facility's."""
    here, port, other = secured.plain, free_port(), free_port()
    with secured.database.write() as session:
        save(session, TlsSettings(client_certificates="asked"), "test")  # and no TLS port of the installation
        clinic = facilities.create(session, SYSTEM, "Clinic", port=0, tls_port=port).id
    here.receiver.ways.invalidate()
    here.wait(lambda: here.receiver.facilities.state == {str(port): "open"}, 30)
    tls = (
        "-R",
        "+tls",
        str(secured.modality.key),
        str(secured.modality.certificate),
        "+cf",
        str(secured.authority.file),
    )
    sent = dcmtk.storescu(port, [shared_data / SOURCE], *tls, called="ANYTHING")
    assert sent.code == 0, sent.output
    with secured.database.read() as session:
        (study,) = session.scalars(select(Study)).all()
        assert study.facility_id == clinic
    assert dcmtk.echoscu(port, "ANY").code != 0, "nobody talks in clear there"
    secured.node(tls_caller="fingerprint", tls_fingerprint=secured.modality.fingerprint)
    assert dcmtk.echoscu(port, "ANY", "ECHOSCU", "+tla", "+cf", str(secured.authority.file)).code != 0
    assert dcmtk.echoscu(port, "ANY", "ECHOSCU", *tls[1:]).code == 0, "a node is known by its certificate there too"
    with secured.database.write() as session:
        facilities.change(session, SYSTEM, clinic, "Clinic", None, None, tls_port=other)
    here.wait(lambda: here.receiver.facilities.state == {str(other): "open"}, 30)
    assert dcmtk.echoscu(other, "ANY", "ANYBODY", *tls[1:]).code == 0
    with secured.database.write() as session:
        for row in sorted(certificate_queries.of_kind(session, certificates.OWN), key=lambda row: row.active):
            certificates.remove(session, SYSTEM, row.id, [])
    here.receiver.ways.invalidate()
    here.wait(lambda: "no certificate" in here.receiver.facilities.state.get(str(other), ""), 30)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", other), timeout=5)
    with secured.database.write() as session:
        facilities.change(session, SYSTEM, clinic, "Clinic", None, None, tls_port=0)
    here.wait(lambda: here.receiver.facilities.state == {}, 30)
