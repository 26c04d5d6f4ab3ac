"""A stored file that changed is noticed before anything of it is given."""

import os
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from sqlalchemy import select

from app.archive import Source, frames, integrity
from app.archive.content import open_object
from app.archive.errors import Damaged
from app.archive.models import Instance
from app.audit import AuditEvent
from app.config import Config
from app.db import Database, open_database
from app.events import Event
from app.imaging import rle
from tests.archive.make import ct, ct_bytes, part10
from tests.support.client import Web, open_web
from tests.support.waiting import eventually

OBJECT = "1.2.3.1.1.1"
ADDRESS = "/dicom-web/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1"


@pytest.fixture
def site(sqlite_config: Config) -> Iterator[Web]:
    database = open_database(sqlite_config)
    with open_web(sqlite_config, database) as web:
        incoming = web.services.archive.receive(Source("test", facility_id=web.actor("bob").facility_id))
        incoming.write(ct_bytes())
        assert web.services.archive.ingest(incoming).status == "stored"
        yield web
    database.dispose()


def _instance(database: Database) -> Instance:
    with database.read() as session:
        return session.scalars(select(Instance)).one()


def _change(web: Web, how: str) -> None:
    path = web.services.archive.store.full_path(_instance(web.database).path)
    raw = bytearray(path.read_bytes())
    if how == "one byte":
        raw[-3] ^= 1
    else:
        raw = raw[:-8]
    path.write_bytes(raw)


