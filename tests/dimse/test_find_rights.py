"""Who may query and what is found: known nodes, facilities (SEC-10), users who prove themselves; and what is negotiated."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from app.security.models import User
from tests.dimse.patients import study_uid
from tests.support.client import PASSWORD
from tests.support.dimse import Station
from tests.support.finding import PATIENT_ROOT, STUDY_ROOT, Found, ask, connected, data_set, findscu

CT = "1.2.840.10008.5.1.4.1.1.2"
pytestmark = pytest.mark.peer


def _all(port: int, **options: Any) -> Found:
    with connected(port, **options) as association:
        assert association.is_established
        return ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))


@contextmanager
def _settings(station: Station, **values: Any) -> Iterator[None]:
    station.set(**values)
    try:
        yield
    finally:
        station.set()


def test_an_unknown_caller_is_told_so_and_finds_nothing(asked: Station) -> None:
    found = _all(asked.port, calling="STRANGER")
    assert (found.status, found.answers) == (0x0124, []) and "known nodes" in found.words
    said = findscu(asked.port, "-S", calling="STRANGER", QueryRetrieveLevel="STUDY")
    assert not said.answers and "Status: 0x124" in said.output


def test_refused_questions_of_strangers_are_in_the_trail_once(asked: Station) -> None:
    """Whatever titles they call themselves by: an address is one kind."""
    from app.audit import AuditEvent

    def rows() -> list[AuditEvent]:
        with asked.database.read() as session:
            return list(
                session.query(AuditEvent).filter_by(thing_id="C-FIND", outcome="denied").order_by(AuditEvent.id)
            )

    asked.receiver._services.looks.flush()
    before = len(rows())
    for number in range(5):
        assert _all(asked.port, calling=f"STRANGER{number}").status == 0x0124
    assert [(row.verb, row.actor_kind) for row in rows()[before:]] == [("study.search", "node")]
    asked.receiver._services.looks.flush()
    assert [row.detail.get("count") for row in rows()[before:]] == [None, 4]


def test_the_setting_lets_unknown_callers_query_their_titles_facility_only(asked: Station) -> None:
    with _settings(asked, query_callers="private"):
        assert _all(asked.port, calling="STRANGER").of("StudyInstanceUID") == [], (
            "the installation's own facility is none"
        )
        assert _all(asked.port, calling="STRANGER", called="SOUTH1").of("StudyInstanceUID") == [study_uid(5)]


def test_a_known_node_finds_all_and_a_bound_one_its_facility(asked: Station) -> None:
    assert len(_all(asked.port, calling="QUERY").answers) == 5
    assert _all(asked.port, calling="BOUND").of("StudyInstanceUID") == [study_uid(5)]
    south = _all(asked.port, calling="QUERY", called="SOUTH1")
    assert south.of("StudyInstanceUID") == [study_uid(5)]
    assert south.of("RetrieveAETitle") == ["SOUTH1"]


def test_counts_do_not_tell_of_another_facility(asked: Station) -> None:
    with connected(asked.port, calling="BOUND") as association:
        for level, model in (
            ("PATIENT", PATIENT_ROOT),
            ("STUDY", STUDY_ROOT),
            ("SERIES", STUDY_ROOT),
            ("IMAGE", STUDY_ROOT),
        ):
            keys = data_set(QueryRetrieveLevel=level, NumberOfPatientRelatedStudies=None)
            assert len(ask(association, model, keys).answers) == 1
        keys = data_set(QueryRetrieveLevel="SERIES", StudyInstanceUID=study_uid(1), SeriesInstanceUID="")
        assert ask(association, STUDY_ROOT, keys).answers == []


# -- user identity -----------------------------------------------------------------------------------------------


def _user(name: str, password: str | None = PASSWORD, kind: int = 2, confirm: bool = True) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field = kind, name.encode()
    if password is not None and kind == 2:
        item.secondary_field = password.encode()
    item.positive_response_requested = confirm
    return item


def _confirmed(association: Any) -> bool:
    answered = association.acceptor.primitive.user_information
    return any(type(item).__name__ == "UserIdentityNegotiation" for item in answered)


def test_a_user_with_a_password_has_that_users_rights(asked: Station) -> None:
    north = _all(asked.port, calling="STRANGER", items=[_user("bob")])
    assert sorted(north.of("StudyInstanceUID")) == [study_uid(n) for n in (1, 2, 3, 4)]
    assert len(_all(asked.port, calling="STRANGER", items=[_user("alice", confirm=False)]).answers) == 5
    assert len(_all(asked.port, calling="BOUND", items=[_user("bob")]).answers) == 4, (
        "the user's facility, not the node's"
    )
    with connected(asked.port, calling="STRANGER", items=[_user("bob")]) as association:
        assert _confirmed(association)
    with connected(asked.port, calling="STRANGER", items=[_user("bob")], called="SOUTH1") as association:
        assert association.is_rejected, "another facility's title"
    assert _all(asked.port, calling="STRANGER", items=[_user("alice")], called="SOUTH1").of("StudyInstanceUID") == [
        study_uid(5)
    ]


def test_a_wrong_password_is_rejected_and_slows_down(asked: Station, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for _ in range(6):
        with connected(asked.port, items=[_user("charlie", "wrong")]) as association:
            assert association.is_rejected
    with connected(asked.port, items=[_user("charlie")]) as association:
        assert association.is_rejected, "right, but too soon"
    with connected(asked.port, items=[_user("nobody", "x" * 500)]) as association:
        assert association.is_rejected
    asked.calm()
    assert "too many failed sign-ins" in caplog.text and "wrong" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_user_with_a_second_factor_cannot_come_in_by_password_alone(asked: Station) -> None:
    with asked.database.write() as session:
        session.query(User).filter_by(name="dora").one().totp_secret = "sealed"
    with connected(asked.port, items=[_user("dora")]) as association:
        assert association.is_rejected


def test_a_name_alone_is_noted_and_not_trusted(asked: Station, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with connected(asked.port, calling="STRANGER", items=[_user("alice\nroot", None, 1)]) as association:
        assert association.is_established and _confirmed(association)
        found = ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY"))
        assert found.status == 0x0124
    asked.calm()
    assert "calls itself user alice?root" in caplog.text


@pytest.mark.parametrize("kind", [3, 4, 5])
def test_tickets_are_refused_where_an_answer_is_demanded(
    asked: Station, kind: int, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(asked.port, items=[_user("ticket", None, kind)]) as association:
        assert not association.is_established
    asked.calm()
    assert "rejected: user identity by" in caplog.text  # pynetdicom may see the end before the A-ASSOCIATE-RJ
    with connected(asked.port, items=[_user("ticket", None, kind, confirm=False)]) as association:
        assert association.is_established


# -- what else is negotiated -------------------------------------------------------------------------------------


def _extended(uid: str, information: bytes) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = uid, information
    return item


def test_extended_negotiation_is_answered_truthfully_and_holds(asked: Station) -> None:
    items = [_extended(STUDY_ROOT, b"\1\1\1\1\1"), _extended(PATIENT_ROOT, b"\1\0"), _extended(CT, b"\2\0\1\0\1\0")]
    fuzzy = data_set(QueryRetrieveLevel="STUDY", PatientName="jan do", StudyInstanceUID="")
    night = data_set(
        QueryRetrieveLevel="STUDY", StudyDate="20231231-20240101", StudyTime="220000-020000", StudyInstanceUID=""
    )
    with connected(asked.port, contexts=(STUDY_ROOT, PATIENT_ROOT, CT), items=items) as association:
        answered = association.acceptor.sop_class_extended
        assert answered == {STUDY_ROOT: b"\1\1\1\0\0", PATIENT_ROOT: b"\1\0"}
        assert len(ask(association, STUDY_ROOT, fuzzy).answers) == 2
        assert len(ask(association, STUDY_ROOT, night).answers) == 2
        assert ask(association, PATIENT_ROOT, fuzzy).answers == [], "not agreed for this class"
    with connected(asked.port) as association:
        assert association.acceptor.sop_class_extended == {}
        assert ask(association, STUDY_ROOT, fuzzy).answers == []
        assert ask(association, STUDY_ROOT, night).answers == []


def test_relational_queries(asked: Station) -> None:
    with connected(asked.port, items=[_extended(STUDY_ROOT, b"\1")]) as association:
        series = data_set(
            QueryRetrieveLevel="SERIES", PatientID="P3", SeriesInstanceUID="", StudyDate="", PatientName=""
        )
        found = ask(association, STUDY_ROOT, series)
        assert [(str(a.PatientName), a.StudyDate) for a in found.answers] == [
            ("Doe^Jane", "20240101"),
            ("Doe^Jane", "20231231"),
        ]
        images = data_set(
            QueryRetrieveLevel="IMAGE", Modality="MR", SOPInstanceUID="", PatientID="", SeriesInstanceUID=""
        )
        assert [a.PatientID for a in ask(association, STUDY_ROOT, images).answers] == ["P2", "P2"]


def test_roles_and_the_window_are_answered(asked: Station) -> None:
    roles = []
    for uid in (CT, STUDY_ROOT):
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = uid, True, True
        roles.append(role)
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 7
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.88.22"]
    with connected(asked.port, contexts=(CT, STUDY_ROOT), items=[*roles, window, common]) as association:
        answered = association.acceptor.primitive.user_information
        kept = {type(item).__name__: item for item in answered}
        assert kept["AsynchronousOperationsWindowNegotiation"].maximum_number_operations_invoked == 1
        assert kept["AsynchronousOperationsWindowNegotiation"].maximum_number_operations_performed == 1
        told = {
            r.sop_class_uid: (r.scu_role, r.scp_role)
            for r in answered
            if isinstance(r, SCP_SCU_RoleSelectionNegotiation)
        }
        assert told == {CT: (True, True), STUDY_ROOT: (True, False)}
        assert ask(association, STUDY_ROOT, data_set(QueryRetrieveLevel="STUDY", PatientID="P1")).status == 0
    with connected(asked.port, contexts=(CT,)) as association:
        plain = {type(item).__name__ for item in association.acceptor.primitive.user_information}
        assert not plain & {"AsynchronousOperationsWindowNegotiation", "SCP_SCU_RoleSelectionNegotiation"}
