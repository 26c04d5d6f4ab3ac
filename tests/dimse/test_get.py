"""C-GET as SCP: DCMTK's getscu, and a caller by pynetdicom with roles, syntaxes and answers of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as STUDY_ROOT
from sqlalchemy import select

from app.audit.models import AuditEvent
from app.network.file_meta import preamble_and_meta
from app.nodes import operation_log
from app.nodes.models import NetworkOperation
from app.security.settings import SecuritySettings
from app.settings import save
from tests.support import dcmtk
from tests.support.dimse import Station, data_set_of
from tests.support.pacs import CT, MR, Made, make_study
from tests.support.retrieving import Heard, add_node, change_on_disk, fill, identifier, keys_of, two_facilities

pytestmark = pytest.mark.peer
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


@pytest.fixture
def study(receiver: Station, tmp_path: Path) -> Made:
    made = make_study(tmp_path / "study", 1)
    fill(receiver, made.files)
    add_node(receiver, "GETSCU")
    return made


@dataclass
class Getter:
    """A caller. contexts: (SOP class, syntaxes) of each storage context; statuses: what it answers to an object."""

    contexts: list[tuple[str, list[str]]] = field(default_factory=lambda: [(CT, [EXPLICIT, IMPLICIT])])
    statuses: dict[str, int] = field(default_factory=dict)
    pause: float = 0.0
    roles: bool = True
    calling: str = "GETSCU"
    got: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # UID -> transfer syntax and data set

    def get(
        self, station: Station, keys: dict[str, str], watch: Callable[[Any, Heard, int], None] | None = None
    ) -> Heard:
        ae = AE(ae_title=self.calling)
        ae.add_requested_context(STUDY_ROOT)
        for sop_class, syntaxes in self.contexts:
            ae.add_requested_context(sop_class, syntaxes)
        roles = [build_role(uid, scp_role=True) for uid in {c for c, _ in self.contexts}] if self.roles else []
        association = ae.associate(
            "127.0.0.1",
            station.port,
            ae_title="FILMROOM",
            ext_neg=roles,
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
        )
        assert association.is_established
        self._association = association
        heard = Heard()
        context = next(c.context_id for c in association.accepted_contexts if c.abstract_syntax == STUDY_ROOT)
        for status, found in association.send_c_get(identifier(keys), STUDY_ROOT, msg_id=9):
            if heard.take(status, found):
                break
            if watch is not None:
                watch(association, heard, context)
        association.release()
        return heard

    def _store(self, event: Any) -> int | Dataset:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.got[uid] = (str(event.context.transfer_syntax), event.request.DataSet.getvalue())
        time.sleep(self.pause)  # a slow receiver
        answer = Dataset()
        answer.Status = self.statuses.get(uid, 0)
        return answer


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_every_level_arrives_unchanged(receiver: Station, study: Made, tmp_path: Path, level: str) -> None:
    keys = keys_of(study, level) if level != "PATIENT" else {"QueryRetrieveLevel": "PATIENT"}
    patient_root = level in ("PATIENT", "STUDY")
    if patient_root:
        keys["PatientID"] = "80-11862"
    answer = dcmtk.getscu(receiver.port, tmp_path / "got", keys, *(["-P"] if patient_root else []))
    assert answer.code == 0, answer.output
    arrived = {str(dcmread(p).SOPInstanceUID): p for p in (tmp_path / "got").iterdir()}
    assert set(arrived) == set(study.instances[: {"PATIENT": 5, "STUDY": 5, "SERIES": 3, "IMAGE": 1}[level]])
    for uid, path in arrived.items():
        assert data_set_of(path) == receiver.data_set(uid)


@pytest.mark.parametrize("how", ["pixel", "header", "shorter", "longer"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_file_that_changed_on_disk_is_not_sent(receiver: Station, study: Made, how: str, syntax: str) -> None:
    """Neither as stored nor converted; the others arrive, and the answer names what did not."""
    changed = study.instances[1]
    change_on_disk(receiver, changed, how)
    taker = Getter([(CT, [syntax])])
    heard = taker.get(receiver, keys_of(study, "SERIES"))
    assert set(taker.got) == set(study.instances[:3]) - {changed}
    assert (heard.status, heard.counts, heard.failed) == (0xB000, (2, 1, 0), [changed])


def test_as_stored_where_a_context_has_the_syntax(receiver: Station, shared_data: Path) -> None:
    file = shared_data / "codecs/wg04/ct1/ct1_jpeg-lossless-sv1.dcm"
    fill(receiver, [file])
    add_node(receiver, "GETSCU")
    (stored,) = receiver.instances()
    assert stored.transfer_syntax_uid == JPEG_LOSSLESS
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": str(dcmread(file).StudyInstanceUID)}
    taker = Getter([(CT, [EXPLICIT]), (CT, [JPEG_LOSSLESS]), (CT, [IMPLICIT])])
    heard = taker.get(receiver, keys)
    assert (heard.status, heard.counts) == (0, (1, 0, 0))
    assert taker.got[stored.sop_instance_uid] == (JPEG_LOSSLESS, receiver.data_set(stored.sop_instance_uid))
    plain = Getter([(CT, [IMPLICIT])])
    assert plain.get(receiver, keys).status == 0
    syntax, data = plain.got[stored.sop_instance_uid]
    assert syntax == IMPLICIT and len(data) > 512 * 512 * 2, "decompressed for who takes nothing else"
    receiver.calm()
    operation_log.flush(receiver.database)
    with receiver.database.read() as session:
        told = list(session.scalars(select(NetworkOperation.words).where(NetworkOperation.kind == "get")))
    assert sorted(told)[0] == "" and sorted(told)[1].startswith("1 converted, from JPEG Lossless"), told


@pytest.mark.parametrize(
    ("syntax", "status"),
    [
        ("1.2.840.10008.1.2.4.80", 0),  # JPEG-LS lossless
        ("1.2.840.10008.1.2.5", 0),  # RLE
        ("1.2.840.10008.1.2.2", 0),  # Explicit VR Big Endian
        ("1.2.840.10008.1.2.4.50", 0xA702),  # JPEG baseline: lossy
        ("1.2.840.10008.1.2.4.81", 0xA702),  # JPEG-LS near-lossless
    ],
)
def test_nothing_is_sent_with_a_loss(receiver: Station, study: Made, tmp_path: Path, syntax: str, status: int) -> None:
    taker = Getter([(CT, [syntax])])
    heard = taker.get(receiver, keys_of(study, "IMAGE"))
    assert heard.status == status
    if status:
        assert not taker.got and "proposed no usable context" in heard.comment
        return
    ((uid, (got, data)),) = taker.got.items()
    assert got == syntax
    (tmp_path / "came.dcm").write_bytes(preamble_and_meta(CT, uid, syntax) + data)
    program = {"1.2.840.10008.1.2.4.80": "dcmdjpls", "1.2.840.10008.1.2.5": "dcmdrle"}.get(syntax, "dcmconv")
    assert dcmtk.run(program, tmp_path / "came.dcm", tmp_path / "plain.dcm").code == 0
    sent = dcmread(study.files[study.instances.index(uid)])
    assert (dcmread(tmp_path / "plain.dcm").pixel_array == sent.pixel_array).all()


def test_of_several_syntaxes_explicit_little_endian_is_chosen(receiver: Station, study: Made) -> None:
    taker = Getter([(CT, [IMPLICIT, EXPLICIT])])
    assert taker.get(receiver, keys_of(study)).counts == (5, 0, 0)
    for uid, (syntax, data) in taker.got.items():
        assert syntax == EXPLICIT and data == receiver.data_set(uid), "most are stored so: nothing is converted"


def test_what_the_caller_has_no_context_for_fails_alone(receiver: Station, tmp_path: Path) -> None:
    made = make_study(tmp_path / "mixed", 2, series=[("CT", 2), ("MR", 2)])
    fill(receiver, made.files)
    add_node(receiver, "GETSCU")
    taker = Getter([(MR, [EXPLICIT])])
    heard = taker.get(receiver, keys_of(made))
    assert (heard.status, heard.counts) == (0xB000, (2, 2, 0))
    assert sorted(heard.failed) == sorted(made.instances[:2]) and "CT Image Storage" in heard.comment
    assert sorted(taker.got) == sorted(made.instances[2:])


def test_without_the_scp_role_nothing_is_sent(receiver: Station, study: Made) -> None:
    taker = Getter(roles=False)
    heard = taker.get(receiver, keys_of(study))
    assert (heard.status, heard.counts) == (0xA702, (0, 5, 0)) and not taker.got


def test_what_the_caller_answers_is_counted(receiver: Station, study: Made) -> None:
    one, two = study.instances[:2]
    taker = Getter(statuses={one: 0xB007, two: 0xC001})
    heard = taker.get(receiver, keys_of(study))
    assert (heard.status, heard.counts, heard.failed) == (0xB000, (3, 1, 1), [two])
    with receiver.database.read() as session:
        rows = session.scalars(select(AuditEvent).where(AuditEvent.verb == "study.export")).all()
    assert [(r.actor_name, r.thing_id, r.detail["by"]) for r in rows] == [("getscu", study.uid, "C-GET")]


def test_a_cancel_is_heeded(receiver: Station, study: Made) -> None:
    def cancel(association: Any, heard: Heard, context: int) -> None:
        association.send_c_cancel(9, context)

    taker = Getter(pause=0.6)
    heard = taker.get(receiver, keys_of(study), cancel)
    assert heard.status == 0xFE00
    remaining = int(heard.final.NumberOfRemainingSuboperations)
    assert remaining + sum(heard.counts) == 5 and 1 <= remaining < 5
    assert len(taker.got) == sum(heard.counts)


def test_progress_is_told_each_25_objects(receiver: Station, tmp_path: Path) -> None:
    made = make_study(tmp_path / "many", 3, series=[("CT", 60)])
    fill(receiver, made.files)
    add_node(receiver, "GETSCU")
    heard = Getter().get(receiver, keys_of(made))
    assert (heard.status, heard.counts) == (0, (60, 0, 0))
    assert [c[1] for c in heard.pending if c[1] in (25, 50)] == [25, 50]
    assert all(sum(counts) == 60 for counts in heard.pending)


def test_an_unknown_caller_gets_nothing(receiver: Station, study: Made) -> None:
    taker = Getter(calling="STRANGER")
    heard = taker.get(receiver, keys_of(study))
    assert heard.status == 0x0124 and not taker.got


def test_facilities_are_kept_apart(receiver: Station, tmp_path: Path) -> None:
    """SEC-10: at every level, by what is asked for and by whom; with isolation off everybody gets everything."""
    made, _ = two_facilities(receiver, tmp_path)

    def taken() -> dict[tuple[str, str], int]:
        found = {}
        for calling in ("NORTHSCU", "SOUTHSCU", "ANYSCU"):
            for level in ("STUDY", "SERIES", "IMAGE"):
                taker = Getter(calling=calling)
                assert taker.get(receiver, keys_of(made, level)).status == 0
                found[calling, level] = len(taker.got)
        return found

    each = {"STUDY": 5, "SERIES": 3, "IMAGE": 1}
    everything = {(who, level): n for who in ("NORTHSCU", "SOUTHSCU", "ANYSCU") for level, n in each.items()}
    assert taken() == everything | {("SOUTHSCU", level): 0 for level in each}
    with receiver.database.write() as session:
        save(session, SecuritySettings(facility_isolation=False), "test")
    assert taken() == everything
