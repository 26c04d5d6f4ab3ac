"""C-MOVE as SCP: DCMTK's movescu and a caller by pynetdicom, to destinations that behave and that do not."""

import socket
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as STUDY_ROOT
from sqlalchemy import select

from app.audit.models import AuditEvent
from app.nodes import operation_log, service
from app.nodes.models import NetworkOperation, Node
from app.nodes.service import NodeValues
from app.security.actor import SYSTEM
from tests.support import dcmtk
from tests.support.dimse import Station, data_set_of
from tests.support.pacs import Made, make_study
from tests.support.postgres import free_port
from tests.support.retrieving import Heard, add_node, change_on_disk, fill, identifier, keys_of, two_facilities
from tests.support.storer import storer
from tests.support.waiting import stays

pytestmark = pytest.mark.peer


@pytest.fixture
def study(receiver: Station, tmp_path: Path) -> Made:
    """Two series of three and two images, in the archive; the caller MOVESCU is a node."""
    made = make_study(tmp_path / "study", 1)
    fill(receiver, made.files)
    add_node(receiver, "MOVESCU")
    return made


def move(
    station: Station,
    keys: dict[str, str],
    destination: str = "STORER",
    calling: str = "MOVESCU",
    watch: Callable[[Any, Heard, int], None] | None = None,
    relational: bool = False,
) -> Heard:
    """One C-MOVE by pynetdicom. watch: called after each pending response with association, what was heard, context."""
    ae = AE(ae_title=calling)
    ae.add_requested_context(STUDY_ROOT)
    wish = SOPClassExtendedNegotiation()
    wish.sop_class_uid, wish.service_class_application_information = STUDY_ROOT, b"\1"
    association = ae.associate("127.0.0.1", station.port, ae_title="FILMROOM", ext_neg=[wish] if relational else [])
    assert association.is_established
    heard = Heard()
    for status, found in association.send_c_move(identifier(keys), destination, STUDY_ROOT, msg_id=7):
        if heard.take(status, found):
            break
        if watch is not None:
            watch(association, heard, association.accepted_contexts[0].context_id)
            if not association.is_established:
                break
    if association.is_established:
        association.release()
    return heard


def received(folder: Path) -> dict[str, Path]:
    return {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in folder.iterdir()}


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_every_level_arrives_unchanged(receiver: Station, study: Made, tmp_path: Path, level: str) -> None:
    other = make_study(tmp_path / "other", 2, patient_id="another")
    fill(receiver, other.files)
    keys = keys_of(study, level) if level != "PATIENT" else {"QueryRetrieveLevel": "PATIENT"}
    patient_root = level in ("PATIENT", "STUDY")
    if patient_root:
        keys["PatientID"] = "80-11862"
    wanted = {"PATIENT": 5, "STUDY": 5, "SERIES": 3, "IMAGE": 1}[level]
    with dcmtk.storescp(tmp_path / "scp") as port:
        add_node(receiver, "STORESCP", port)
        answer = dcmtk.movescu(receiver.port, "STORESCP", keys, *(["-P"] if patient_root else []))
    assert answer.code == 0 and "Success" in answer.output, answer.output
    arrived = received(tmp_path / "scp")
    assert set(arrived) == set(study.instances[:wanted])
    for uid, path in arrived.items():
        assert data_set_of(path) == receiver.data_set(uid)


@pytest.mark.parametrize("how", ["pixel", "header", "shorter", "longer"])
def test_a_file_that_changed_on_disk_is_not_sent(receiver: Station, study: Made, how: str) -> None:
    changed = study.instances[1]
    change_on_disk(receiver, changed, how)
    with storer() as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study, "SERIES"))
        assert set(there.got) == set(study.instances[:3]) - {changed}
    assert (heard.status, heard.counts, heard.failed) == (0xB000, (2, 1, 0), [changed])


def test_a_conversion_is_said_in_the_log(receiver: Station, shared_data: Path) -> None:
    file = shared_data / "codecs/wg04/ct1/ct1_rle.dcm"
    fill(receiver, [file])
    add_node(receiver, "MOVESCU")
    with storer() as there:  # it takes uncompressed objects only
        add_node(receiver, "STORER", there.port)
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": str(dcmread(file).StudyInstanceUID)}
        assert move(receiver, keys).counts == (1, 0, 0)
    receiver.calm()
    operation_log.flush(receiver.database)
    with receiver.database.read() as session:
        (line,) = session.scalars(select(NetworkOperation).where(NetworkOperation.kind == "store"))
    assert line.words == "1 converted, from RLE Lossless to Explicit VR Little Endian."


