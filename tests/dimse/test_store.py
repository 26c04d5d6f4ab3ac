"""C-STORE and C-ECHO with DCMTK's own programs."""

import csv
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from app.archive.models import ObjectConflict
from app.network.pdu import Context
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from tests.archive.make import ct_bytes
from tests.support import dcmtk
from tests.support.dimse import Station, data_set_of, parts_of
from tests.support.pacs import CT

pytestmark = pytest.mark.peer


def _ct(shared_data: Path, count: int) -> list[Path]:
    rows = csv.DictReader((shared_data / "MANIFEST.csv").read_text("utf-8").splitlines())
    return [
        shared_data / r["file"]
        for r in rows
        if r["modality"] == "CT" and r["transfer_syntax_uid"] == "1.2.840.10008.1.2.1" and r["rows"]
    ][:count]


def test_it_answers_an_echo(receiver: Station) -> None:
    assert dcmtk.echoscu(receiver.port).code == 0
    assert "Received Echo Response (Success)" in dcmtk.echoscu(receiver.port).output


def test_what_storescu_sends_is_stored_byte_for_byte(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    """storescu encodes data sets anew, so what it put on the wire is what DCMTK's own storescp received of it."""
    files = _ct(shared_data, 12)
    with dcmtk.storescp(tmp_path / "reference", "+uf") as port:
        assert dcmtk.storescu(port, files, called="STORESCP").code == 0
    answer = dcmtk.storescu(receiver.port, files)
    assert answer.code == 0, answer.output
    stored = {i.sop_instance_uid: i for i in receiver.instances()}
    reference = {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): p for p in (tmp_path / "reference").iterdir()}
    assert set(stored) == set(reference) and len(stored) > 3
    for uid, path in reference.items():
        assert receiver.data_set(uid) == data_set_of(path), path
        meta = dcmread(receiver.config.store / stored[uid].path, stop_before_pixels=True).file_meta
        assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == (uid, stored[uid].transfer_syntax_uid)


def test_the_same_again_is_success_and_nothing_new(receiver: Station, shared_data: Path) -> None:
    files = _ct(shared_data, 2)
    assert dcmtk.storescu(receiver.port, files).code == 0
    before = sorted(receiver.files())
    assert dcmtk.storescu(receiver.port, files).code == 0
    assert sorted(receiver.files()) == before
    assert len(receiver.instances()) == len({dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in files})


def test_other_content_under_a_known_uid_is_kept_aside(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    file = _ct(shared_data, 1)[0]
    assert dcmtk.storescu(receiver.port, [file]).code == 0
    changed = dcmread(file)
    changed.SeriesDescription = "not what it was"
    changed.save_as(tmp_path / "changed.dcm")
    answer = dcmtk.storescu(receiver.port, [tmp_path / "changed.dcm"], "-R", "-d")
    assert answer.code == 0, answer.output
    assert "Success" in answer.output and "Kept aside" in answer.output
    kept = dcmread(receiver.config.store / receiver.instances()[0].path)
    assert kept.get("SeriesDescription") != "not what it was", "the first one stays"
    with receiver.database.read() as session:
        assert session.query(ObjectConflict).count() == 1


def test_ten_senders_at_once_lose_nothing(receiver: Station, shared_data: Path, tmp_path: Path) -> None:
    source = dcmread(_ct(shared_data, 1)[0])
    source.pop("DataSetTrailingPadding", None)  # storescu leaves it out
    lots: list[list[Path]] = []
    for sender in range(10):
        lots.append([])
        for number in range(12):
            source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.{sender + 1}.{number}"
            source.SeriesInstanceUID = f"1.2.826.0.2.{sender + 1}"
            source.StudyInstanceUID = f"1.2.826.0.3.{sender % 4 + 1}"
            source.InstanceNumber = number
            path = tmp_path / f"{sender}-{number}.dcm"
            source.save_as(path)
            lots[-1].append(path)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda lot: dcmtk.storescu(receiver.port, lot), lots))
    assert all(answer.code == 0 for answer in answers), [a.output for a in answers if a.code]
    assert len(receiver.instances()) == 120
    for lot in lots:
        for path in lot:
            assert receiver.data_set(str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)) == data_set_of(path)


@pytest.mark.slow
def test_every_real_file_arrives_unchanged(receiver: Station, shared_data: Path) -> None:
    """All of the shared data that has a data set, sent as it is stored. What the archive refuses by its rule is
    answered with a reason; whatever is answered with success is stored byte for byte, but for objects that were here
    already in another encoding: of those the first stays (ARC-3)."""
    sent, again, refused = 0, 0, []
    for file in sorted(p for p in shared_data.rglob("*") if p.is_file()):
        found = parts_of(file)
        if found is None:
            continue
        meta, data = found
        sop_class, uid = str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)
        contexts = [Context(1, sop_class, [str(meta.TransferSyntaxUID)])]
        with Association(Peer("FILMROOM", "TEST", "127.0.0.1", receiver.port), contexts, DicomSettings()) as peer:
            if not peer.accepted:
                refused.append(f"{file.name}: context {peer.refused}")
                continue
            answer = peer.store(1, sop_class, uid, BytesIO(data), len(data))
        if answer.status not in (0x0000, 0xB007):
            assert answer.status & 0xF000 in (0xA000, 0xC000) and answer.comment, (file, answer)
            refused.append(f"{file.name}: {answer.status:04X} {answer.comment}")
            continue
        sent += 1
        if "Kept aside" not in answer.comment:
            # newest: of those whose file meta information names another object than the data set
            here = data in (receiver.newest(), receiver.data_set(uid) if answer.status == 0 else b"")
            again += not here
            sent_again = {} if here else _attributes(_read(meta, data))  # none where pydicom cannot read it
            assert not sent_again or _attributes(dcmread(receiver.path(uid))) == sent_again, file
    print(*refused, sep="\n")
    assert sent > 350, (sent, refused)
    assert again < 60, "only the samples that are one object in several codings"
    assert not [p for p in receiver.files() if ".incoming" in p.parts]