@pytest.mark.parametrize("how", ["one byte", "cut off"])
def test_a_changed_file_is_refused_and_recorded(site: Web, how: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    single = {"Accept": "application/dicom; transfer-syntax=*"}
    assert site.bob.get(f"/api/v1/instances/{OBJECT}/file").content == ct_bytes()
    _change(site, how)
    for address, headers in (
        (f"/api/v1/instances/{OBJECT}/file", {}),
        (ADDRESS, single),
        ("/dicom-web/studies/1.2.3.1", whole),
        (
            ADDRESS,
            {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.5"},
        ),  # converted, it would look whole
    ):
        answer = site.bob.get(address, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (500, "damaged"), address
        assert answer.json()["hint"] == "Send the object again or restore it from a backup."
        assert answer.headers["content-type"].startswith("application/problem+json")
    with pytest.raises(Damaged):
        open_object(site.services.archive, _instance(site.database))

    def recorded() -> bool:
        with site.database.read() as session:
            trail = session.scalars(select(AuditEvent).where(AuditEvent.verb == "store.check")).all()
            told = session.scalars(select(Event).where(Event.topic == "instance.damaged")).all()
        return [one.thing_id for one in trail] == [OBJECT] and len(told) == 1

    eventually(recorded, "it is recorded")
    assert caplog.text.count("differs from what was stored") == 1
    assert site.bob.get(f"{ADDRESS}/metadata").status_code == 200


def test_a_file_whose_times_of_writing_were_kept_is_noticed_by_its_change_time(site: Web) -> None:
    """As `cp -p` and `rsync -a` leave it, copying back from a damaged backup."""
    path = site.services.archive.store.full_path(_instance(site.database).path)
    times = path.stat()
    time.sleep(2 * integrity.FILING)  # what happens in this time after filing is taken for a part of it
    _change(site, "one byte")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    answer = site.bob.get(f"/api/v1/instances/{OBJECT}/file")
    assert (answer.status_code, answer.json()["code"]) == (500, "damaged")


def test_a_file_as_it_was_stored_is_not_read_for_its_checksum(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "FILING", 30.0)  # a busy machine may take longer to file
    read: list[int] = []
    real = integrity._sha256
    monkeypatch.setattr(integrity, "_sha256", lambda fd: (read.append(fd), real(fd))[1])
    assert site.bob.get(f"/api/v1/instances/{OBJECT}/file").content == ct_bytes()
    assert read == []


def test_a_file_that_was_copied_back_is_read_once_and_given(site: Web) -> None:
    path = site.services.archive.store.full_path(_instance(site.database).path)
    path.write_bytes(ct_bytes())
    os.utime(path, (time.time() + 60, time.time() + 60))
    for _ in range(2):
        assert site.bob.get(f"/api/v1/instances/{OBJECT}/file").content == ct_bytes()


@pytest.mark.parametrize("how", ["one byte", "times kept", "cut off", "gone"])
def test_the_same_object_sent_again_takes_the_place_of_a_damaged_file(site: Web, how: str) -> None:
    """Its sender hears that it is stored, and may delete its own."""
    path = site.services.archive.store.full_path(_instance(site.database).path)
    times = path.stat()
    if how == "gone":
        path.unlink()
        path.parent.rmdir()
    else:
        _change(site, "cut off" if how == "cut off" else "one byte")
    if how == "times kept":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    incoming = site.services.archive.receive(Source("test", facility_id=site.actor("bob").facility_id))
    incoming.write(ct_bytes())
    assert site.services.archive.ingest(incoming).status == "duplicate"
    assert site.bob.get(f"/api/v1/instances/{OBJECT}/file").content == ct_bytes()
    assert path.read_bytes() == ct_bytes() and not list(path.parents[3].glob(".incoming/*/01*"))


STUDY = "/dicom-web/studies/1.2.3.1"
NATIVE = 'multipart/related; type="application/octet-stream"'
JPEG = {"Accept": 'multipart/related; type="image/jpeg"'}
WADO = "/wado?requestType=WADO&studyUID=1.2.3.1&seriesUID={series}&objectUID={uid}"
# Every way by which pixels or bytes of one object are read. A way that names a series gets an object that is alone in it.
WAYS: list[tuple[str, dict[str, str]]] = [
    ("{dicom}/frames/1", {"Accept": f"{NATIVE}; transfer-syntax=*"}),
    ("{dicom}/frames/1", {"Accept": "application/octet-stream; transfer-syntax=*", "Range": "bytes=4-7"}),
    ("{dicom}/frames/1,2", {"Accept": f"{NATIVE}; transfer-syntax=*"}),
    ("{dicom}/frames/2", {"Accept": NATIVE}),  # little endian, decoded where it is stored otherwise
    ("{dicom}/bulkdata/7FE00010", {"Accept": f"{NATIVE}"}),
    ("{dicom}/bulkdata/00420011", {"Accept": f"{NATIVE}"}),
    ("{dicom}/rendered", {"Accept": "image/jpeg"}),
    ("{dicom}/rendered", {"Accept": "image/gif"}),
    ("{dicom}/frames/2/rendered", {"Accept": "image/png"}),
    ("{dicom}/thumbnail", {"Accept": "image/jpeg"}),
    ("{study}/series/{series}/rendered", JPEG),
    ("{study}/series/{series}/thumbnail", {"Accept": "image/jpeg"}),
    ("{study}/series/{series}", {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}),
    ("{dicom}", {"Accept": "application/dicom; transfer-syntax=*"}),
    (f"{WADO}&contentType=image/jpeg", {}),
    (f"{WADO}&contentType=application/dicom&transferSyntax=*", {}),
    (f"{WADO}&contentType=application/dicom", {}),
    ("/api/v1/series/{series}/frames", {}),
    ("/api/v1/series/{series}/thumbnail", {}),
    ("/api/v1/instances/{uid}/frames/1", {}),
    ("/api/v1/instances/{uid}/frames/1?form=viewer", {}),
    ("/api/v1/instances/{uid}/frames/1/preview", {}),
    ("/api/v1/instances/{uid}/frames/1/rendered", {}),
    ("/api/v1/instances/{uid}/frames/1/appearance", {}),  # no window: computed from the pixels
    ("/api/v1/instances/{uid}/frames/1/overlays", {}),  # inside the pixels
    ("/api/v1/instances/{uid}/document", {}),
    ("/api/v1/instances/{uid}/file", {}),
    ("/api/v1/prints/preview/picture?sop={uid}", {}),
]
# What another way of reading has kept open or in memory must not hide the change.
WARM = ("{dicom}/frames/1", "/api/v1/series/{series}/frames")
SYNTAXES = {
    "native": "1.2.840.10008.1.2.1",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "encapsulated": "1.2.840.10008.1.2.5",
}


def _object(number: int, syntax: str) -> bytes:
    """Two frames of 64 x 64 pixels with an overlay inside of them, and a document larger than what a header keeps."""
    values = bytes(range(256)) * 32
    pixels = values * 2
    if syntax == SYNTAXES["encapsulated"]:
        frame = rle.encode(np.frombuffer(values, "<u2").reshape(64, 64))
        pixels = encapsulate([frame, frame])
    more = {"Rows": 64, "Columns": 64, "NumberOfFrames": 2, "EncapsulatedDocument": bytes(1_100_000)}
    ds = ct(f"1.2.3.1.{number}.1", "1.2.3.1", f"1.2.3.1.{number}", syntax=syntax, pixels=pixels, **more)
    for element, vr, value in (
        (0x0010, "US", 64), (0x0011, "US", 64), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]), (0x0100, "US", 16), (0x0102, "US", 12)
    ):  # fmt: skip
        ds.add_new(0x60000000 + element, vr, value)
    return part10(ds)


def test_a_changed_file_is_noticed_by_every_way_to_its_pixels(site: Web) -> None:
    archive = site.services.archive
    for number, syntax in enumerate(SYNTAXES.values(), 2):
        incoming = archive.receive(Source("test", facility_id=site.actor("bob").facility_id))
        incoming.write(_object(number, syntax))
        assert archive.ingest(incoming).status == "stored"
    with site.database.read() as session:
        found = session.scalars(select(Instance).where(Instance.sop_instance_uid != OBJECT)).all()
    names = {
        one.sop_instance_uid: {
            "study": STUDY, "uid": one.sop_instance_uid, "series": one.sop_instance_uid[:-2],
            "dicom": f"{STUDY}/series/{one.sop_instance_uid[:-2]}/instances/{one.sop_instance_uid}",
        }
        for one in found
    }  # fmt: skip
    for one in found:
        for address in WARM:
            answer = site.bob.get(address.format(**names[one.sop_instance_uid]))
            assert answer.status_code == 200 and len(answer.content) > 1000, (address, answer.text[:200])
        path = archive.store.full_path(one.path)
        with path.open("r+b") as file:  # in place: a file that is kept open sees it too
            at = one.bytes - 50 if one.pixel_offset is None or one.bytes < one.pixel_offset else one.pixel_offset + 40
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))
        os.utime(path, (time.time() + 60,) * 2)
    wrong = []
    for one in found:
        for address, headers in WAYS:
            answer = site.bob.get(address.format(**names[one.sop_instance_uid]), headers=headers)
            if answer.status_code != 500 or answer.json()["code"] != "damaged":
                wrong.append((one.transfer_syntax_uid, address, headers, answer.status_code, answer.content[:100]))
        with site.database.read() as session, pytest.raises(Damaged):
            frames.frame_bytes(archive, session, one, 1)  # prints
    assert not wrong, "\n".join(map(str, wrong))

    def recorded() -> bool:
        with site.database.read() as session:
            told = session.scalars(select(Event).where(Event.topic == "instance.damaged")).all()
        return sorted(one.payload["sop_instance_uid"] for one in told) == sorted(names)

    eventually(recorded, "it is recorded")


