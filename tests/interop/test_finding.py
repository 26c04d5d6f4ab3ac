"""C-FIND, C-MOVE and C-GET of ours against DCMTK's dcmqrscp."""

from pathlib import Path

import pytest

from app.archive import Source
from app.kit.errors import PeerFault
from app.network.find_scu import Finder
from app.network.retrieve_scu import Counts, Getter, Mover, RetrieveWatch
from app.network.scu import Peer
from app.network.settings import DicomSettings
from tests.support import dcmtk
from tests.support.dimse import Station
from tests.support.pacs import Made, dcmqrscp, make_two_studies

pytestmark = [pytest.mark.slow, pytest.mark.peer]
SETTINGS = DicomSettings(network_timeout=20, idle_timeout=20)


@pytest.fixture
def pacs(receiver: Station, tmp_path: Path):
    """(how to call it, the studies it has)"""
    made = make_two_studies(tmp_path / "made")
    with dcmqrscp(tmp_path / "qr", receiver.port) as port:
        assert dcmtk.storescu(port, [f for m in made for f in m.files], called="DCMQR").code == 0
        yield Peer("DCMQR", "FILMROOM", "127.0.0.1", port), made


def test_it_finds_at_every_level(pacs: tuple[Peer, list[Made]]) -> None:
    peer, (first, second) = pacs
    with Finder(peer, SETTINGS) as finder:
        studies = list(finder.find("STUDY", {"PatientName": "Ram*"}))
        assert {s["StudyInstanceUID"] for s in studies} == {first.uid, second.uid}
        assert {s["PatientName"] for s in studies} == {"Ramírez^Lucía", "Ramos^Teófilo"}
        september = list(finder.find("STUDY", {"StudyDate": "20260901-20260930"}))
        assert [s["StudyInstanceUID"] for s in september] == [first.uid]
        patients = list(finder.find("PATIENT", {"PatientID": "74*"}))
        assert [p["PatientID"] for p in patients] == ["74-30118"]
        series = list(finder.find("SERIES", {"StudyInstanceUID": first.uid}))
        assert {s["SeriesInstanceUID"] for s in series} == set(first.series)
        uid = next(iter(first.series))
        images = list(finder.find("IMAGE", {"StudyInstanceUID": first.uid, "SeriesInstanceUID": uid}))
        assert {i["SOPInstanceUID"] for i in images} == set(first.series[uid])
        assert list(finder.find("STUDY", {"PatientName": "Nobody"})) == [] and finder.broken == 0
        assert len(list(finder.find("STUDY", {}, limit=1))) == 1 and finder.limited


def test_it_moves_and_gets(pacs: tuple[Peer, list[Made]], receiver: Station) -> None:
    peer, (first, second) = pacs
    told: list[Counts] = []
    with Mover(peer, SETTINGS, "FILMROOM", RetrieveWatch(tell=told.append)) as mover:
        done = mover.retrieve("STUDY", {"StudyInstanceUID": first.uid})
        assert done.success and done.counts.completed == len(first.instances), done
    assert {i.sop_instance_uid for i in receiver.instances()} == set(first.instances) and told
    with Mover(peer, SETTINGS, "ELSEWHERE") as mover:
        assert mover.retrieve("STUDY", {"StudyInstanceUID": first.uid}).status == 0xA801
    with Getter(peer, SETTINGS, receiver.archive, Source(kind="dimse")) as getter:
        done = getter.retrieve("STUDY", {"StudyInstanceUID": second.uid})
        assert done.success and done.counts.stored == 2, done
    assert {i.sop_instance_uid for i in receiver.instances()} == set(first.instances + second.instances)


def test_a_peer_without_queries_says_so(receiver: Station) -> None:
    with pytest.raises(PeerFault), Finder(Peer("X", "Y", "127.0.0.1", 1), SETTINGS):
        pass