def test_a_list_of_uids_at_the_lowest_level(receiver: Station, study: Made) -> None:
    keys = keys_of(study, "IMAGE", image=1)
    keys["SOPInstanceUID"] = "\\".join((study.instances[0], study.instances[2], "1.2.3.99"))
    with storer() as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys)
    assert (heard.status, heard.counts) == (0, (2, 0, 0))
    assert there.got == [study.instances[0], study.instances[2]]


def test_the_destination_hears_who_asked(receiver: Station, study: Made) -> None:
    with storer() as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study))
    assert (heard.status, heard.counts, heard.failed) == (0, (5, 0, 0), [])
    assert there.originators == {("MOVESCU", 7)} and set(there.got) == set(study.instances)
    assert not heard.final.get("NumberOfRemainingSuboperations")
    for uid, data in there.data.items():
        assert data == receiver.data_set(uid)
    with receiver.database.read() as session:
        rows = session.scalars(select(AuditEvent).where(AuditEvent.verb == "study.send")).all()
    assert [(r.actor_name, r.thing_id, r.detail) for r in rows] == [
        ("movescu", study.uid, {"node": "storer", "instances": 5, "by": "C-MOVE"})
    ]


def test_an_unknown_destination_is_said_with_what_to_do(receiver: Station, study: Made) -> None:
    answer = dcmtk.movescu(receiver.port, "NOWHERE", keys_of(study))
    assert "0xa801" in answer.output.lower(), answer.output
    assert "Add a node with AE title NOWHERE in Filmroom first" in answer.output
    add_node(receiver, "NOWHERE", enabled=False)
    heard = move(receiver, keys_of(study), "NOWHERE")
    assert heard.status == 0xA801 and "switched off" in heard.comment
    add_node(receiver, "FINDER", capabilities=["find"])
    heard = move(receiver, keys_of(study), "FINDER")
    assert heard.status == 0xA801 and "not set to store" in heard.comment


def test_a_paused_destination_gets_nothing_and_its_hours_do_not_count(receiver: Station, study: Made) -> None:
    """A pause is meant for everybody; the hours of the queue are not for a person who waits at a workstation."""
    hour = datetime.now().astimezone().hour
    with storer() as there:
        add_node(receiver, "STORER", there.port, window=f"{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00")
        assert move(receiver, keys_of(study)).status == 0
        set_paused(receiver, "storer", True)
        heard = move(receiver, keys_of(study))
        assert (heard.status, heard.counts) == (0xA702, (0, 5, 0))
        assert heard.comment == "The node STORER is paused in Filmroom" and sorted(heard.failed) == study.instances
        assert len(there.got) == 5, "nothing more"
        answer = dcmtk.movescu(receiver.port, "STORER", keys_of(study))
        assert answer.code != 0 and "is paused in Filmroom" in answer.output
        set_paused(receiver, "storer", False)
        assert move(receiver, keys_of(study)).status == 0


def test_a_pause_holds_up_what_is_on_its_way(receiver: Station, tmp_path: Path) -> None:
    made = make_study(tmp_path / "study", 3, series=[("CT", 40)])
    fill(receiver, made.files)
    add_node(receiver, "MOVESCU")

    def pause(association: Any, heard: Heard, context: int) -> None:
        set_paused(receiver, "storer", True)

    with storer(pause=0.25) as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(made), watch=pause)
        assert heard.status == 0xB000 and "paused" in heard.comment
        completed, failed, _ = heard.counts
        assert completed == len(there.got) and completed + failed == 40 and failed
    with receiver.database.read() as session:
        node = session.scalars(select(Node).where(Node.name == "storer")).one()
        assert node.last_fault is None, "it is no fault of the node"


def set_paused(station: Station, name: str, paused: bool) -> None:
    with station.database.write() as session:
        service.pause_node(session, SYSTEM, name, paused)


def test_an_unreachable_destination_is_a_failure_of_all(receiver: Station, study: Made) -> None:
    add_node(receiver, "STORER", free_port())
    heard = move(receiver, keys_of(study))
    assert (heard.status, heard.counts) == (0xA702, (0, 5, 0))
    assert "refuses connections" in heard.comment and sorted(heard.failed) == sorted(study.instances)
    with receiver.database.read() as session:
        outcomes = session.scalars(select(AuditEvent.outcome).where(AuditEvent.verb == "study.send")).all()
    assert outcomes == ["success", "failure"]


