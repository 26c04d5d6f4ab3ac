"""C-MOVE and C-GET while the database is away: 0xA701 where the objects cannot be counted, 0xA702 where nothing may leave
since it could not be written down (PS3.4 Tables C.4-2, C.4-3); and all is well once it is back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from app import config as boot
from app.db import Database, open_database
from app.kit.errors import Unavailable
from app.nodes import disclosure
from tests.support.dimse import Station
from tests.support.pacs import CT, Made, make_study
from tests.support.retrieving import Heard, add_node, fill, identifier, keys_of
from tests.support.storer import Storer, storer

pytestmark = pytest.mark.peer
MODELS = {"C-MOVE": StudyRootQueryRetrieveInformationModelMove, "C-GET": StudyRootQueryRetrieveInformationModelGet}


@pytest.fixture
def study(receiver: Station, tmp_path: Path) -> Made:
    made = make_study(tmp_path / "study", 1)
    fill(receiver, made.files)
    add_node(receiver, "CALLER")
    return made


@pytest.fixture
def there(receiver: Station, study: Made) -> Iterator[Storer]:
    with storer() as made:
        add_node(receiver, "STORER", made.port)
        yield made


@contextmanager
def called(receiver: Station, how: str) -> Iterator[Association]:
    """An association that is open before anything goes wrong."""
    ae = AE(ae_title="CALLER")
    ae.add_requested_context(MODELS[how])
    ae.add_requested_context(CT)
    association = ae.associate("127.0.0.1", receiver.port, ae_title="FILMROOM", ext_neg=[build_role(CT, scp_role=True)])
    assert association.is_established
    yield association
    association.release()


def ask(association: Association, how: str, study: Made) -> Heard:
    heard, keys = Heard(), identifier(keys_of(study))
    if how == "C-MOVE":
        answers = association.send_c_move(keys, "STORER", MODELS[how], msg_id=7)
    else:
        answers = association.send_c_get(keys, MODELS[how], msg_id=7)
    for status, found in answers:
        heard.take(status, found)
    return heard


@pytest.mark.parametrize("how", ["C-MOVE", "C-GET"])
def test_what_cannot_be_counted_is_a701(
    receiver: Station, study: Made, there: Storer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    away = open_database(
        boot.load({"data": receiver.config.data, "database_url": "postgresql://127.0.0.1:1/none"}, environ={})
    )
    with called(receiver, how) as association:
        monkeypatch.setattr(receiver.receiver._services, "database", away)
        heard = ask(association, how, study)
        assert heard.status == 0xA701 and "database" in heard.comment
        monkeypatch.undo()
        heard = ask(association, how, study)
        if how == "C-MOVE":
            assert (heard.status, heard.counts, len(there.got)) == (0, (5, 0, 0), 5), "over the same association"
        else:
            assert sum(heard.counts) == 5


@pytest.mark.parametrize("how", ["C-MOVE", "C-GET"])
def test_what_cannot_be_written_down_does_not_leave(
    receiver: Station, study: Made, there: Storer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def gone(database: Database, *_: object) -> None:
        raise Unavailable("The database cannot be reached just now.")

    with called(receiver, how) as association:
        monkeypatch.setattr(disclosure, "record_start", gone)
        heard = ask(association, how, study)
        assert heard.status == 0xA702 and "database" in heard.comment
        assert there.got == []
