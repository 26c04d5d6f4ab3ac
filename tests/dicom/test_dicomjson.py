"""DICOM JSON and XML on every real file, against pydicom's own encoder."""

import base64
import json
import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.dicom import dicomjson, dicomxml
from tests.support import samples


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix == ".dcm")


def _read(path: Path) -> Dataset | None:
    try:
        return pydicom.dcmread(path, force=True)
    except Exception:
        return None


def _normal(model: Any) -> Any:
    """What both encoders may say differently without meaning another thing."""
    if isinstance(model, list):
        return [_normal(m) for m in model]
    if not isinstance(model, dict):
        if model == "":
            return None
        return float(model) if isinstance(model, int | float) and not isinstance(model, bool) else model
    if set(model) <= {"Alphabetic", "Ideographic", "Phonetic"}:
        return {k: v for k, v in model.items() if v} or None
    result = {k: _normal(v) for k, v in model.items() if not (len(k) == 8 and k.endswith("0000"))}  # group lengths
    if "vr" in result:
        result["vr"] = {"OB or OW": "OW", "US or SS": "US", "US or OW": "OW"}.get(result["vr"], result["vr"])
        if not result.get("Value", True):
            del result["Value"]
    return result


def _turned(model: Any) -> Any:
    """Words of a big endian file as the model wants them (PS3.18 F.2.7); pydicom leaves them as they lie in the file."""
    if isinstance(model, list):
        return [_turned(m) for m in model]
    if not isinstance(model, dict):
        return model
    if model.get("vr") == "OW" and "InlineBinary" in model:
        words = np.frombuffer(base64.b64decode(model["InlineBinary"]), ">u2").astype("<u2")
        return model | {"InlineBinary": base64.b64encode(words.tobytes()).decode()}
    return {k: _turned(v) for k, v in model.items()}


def test_every_real_file_says_the_same_as_pydicom(shared_data: Path) -> None:
    compared = 0
    for path in _files(shared_data):
        ds = _read(path)
        if ds is None:
            continue
        try:
            theirs = ds.to_json_dict(bulk_data_threshold=1 << 40)
        except Exception:
            json.loads(dicomjson.dumps(dicomjson.to_json(ds)))  # where pydicom gives up, ours still answers
            continue
        theirs = {k: v for k, v in theirs.items() if int(k[:4], 16) > 2}
        if ds.original_encoding[1] is False:
            theirs = _turned(_normal(theirs))
        ours = dicomjson.to_json(ds, inline_limit=None)
        assert _normal(ours) == _normal(theirs), path
        compared += 1
    assert compared > (350 if samples.is_whole(shared_data) else 150)


def test_every_real_file_goes_through_xml_unchanged(shared_data: Path) -> None:
    compared = 0
    for path in _files(shared_data):
        ds = _read(path)
        if ds is None:
            continue
        model = json.loads(dicomjson.dumps(dicomjson.to_json(ds)))
        back = dicomxml.to_model(dicomxml.from_model(model))
        assert _comparable(back) == _comparable(model), path
        compared += 1
    assert compared > (350 if samples.is_whole(shared_data) else 150)


def _comparable(model: Any) -> Any:
    """XML renumbers private blocks and cannot hold control characters or empty trailing values."""
    if not isinstance(model, dict):
        return model
    result: dict[str, Any] = {}
    for tag, element in model.items():
        if int(tag[:4], 16) % 2:
            continue
        values = list(element.get("Value", ()))
        while values and values[-1] is None:
            values.pop()
        if element["vr"] == "SQ":
            values = [_comparable(v) for v in values]
        elif element["vr"] == "PN":
            values = [v and {k: t.rstrip("^") for k, t in v.items() if t.strip("^")} for v in values]
        else:
            values = [v.translate(dicomxml._FORBIDDEN) if isinstance(v, str) else v for v in values]
        result[tag] = {**{k: v for k, v in element.items() if k != "Value"}, "values": values}
    return result


def test_pydicom_reads_what_we_write(shared_data: Path) -> None:
    for path in _files(shared_data)[::7]:
        ds = _read(path)
        if ds is None:
            continue
        back = dicomjson.from_json(json.loads(dicomjson.dumps(dicomjson.to_json(ds, inline_limit=None))))
        for keyword in ("SOPInstanceUID", "PatientName", "Rows", "StudyInstanceUID", "ImageType"):
            if keyword in ds and ds.get(keyword) not in (None, ""):
                assert back.get(keyword) == ds.get(keyword), (path, keyword)


def test_large_values_become_addresses_that_find_them_again() -> None:
    inner, ds = Dataset(), Dataset()
    inner.add_new(0x00281201, "OW", b"\x01\x02" * 4000)
    ds.add_new(0x00880200, "SQ", Sequence([Dataset(), inner]))
    encoded = dicomjson.with_bulk_address(dicomjson.dumps(dicomjson.to_json(ds)), "http://h/instances/1.2")
    uri = json.loads(encoded)["00880200"]["Value"][1]["00281201"]["BulkDataURI"]
    assert uri == "http://h/instances/1.2/bulkdata/00880200/2/00281201"
    assert dicomjson.find_bulk(ds, uri.partition("/bulkdata/")[2]) == ("OW", b"\x01\x02" * 4000)
    for wrong in ("", "00880200", "00880200/3/00281201", "00880200/0/00281201", "zz", "00880200/2", "00100010"):
        with pytest.raises(KeyError):
            dicomjson.find_bulk(ds, wrong)


def test_an_unreadable_value_is_kept_as_its_bytes() -> None:
    encoded = b"\x10\x00\x20\x00LO\x02\x00P1" + b"\x28\x00\x10\x00US\x03\x00\x01\x02\x03"
    ds = pydicom.dcmread(BytesIO(encoded), force=True)
    model = dicomjson.to_json(ds)
    assert base64.b64decode(model["00280010"]["InlineBinary"]) == b"\x01\x02\x03"
    assert model["00100020"]["Value"] == ["P1"]


def test_numbers_json_has_no_word_for_stay_valid_json() -> None:
    ds = Dataset()
    ds.add_new(0x00186060, "FL", [math.nan, math.inf, -math.inf, 1.5])
    encoded = dicomjson.dumps(dicomjson.to_json(ds))
    assert json.loads(encoded, parse_constant=pytest.fail)["00186060"]["Value"] == ["NaN", "inf", "-inf", 1.5]


def test_deep_nesting_ends() -> None:
    ds = Dataset()
    ds.PatientID = "deep"
    for _ in range(400):
        outer = Dataset()
        outer.add_new(0x00081140, "SQ", Sequence([ds]))
        ds = outer
    assert b'"00081140"' in dicomjson.dumps(dicomjson.to_json(ds))
    assert dicomxml.from_model(dicomjson.to_json(ds)).startswith(b"<?xml")


def test_entities_are_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa">]><NativeDicomModel>&a;</NativeDicomModel>'
    with pytest.raises(ValueError, match="not accepted"):
        dicomxml.to_model(bomb)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\\"), max_size=40), max_size=4))
def test_any_text_survives_json(values: list[str]) -> None:
    ds = Dataset()
    ds.add_new(0x00081030, "LO", values)
    model = json.loads(dicomjson.dumps(dicomjson.to_json(ds)))
    held = ds[0x00081030].value
    expected = [] if held in (None, "") else [held] if isinstance(held, str) else list(held)
    assert model["00081030"].get("Value", []) == [v or None for v in expected]