def test_the_other_images_of_a_series_are_given_without_the_changed_one(site: Web) -> None:
    archive = site.services.archive
    incoming = archive.receive(Source("test", facility_id=site.actor("bob").facility_id))
    incoming.write(ct_bytes("1.2.3.1.1.2", pixels=b"\x02\x00" * 16, InstanceNumber=2))
    assert archive.ingest(incoming).status == "stored"
    path = archive.store.full_path(f"{_path_of(site, OBJECT)}")
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    os.utime(path, (time.time() + 60,) * 2)
    stream = site.bob.get("/api/v1/series/1.2.3.1.1/frames")
    assert stream.content == struct.pack("<IIII", 1, 1, 32, 0) + b"\x02\x00" * 16
    rendered = site.bob.get(f"{STUDY}/series/1.2.3.1.1/rendered", headers=JPEG)
    assert rendered.status_code == 200 and rendered.content.count(b"Content-Type: image/jpeg") == 1


def test_nothing_is_drawn_by_a_header_whose_overlay_is_in_a_changed_file(site: Web) -> None:
    archive = site.services.archive
    ds = ct("1.2.3.1.9.1", "1.2.3.1", "1.2.3.1.9", WindowCenter=1, WindowWidth=2)
    ds.add_new(0x60000010, "US", 3000)
    ds.add_new(0x60000011, "US", 3000)
    ds.add_new(0x60003000, "OW", bytes(1_125_000))
    incoming = archive.receive(Source("test", facility_id=site.actor("bob").facility_id))
    incoming.write(part10(ds))
    assert archive.ingest(incoming).status == "stored"
    path = archive.store.full_path(_path_of(site, "1.2.3.1.9.1"))
    address = "/api/v1/instances/1.2.3.1.9.1/frames/1/appearance"
    assert site.bob.get(address).status_code == 200
    path.write_bytes(path.read_bytes().replace(bytes(1000), bytes(999) + b"\1", 1))
    os.utime(path, (time.time() + 60,) * 2)
    assert site.bob.get(address).json()["code"] == "damaged"
    assert site.bob.get("/api/v1/instances/1.2.3.1.9.1/attributes").status_code == 200, "what the index keeps is given"


def _path_of(web: Web, uid: str) -> str:
    with web.database.read() as session:
        return session.scalars(select(Instance.path).where(Instance.sop_instance_uid == uid)).one()


def test_a_file_that_is_put_back_is_given_although_the_changed_one_was_kept_open(site: Web) -> None:
    address = f"{ADDRESS}/frames/1"
    first = site.bob.get(address)
    path = site.services.archive.store.full_path(_instance(site.database).path)
    path.write_bytes(ct_bytes()[:-1] + b"\x07")
    os.utime(path, (time.time() + 60,) * 2)
    assert site.bob.get(address).json()["code"] == "damaged"
    copy = path.with_name("copy")
    copy.write_bytes(ct_bytes())
    copy.replace(path)
    again = site.bob.get(address)
    assert first.status_code == again.status_code == 200
    assert again.content.count(b"\x01\x00" * 16) == first.content.count(b"\x01\x00" * 16) == 1
