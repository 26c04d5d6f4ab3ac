"""Every DIMSE request that is served asks for a permission (SEC-9)."""

from pathlib import Path

import pytest

from app.dimse.operations import OPERATIONS
from app.network import commands
from app.nodes.admission import CALLER_VERBS, QUERY_VERBS, Admission
from app.security import Verb
from tests.support import dcmtk
from tests.support.dimse import Station

_VERBS = {
    commands.C_ECHO_RQ: Verb.NODE_ECHO,
    commands.C_STORE_RQ: Verb.STUDY_IMPORT,
    commands.C_FIND_RQ: Verb.STUDY_SEARCH,
    commands.C_MOVE_RQ: Verb.STUDY_SEND,
    commands.C_GET_RQ: Verb.STUDY_EXPORT,
    commands.N_ACTION_RQ: Verb.STUDY_IMPORT,
    commands.N_EVENT_REPORT_RQ: Verb.STUDY_IMPORT,
}


def test_each_operation_asks_for_its_verb() -> None:
    assert {kind: operation.verb for kind, operation in OPERATIONS.items()}.items() <= _VERBS.items()
    assert {operation.verb for operation in OPERATIONS.values()} <= CALLER_VERBS | QUERY_VERBS
    assert not CALLER_VERBS & QUERY_VERBS, "an unknown caller stores and echoes; only a known one queries"


@pytest.mark.peer
@pytest.mark.parametrize("left", [frozenset((Verb.NODE_ECHO,)), frozenset((Verb.STUDY_IMPORT,)), frozenset()])
def test_without_the_permission_it_is_refused(receiver: Station, shared_data: Path, left: frozenset[Verb]) -> None:
    receiver.receiver._services.admit = lambda request, address: Admission(verbs=left)
    file = shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm"
    assert ("(Success)" in dcmtk.echoscu(receiver.port).output) == (Verb.NODE_ECHO in left)
    answer = dcmtk.storescu(receiver.port, [file], "-R", "-d")
    assert len(receiver.instances()) == (1 if Verb.STUDY_IMPORT in left else 0)
    if Verb.STUDY_IMPORT not in left:
        assert "0x0124" in answer.output
    assert not [p for p in receiver.files() if ".incoming" in p.parts]
