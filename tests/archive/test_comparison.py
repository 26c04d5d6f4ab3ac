"""Store and index are compared; what does not fit is reported and nothing is deleted."""

import threading
from pathlib import Path

import pytest

from app.archive import Archive, comparison
from app.archive.comparison import NAMES
from tests.archive.conftest import Put
from tests.archive.make import ct_bytes


def test_files_and_objects_that_do_not_fit_are_counted(
    archive: Archive, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 6):
        put(ct_bytes(f"1.2.3.1.1.{number}", PatientID="pat \\ 1" if number == 5 else "P1", study=f"1.2.3.{number == 5:d}",
                     series=f"1.2.3.{number == 5:d}.1"))  # fmt: skip
    put(ct_bytes("1.2.3.1.1.1", "1.2.3.0", "1.2.3.0.1", PatientComments="in conflict"))
    files = sorted(comparison._files(archive.store.root))
    assert len(files) == 5, "a file kept aside is none of the store's"
    stray = files[0].with_name("1.2.3.9.dcm")
    stray.write_bytes(b"left over")
    found = comparison.compare(archive.store, archive.database, threading.Event())
    assert (found.missing, found.differing, found.unindexed) == ([], [], [stray])
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-4])
    before = sorted(Path(archive.store.root).rglob("*"))
    found = comparison.compare(archive.store, archive.database, threading.Event())
    assert (found.missing, found.differing) == ([files[0].stem], [files[1].stem])
    assert sorted(Path(archive.store.root).rglob("*")) == before, "it deletes nothing"
    with archive.database.read() as session:
        state = comparison.last_result(session)
    assert state.pop("checked_at") > 0
    assert state == {"missing": 1, "differing": 1, "unindexed": 1}
    assert files[0].stem in caplog.text and "P1" not in caplog.text
    assert set(NAMES.values()) >= set(state)


def test_it_ends_with_its_role(archive: Archive, put: Put) -> None:
    put(ct_bytes())
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(comparison.Stopped):
        comparison.compare(archive.store, archive.database, stopping)
