"""Metadata tell what the file holds, attribute by attribute, as pydicom reads it (PS3.18 annex F)."""

import base64
import io
import json
import warnings
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.multival import MultiValue
from sqlalchemy import select

from app.archive import Archive, content
from app.archive.models import Instance
from app.config import Config
from app.db import Database
from app.dicom.walk import PADDING
from tests.archive.conftest import Put
from tests.upgrade import objects

# What pydicom itself reads in a way of its own: an IS that is no number, a sequence that ends early.
ODD = {("bad_vr.dcm", "00280008"), ("truncated_rtplan.dcm", "300A00B0")}
SAMPLE = (
    "modality/mg_gh133_12bit_voilut_jpeg-lossless.dcm", "codecs/bigendian_us_rgb_planar1.dcm", "modality/ct_small.dcm",
    "codecs/wg04/ct1/ct1_rle.dcm", "made/embedded_overlay_bit15.dcm", "seg/seg_labelmap_palette.dcm",
)  # fmt: skip


def differing(ds: pydicom.Dataset, model: dict[str, Any], where: str = "") -> Iterator[str]:
    """Where the model says something else than the data set."""
    expected = {f"{tag:08X}" for tag in ds.keys() if tag.element and tag.group > 2 and tag != PADDING}  # noqa: SIM118
    yield from (where + name for name in sorted(expected ^ model.keys()))
    for name in expected & model.keys():
        element, said = ds[int(name, 16)], model[name]
        if said["vr"] != element.VR:
            yield f"{where}{name} {said['vr']}"
        elif element.VR == "SQ":
            for number, (item, other) in enumerate(zip_longest(element.value, said.get("Value", []))):
                if item is None or other is None:
                    yield f"{where}{name}/{number}"
                else:
                    yield from differing(item, other, f"{where}{name}/{number}/")
        elif not _same(_little(ds, element), said):
            yield where + name


def _little(ds: pydicom.Dataset, element: pydicom.DataElement) -> Any:
    """Bytes as bulk data leave: those of words in little endian (PS3.18 8.7.3.2)."""
    value = element.value
    if element.VR == "OW" and ds.original_encoding[1] is False:
        return np.frombuffer(value, ">u2").astype("<u2").tobytes()
    return value


def _same(value: Any, said: dict[str, Any]) -> bool:
    if isinstance(value, bytes):
        inline = base64.b64decode(said.get("InlineBinary", ""))
        return bool(said.get("BulkDataURI")) or inline == value
    values = list(value) if isinstance(value, MultiValue | list) else [] if value in (None, "") else [value]
    return len(values) == len([one for one in said.get("Value", []) if values or one]) and all(
        _same_one(one, other) for one, other in zip(values, said.get("Value", []), strict=False)
    )


def _same_one(value: Any, said: Any) -> bool:
    if isinstance(said, dict):
        return str(value).rstrip("=") == "=".join(
            said.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")
        ).rstrip("=")
    if isinstance(said, int | float):
        return float(value) == said
    return (f"{value:08X}" if isinstance(value, pydicom.tag.BaseTag) else str(value)) == (said or "")


def check(archive: Archive, database: Database, put: Put, data: bytes, name: str = "") -> None:
    outcome = put(data)
    if outcome.status != "stored":
        return
    with warnings.catch_warnings(), database.read() as session:
        warnings.simplefilter("ignore")
        original = pydicom.dcmread(io.BytesIO(data), force=True)
        one = session.scalar(select(Instance).where(Instance.sop_instance_uid == outcome.sop_instance_uid))
        assert one is not None
        model = json.loads(content.encoded_json(session, one))
        found = set(differing(original, model)) - {tag for file, tag in ODD if file == name}
        assert not {where for where in found if (name, where[:8]) not in ODD}, name
        for tag, element in model.items():
            if "BulkDataURI" in element and not tag.startswith("7FE0"):
                value = content.bulk_value(session, one, tag)
                if not isinstance(value, bytes):
                    value = b"".join(content.iter_region(archive, one, *value))
                assert value == _little(original, original[int(tag, 16)]), (name, tag)


@pytest.fixture
def config(sqlite_config: Config) -> Config:
    """Once is enough: the database has no part in this."""
    return sqlite_config


