"""The sub-items of the user information: round trips, strict lengths, and pynetdicom reads and writes the same bytes."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from app.network import pdu
from app.network.pdu import BadPdu, Context, RoleSelection, UserIdentity, UserItems

CT, FIND, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.2.1"
_uids = st.from_regex(r"\A[1-9][0-9]{0,6}(\.[1-9][0-9]{0,6}){2,6}\Z")
_windows = st.none() | st.tuples(st.integers(0, 65535), st.integers(0, 65535))
_identities = st.none() | st.builds(
    UserIdentity, st.integers(1, 5), st.binary(max_size=40), st.binary(max_size=40), st.booleans()
)
_roles = st.dictionaries(_uids, st.builds(RoleSelection, st.booleans(), st.booleans()), max_size=6)
_extended = st.dictionaries(_uids, st.binary(max_size=12), max_size=6)
_users = st.builds(UserItems, _windows, _roles, _extended, _identities, st.none() | st.binary(max_size=30))


@settings(deadline=None)  # shared machines pause
@given(_users)
def test_all_items_come_back_as_they_were(user: UserItems) -> None:
    data = pdu.encode_request("CALLED", "CALLING", [Context(1, CT, [EXPLICIT])], 16384, user)
    found = pdu.decode_associate(data[6:])
    assert found.user == user and found.max_length == 16384
    accepted = pdu.decode_associate(pdu.encode_accept(found, [], 0, user)[6:])
    assert accepted.user == user


def _with_sub_item(kind: int, value: bytes) -> bytes:
    body = struct.pack(">BBH", kind, 0, len(value)) + value
    return b"\0\1\0\0" + bytes(64) + struct.pack(">BBH", 0x50, 0, len(body)) + body


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (0x53, b"\0\1\0"),
        (0x53, b"\0\1\0\1\0"),
        (0x54, b""),
        (0x54, b"\0\3" + b"1.2"),
        (0x54, b"\0\3" + b"1.2" + b"\1"),
        (0x54, b"\0\3" + b"1.2" + b"\1\1\1"),
        (0x54, b"\xff\xff" + b"1.2" + b"\1\1"),
        (0x56, b"\0"),
        (0x56, b"\0\7" + b"1.2"),
        (0x58, b"\1"),
        (0x58, b"\1\0\0\4ab"),
        (0x58, b"\1\0\0\2ab"),
        (0x58, b"\1\0\0\2ab\0\5c"),
        (0x58, b"\1\0\0\2ab\0\1cd"),
        (0x59, b"\0"),
        (0x59, b"\0\5a"),
        (0x59, b"\0\1ab"),
    ],
)
def test_a_length_that_does_not_fit_is_refused(kind: int, value: bytes) -> None:
    with pytest.raises(BadPdu):
        pdu.decode_associate(_with_sub_item(kind, value))


@pytest.mark.parametrize("value", [b"", b"\0", b"\xff\xff1.2", bytes(200)])
def test_common_extended_negotiation_and_unknown_items_are_passed_over(value: bytes) -> None:
    for kind in (0x57, 0x5A, 0x60):
        assert pdu.decode_associate(_with_sub_item(kind, value)).user == UserItems()


def test_the_first_of_two_items_for_a_class_holds() -> None:
    one, two = b"\0\3" + b"1.2" + b"\1\0", b"\0\3" + b"1.2" + b"\0\1"
    body = b"".join(struct.pack(">BBH", 0x54, 0, len(v)) + v for v in (one, two))
    data = b"\0\1\0\0" + bytes(64) + struct.pack(">BBH", 0x50, 0, len(body)) + body
    assert pdu.decode_associate(data).user.roles == {"1.2": RoleSelection(True, False)}


def test_pynetdicom_reads_what_we_write() -> None:
    user = UserItems(
        (1, 1), {CT: RoleSelection(False, True)}, {FIND: b"\1\1\1\0"}, UserIdentity(2, b"anna", b"secret", confirm=True)
    )
    found = A_ASSOCIATE_RQ()
    found.decode(pdu.encode_request("CALLED", "CALLING", [Context(1, CT, [EXPLICIT])], 16384, user))
    items = {type(one).__name__: one for one in found.to_primitive().user_information}
    window = items["AsynchronousOperationsWindowNegotiation"]
    assert (window.maximum_number_operations_invoked, window.maximum_number_operations_performed) == (1, 1)
    role = items["SCP_SCU_RoleSelectionNegotiation"]
    assert (role.sop_class_uid, role.scu_role, role.scp_role) == (CT, False, True)
    extended = items["SOPClassExtendedNegotiation"]
    assert extended.service_class_application_information == b"\1\1\1\0"
    who = items["UserIdentityNegotiation"]
    assert (who.user_identity_type, who.primary_field, who.secondary_field) == (2, b"anna", b"secret")
    assert who.positive_response_requested


def test_we_read_what_pynetdicom_writes() -> None:
    role, window = SCP_SCU_RoleSelectionNegotiation(), AsynchronousOperationsWindowNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 0
    extended, who = SOPClassExtendedNegotiation(), UserIdentityNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = FIND, b"\1\0"
    who.user_identity_type, who.primary_field, who.positive_response_requested = 1, b"anna", True
    asked = A_ASSOCIATE()
    asked.application_context_name = pdu.APPLICATION_CONTEXT
    asked.calling_ae_title, asked.called_ae_title = "A", "B"
    asked.user_information = [role, window, extended, who]
    asked.presentation_context_definition_list = []
    made = A_ASSOCIATE_RQ()
    made.from_primitive(asked)
    user = pdu.decode_associate(made.encode()[6:]).user
    assert user == UserItems(
        (5, 0), {CT: RoleSelection(True, True)}, {FIND: b"\1\0"}, UserIdentity(1, b"anna", b"", True)
    )
    assert "anna" not in repr(user), "nothing of it gets into a log"