def test_a_destination_that_breaks_off_leaves_the_rest_failed(receiver: Station, study: Made, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp", "--abort-after") as port:
        add_node(receiver, "STORESCP", port)
        heard = move(receiver, keys_of(study), "STORESCP")
    assert heard.status == 0xA702 and heard.counts == (0, 5, 0)


def test_warnings_and_failures_are_told_as_they_are(receiver: Station, study: Made) -> None:
    one, two, three = study.instances[:3]
    with storer(statuses={one: 0xB000, two: 0xC123, three: 0xA700}) as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study))
    assert (heard.status, heard.counts) == (0xB000, (2, 2, 1))
    assert sorted(heard.failed) == [two, three] and "as it was told to" in heard.comment
    with storer(statuses=dict.fromkeys(study.instances, 0xB007)) as there:
        add_node(receiver, "WARNER", there.port)
        heard = move(receiver, keys_of(study), "WARNER")
    assert (heard.status, heard.counts, heard.failed) == (0xB000, (0, 0, 5), [])


def test_a_slow_destination_does_not_leave_the_caller_in_the_dark(receiver: Station, study: Made) -> None:
    started = time.monotonic()
    with storer(pause=0.7) as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study))
    seconds = time.monotonic() - started
    assert (heard.status, heard.counts) == (0, (5, 0, 0))
    assert 2 <= len(heard.pending) <= seconds + 1, "about one a second"
    assert all(sum(counts) == 5 for counts in heard.pending)
    remaining = [counts[0] for counts in heard.pending]
    assert remaining == sorted(remaining, reverse=True)


def test_a_quick_move_is_told_each_25_objects(receiver: Station, tmp_path: Path) -> None:
    made = make_study(tmp_path / "study", 3, series=[("CT", 60)])
    fill(receiver, made.files)
    add_node(receiver, "MOVESCU")
    with dcmtk.storescp(tmp_path / "scp") as port:
        add_node(receiver, "STORESCP", port)
        heard = move(receiver, keys_of(made), "STORESCP")
    assert (heard.status, heard.counts) == (0, (60, 0, 0))
    assert 2 <= len(heard.pending) <= 4
    assert [c[1] for c in heard.pending if c[1] in (25, 50)] == [25, 50]


def test_a_cancel_is_heeded_and_counted(receiver: Station, study: Made) -> None:
    def cancel(association: Any, heard: Heard, context: int) -> None:
        if len(heard.pending) == 1:
            association.send_c_cancel(7, context)

    with storer(pause=0.6) as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study), watch=cancel)
    assert heard.status == 0xFE00
    remaining = int(heard.final.NumberOfRemainingSuboperations)
    assert remaining + sum(heard.counts) == 5 and remaining >= 1
    assert len(there.got) == sum(heard.counts)


def test_movescu_cancels(receiver: Station, study: Made) -> None:
    with storer(pause=0.4) as there:
        add_node(receiver, "STORER", there.port)
        answer = dcmtk.movescu(receiver.port, "STORER", keys_of(study), "--cancel", "1")
    assert "0xfe00" in answer.output.lower(), answer.output
    assert 0 < len(there.got) < 5


def test_a_caller_that_goes_ends_the_sending(receiver: Station, study: Made) -> None:
    def leave(association: Any, heard: Heard, context: int) -> None:
        association.abort()

    with storer(pause=0.5) as there:
        add_node(receiver, "STORER", there.port)
        move(receiver, keys_of(study), watch=leave)
        receiver.calm()
        sent = len(there.got)
        assert sent < 5
        stays(lambda: len(there.got) <= sent + 1, "nothing more is sent", 1.5)


def test_an_unknown_caller_moves_nothing(receiver: Station, study: Made) -> None:
    with storer() as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study), calling="STRANGER")
    assert heard.status == 0x0124 and not there.got