@pytest.mark.parametrize("uid", sorted(objects.large())[1:])
def test_what_is_not_kept_is_read_from_the_file(archive: Archive, database: Database, put: Put, uid: str) -> None:
    check(archive, database, put, objects.large()[uid])


@pytest.mark.parametrize("file", SAMPLE)
def test_files_of_many_kinds(archive: Archive, database: Database, put: Put, shared_data: Path, file: str) -> None:
    check(archive, database, put, (shared_data / file).read_bytes(), Path(file).name)


def test_values_of_a_big_endian_file_leave_as_little_endian(archive: Archive, database: Database, put: Put) -> None:
    ds = objects.ct("1.2.3.7.1.9", "1.2.3.7", "1.2.3.7.1", syntax="1.2.840.10008.1.2.2")
    ds.add_new(0x60003000, "OW", bytes(range(256)) * 1100)
    ds.add_new(0x50003000, "OW", b"\x01\x02\x03\x04")
    item = pydicom.Dataset()
    item.add_new(0x50003000, "OW", b"\x05\x06")
    ds.SourceImageSequence = [item]
    outcome = put(objects.part10(ds))
    with database.read() as session:
        one = session.scalar(select(Instance).where(Instance.sop_instance_uid == outcome.sop_instance_uid))
        assert one is not None
        value = content.bulk_value(session, one, "60003000")
        model = json.loads(content.encoded_json(session, one))
    inline = [model["50003000"], model["00082112"]["Value"][0]["50003000"]]
    assert [base64.b64decode(one["InlineBinary"]) for one in inline] == [b"\x02\x01\x04\x03", b"\x06\x05"]
    assert isinstance(value, bytes) and value[:4] == b"\x01\x00\x03\x02"


def test_more_top_level_attributes_than_are_kept(archive: Archive, database: Database, put: Put) -> None:
    raw = objects.part10(objects.ct("1.2.3.7.1.8", "1.2.3.7", "1.2.3.7.1"))
    at = raw.index(objects.PIXELS + b"OW")
    private = b"".join(objects.element(0x50010010 + n, "LO", b"") for n in range(1, 21_000))
    check(archive, database, put, raw[:at] + private + raw[at:])
    with database.read() as session:
        one = session.scalar(select(Instance).where(Instance.sop_instance_uid == "1.2.3.7.1.8"))
        assert one is not None
        assert content.header(session, one).Rows == 4


def test_a_sequence_of_more_items_than_are_kept(archive: Archive, database: Database, put: Put) -> None:
    put(objects.crowded(50_001))
    with database.read() as session:
        one = session.scalar(select(Instance))
        assert one is not None
        items = json.loads(content.encoded_json(session, one))["52009230"]["Value"]
    assert len(items) == 50_001 and items[-1]["00080100"]["Value"] == ["00050000"]


@pytest.mark.slow
def test_every_fourth_file(archive: Archive, database: Database, put: Put, shared_data: Path) -> None:
    """Every one was compared by hand when this was written (2026-11-30, 383 objects)."""
    for path in sorted(path for path in shared_data.rglob("*") if path.is_file())[::4]:
        try:
            check(archive, database, put, path.read_bytes(), path.name)
        except pydicom.errors.InvalidDicomError:
            continue


def test_large_overlays_without_a_vr_are_words(archive: Archive, database: Database, put: Put) -> None:
    """Implicit VR, and UN for an attribute that the dictionary knows (PS3.5 A.1)."""
    for n, syntax in enumerate(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")):
        ds = objects.ct(f"1.2.3.7.1.2{n}", "1.2.3.7", "1.2.3.7.1", syntax=syntax)
        ds.add_new(0x60003000, "OW", bytes(300_000))
        outcome = put(objects.part10(ds).replace(b"\x00\x60\x00\x30OW\0\0", b"\x00\x60\x00\x30UN\0\0"))
        with database.read() as session:
            one = session.scalar(select(Instance).where(Instance.sop_instance_uid == outcome.sop_instance_uid))
            assert one is not None
            assert json.loads(content.encoded_json(session, one))["60003000"]["vr"] == "OW", syntax