def _read(meta: Dataset, data: bytes) -> Dataset:
    syntax = UID(str(meta.TransferSyntaxUID))
    data = zlib.decompress(data, -15) if syntax.is_deflated else data
    return read_dataset(BytesIO(data), syntax.is_implicit_VR, syntax.is_little_endian)


def _attributes(ds: Dataset) -> dict[str, Any]:
    """Everything but words in the byte order of the encoding, and what says how pixels are written."""
    coding = (0x00280002, 0x00280004, 0x00280006, 0xFFFCFFFC)
    plain = (one for one in ds if one.tag not in coding and one.tag.element and one.VR not in ("OB", "OW"))
    return {str(element.tag): str(element.value) for element in plain}


@pytest.mark.slow
def test_dcmsend_sends_compressed_images(receiver: Station, shared_data: Path) -> None:
    rows = csv.DictReader((shared_data / "MANIFEST.csv").read_text("utf-8").splitlines())
    files = [
        shared_data / r["file"]
        for r in rows
        if r["transfer_syntax_uid"].startswith(("1.2.840.10008.1.2.4", "1.2.840.10008.1.2.5"))
        and "error" not in r["file"]
    ]
    found = [p for p in map(parts_of, files) if p is not None and "MediaStorageSOPInstanceUID" in p[0]]
    answer = dcmtk.dcmsend(receiver.port, files, "--no-halt")
    wanted: dict[str, set[str]] = {}
    for meta, _ in found:
        wanted.setdefault(str(meta.MediaStorageSOPInstanceUID), set()).add(str(meta.TransferSyntaxUID))
    stored = {i.sop_instance_uid: i.transfer_syntax_uid for i in receiver.instances()}
    assert len(stored) > 0.8 * len(wanted), answer.output[-3000:]
    assert all(stored[uid] in wanted[uid] for uid in stored if uid in wanted)


PRIVATE_CLASS, PRIVATE_SYNTAX = "1.2.826.0.1.3680043.9.7100.99.1", "1.2.826.0.1.3680043.9.7100.99.2"


def test_private_classes_and_syntaxes_are_taken_once_they_are_configured(receiver: Station) -> None:
    """NET-2: a device that stores objects of its own kind, in an encoding of its own; as bytes, as they came."""
    data = data_set_of_class(PRIVATE_CLASS)
    offered = [Context(1, PRIVATE_CLASS, ["1.2.840.10008.1.2.1"]), Context(3, CT, [PRIVATE_SYNTAX])]

    def accepted() -> dict[int, str]:
        with Association(Peer("FILMROOM", "TEST", "127.0.0.1", receiver.port), offered, DicomSettings()) as peer:
            return dict(peer.accepted)

    assert accepted() == {}
    receiver.set(private_transfer_syntaxes=[PRIVATE_SYNTAX])
    assert accepted() == {3: PRIVATE_SYNTAX}
    receiver.set(private_sop_classes=[PRIVATE_CLASS])
    assert accepted() == {1: "1.2.840.10008.1.2.1"}
    receiver.set(unknown_sop_classes=True, private_transfer_syntaxes=[PRIVATE_SYNTAX])
    with Association(Peer("FILMROOM", "TEST", "127.0.0.1", receiver.port), offered, DicomSettings()) as peer:
        assert set(peer.accepted) == {1, 3}
        assert peer.store(1, PRIVATE_CLASS, f"{PRIVATE_CLASS}.1", BytesIO(data), len(data)).status == 0
        encoded = data_set_of_class(CT, ".2")
        assert peer.store(3, CT, f"{CT}.2", BytesIO(encoded), len(encoded)).status == 0
    assert receiver.data_set(f"{PRIVATE_CLASS}.1") == data
    assert [(one.sop_class_uid, one.transfer_syntax_uid) for one in receiver.instances()] == [
        (PRIVATE_CLASS, "1.2.840.10008.1.2.1"), (CT, PRIVATE_SYNTAX),
    ]  # fmt: skip


def data_set_of_class(sop_class: str, tail: str = ".1") -> bytes:
    """The data set of an object of this class, in Explicit VR Little Endian."""
    made = ct_bytes(f"{sop_class}{tail}", SOPClassUID=sop_class)
    return made[144 + int.from_bytes(made[140:144], "little") :]