def test_facilities_are_kept_apart(receiver: Station, tmp_path: Path) -> None:
    made, north = two_facilities(receiver, tmp_path)
    with storer() as there:
        add_node(receiver, "STORER", there.port)
        add_node(receiver, "NORTHPACS", there.port, facility_id=north)
        found = {
            (calling, to): move(receiver, keys_of(made), to, calling)
            for calling in ("NORTHSCU", "SOUTHSCU", "ANYSCU")
            for to in ("STORER", "NORTHPACS")
        }
    told = {who: (heard.status, heard.counts[0]) for who, heard in found.items()}
    assert told == {
        ("NORTHSCU", "STORER"): (0, 5),
        ("NORTHSCU", "NORTHPACS"): (0, 5),
        ("SOUTHSCU", "STORER"): (0, 0),  # there is no such study
        ("SOUTHSCU", "NORTHPACS"): (0xA801, -1),  # nor such a node
        ("ANYSCU", "STORER"): (0, 5),
        ("ANYSCU", "NORTHPACS"): (0, 5),
    }


def test_of_several_nodes_with_the_title_one_at_the_callers_address(receiver: Station, study: Made) -> None:
    with storer() as there:
        with receiver.database.write() as session:
            service.create_node(session, SYSTEM, NodeValues("far", "STORER", "192.0.2.1", 104))
        add_node(receiver, "STORER", there.port)
        assert move(receiver, keys_of(study)).counts == (5, 0, 0)


@pytest.mark.parametrize(
    ("keys", "tag"),
    [
        ({"PatientID": "80-11862"}, 0x00080052),
        ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.2"}, 0x0020000D),
        ({"QueryRetrieveLevel": "STUDY"}, 0x0020000D),
    ],
)
def test_what_is_no_identifier_is_refused(receiver: Station, study: Made, keys: dict[str, str], tag: int) -> None:
    heard = move(receiver, keys)
    assert heard.status == 0xA900 and heard.comment
    assert heard.final.OffendingElement == tag


def test_nothing_found_is_success(receiver: Station, study: Made) -> None:
    add_node(receiver, "STORER")
    heard = move(receiver, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"})
    assert (heard.status, heard.counts) == (0, (0, 0, 0))


@pytest.mark.parametrize("level", ["patient", "study", "series"])
def test_gdcmscu_moves_to_itself(receiver: Station, study: Made, tmp_path: Path, level: str) -> None:
    port = free_port()
    add_node(receiver, "GDCMSCU", port)
    keys = {"patient": ["10,20=80-11862"]}.get(level, [f"20,d={study.uid}"])
    if level == "series":
        keys.append(f"20,e={next(iter(study.series))}")
    (tmp_path / "got").mkdir()
    given = [part for key in keys for part in ("--key", key)]
    answer = dcmtk.run(
        "gdcmscu", "--move", "--patientroot" if level == "patient" else "--studyroot", f"--{level}", *given,
        "--aetitle", "GDCMSCU", "--call", "FILMROOM", "--port-scp", str(port), "-o", tmp_path / "got",
        "127.0.0.1", str(receiver.port),
    )  # fmt: skip
    arrived = received(tmp_path / "got")
    wanted = {"patient": 5, "study": 5, "series": 3}[level]
    assert set(arrived) == set(study.instances[:wanted]), answer.output
    for uid, path in arrived.items():
        assert (
            dcmread(path).pixel_array.tobytes()
            == dcmread(study.files[study.instances.index(uid)]).pixel_array.tobytes()
        )


def test_relational_retrieval_where_it_was_agreed(receiver: Station, study: Made) -> None:
    keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": study.instances[1]}
    with storer() as there:
        add_node(receiver, "STORER", there.port)
        assert move(receiver, keys).status == 0xA900
        heard = move(receiver, keys, relational=True)
    assert (heard.status, heard.counts, there.got) == (0, (1, 0, 0), [study.instances[1]])


def test_a_destination_that_never_answers_is_given_up_while_the_caller_is_told(receiver: Station, study: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections and says nothing
        add_node(receiver, "STORER", mute.getsockname()[1])
        receiver.set(network_timeout=3)
        heard = move(receiver, keys_of(study))
    assert (heard.status, heard.counts) == (0xA702, (0, 5, 0))
    assert heard.pending and set(heard.pending) == {(5, 0, 0, 0)}
    assert "did not answer within 3 s" in heard.comment


def test_a_cancel_of_something_else_stops_nothing(receiver: Station, study: Made) -> None:
    def cancel(association: Any, heard: Heard, context: int) -> None:
        association.send_c_cancel(8, context)

    with storer(pause=0.5) as there:
        add_node(receiver, "STORER", there.port)
        heard = move(receiver, keys_of(study), watch=cancel)
    assert (heard.status, heard.counts) == (0, (5, 0, 0))
