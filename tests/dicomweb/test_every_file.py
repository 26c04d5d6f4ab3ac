"""Every real file through every interface: an answer that fits, never a fault of ours."""

import io
from collections import Counter

import numpy as np
import pydicom
import pytest
from PIL import Image

from app.dicom import dicomxml
from app.imaging import PixelSpec, decode_frame
from tests.support.multiparts import parts_of
from tests.support.served import Served

pytestmark = pytest.mark.slow
_EXPLICIT = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'


def test_metadata_of_every_object_in_both_spellings(served: Served) -> None:
    with served.client() as client:
        for one in served.stored:
            path = f"/dicom-web{one.address}/metadata"
            (model,) = client.get(path, headers={"Accept": "application/dicom+json"}).json()
            assert model["00080018"]["Value"] == [one.outcome.sop_instance_uid], one.path
            answer = client.get(path, headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
            ((head, document),) = parts_of(answer.content, answer.headers["content-type"])
            assert head["content-type"] == "application/dicom+xml"
            assert dicomxml.to_model(document)["00080018"] == model["00080018"]


def test_pictures_of_every_object(served: Served) -> None:
    seen: Counter[int] = Counter()
    with served.client() as client:
        for one in served.stored:
            for what, accept in (
                ("/rendered", "image/png"),
                ("/frames/1/rendered", "image/jpeg"),
                ("/thumbnail", "image/jpeg"),
            ):
                answer = client.get(
                    f"/dicom-web{one.address}{what}", headers={"Accept": accept}, params={"viewport": "64,64"}
                )
                assert answer.status_code in (200, 404, 406, 415, 422), (one.path, what, answer.text)
                seen[answer.status_code] += 1
                if answer.status_code == 200:
                    picture = Image.open(io.BytesIO(answer.content))
                    assert max(picture.size) <= 64
                    assert picture.format == accept[6:].upper()
    assert seen[200] > 700, seen


def test_frames_of_every_image_in_native_form_are_the_decoded_pixels(served: Served) -> None:
    """Through the interface and by imaging on the file: the same samples."""
    compared = 0
    with served.client() as client:
        for one in served.stored:
            ds = one.read()
            if "PixelData" not in ds:
                continue
            answer = client.get(f"/dicom-web{one.address}/frames/1", headers={"Accept": "application/octet-stream"})
            assert answer.status_code in (200, 404, 406, 422), (one.path, answer.text)
            if answer.status_code != 200:
                continue
            raw = client.get(f"/api/v1/instances/{one.outcome.sop_instance_uid}/frames/1").content
            spec = PixelSpec.from_dataset(ds)
            if not spec.native or spec.bits_allocated % 8 or spec.bits_allocated > 16 or spec.samples != 1:
                continue
            expected = decode_frame(raw, PixelSpec.from_dataset(ds, "1.2.840.10008.1.2.1"))
            words = np.frombuffer(answer.content, f"<u{spec.bits_allocated // 8}")[: expected.size]
            mask = (1 << spec.bits_stored) - 1
            assert np.array_equal(
                words.reshape(expected.shape) >> (spec.high_bit + 1 - spec.bits_stored) & mask,
                expected.astype(words.dtype) & mask,
            ), one.path
            compared += 1
    assert compared > 150


def test_every_object_can_be_had_in_explicit_little_endian_or_says_why_not(served: Served) -> None:
    seen: Counter[int] = Counter()
    with served.client() as client:
        for one in served.stored:
            answer = client.get(f"/dicom-web{one.address}", headers={"Accept": _EXPLICIT})
            seen[answer.status_code] += 1
            assert answer.status_code in (200, 406, 415, 422), (one.path, answer.text)
            if answer.status_code != 200:
                continue
            ((head, data),) = parts_of(answer.content, answer.headers["content-type"])
            assert head["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
            ds = pydicom.dcmread(io.BytesIO(data))
            assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
            assert ds.get("SOPInstanceUID") == one.outcome.sop_instance_uid, one.path
            if "PixelData" in ds and ds.get("Rows"):
                bits = (
                    ds.Rows
                    * ds.Columns
                    * ds.get("SamplesPerPixel", 1)
                    * ds.BitsAllocated
                    * PixelSpec.from_dataset(ds).frames
                )
                assert len(ds.PixelData) in range(bits // 8 * 2 // 3, bits // 8 + 2) or any(
                    w in str(one.path) for w in ("odd", "padded", "truncated", "too_short")
                ), one.path
    assert seen[200] > 300, seen


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"]
)
def test_lossless_targets_hold_the_same_pixels(served: Served, syntax: str) -> None:
    with served.client() as client:
        for name in ("ct_chest_lidc0314/001", "mr_small.dcm", "emr_10frames.dcm", "sc_rgb_planar0"):
            one = served.named(name)
            original = one.read()
            answer = client.get(
                f"/dicom-web{one.address}", headers={"Accept": f"application/dicom; transfer-syntax={syntax}"}
            )
            assert answer.status_code == 200, answer.text
            ds = pydicom.dcmread(io.BytesIO(answer.content))
            assert ds.file_meta.TransferSyntaxUID == syntax
            frame = next(
                pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames") or 1))
            )
            assert np.array_equal(
                decode_frame(frame, PixelSpec.from_dataset(ds)),
                decode_frame(
                    original.PixelData[
                        : original.Rows * original.Columns * original.SamplesPerPixel * original.BitsAllocated // 8
                    ],
                    PixelSpec.from_dataset(original),
                ),
            )


def test_the_manifest_of_every_study(served: Served) -> None:
    kinds: Counter[str] = Counter()
    with served.client() as client:
        for uid in {one.outcome.study_instance_uid for one in served.stored}:
            made = client.get(f"/api/v1/studies/{uid}/manifest").json()
            for series in made["series"]:
                kinds.update(i["kind"] for i in series["instances"])
                for one in series["instances"]:
                    if one.get("per_frame"):
                        assert len(one["per_frame"]) <= one["number_of_frames"], one["sop_instance_uid"]
    assert sum(kinds.values()) >= len(served.stored)
    assert kinds["image"] > 280
    assert kinds["sr"] >= 5
    assert kinds["pdf"] == 1
    assert kinds["waveform"] >= 1
    assert kinds["presentation"] >= 1


def test_every_series_streams(served: Served) -> None:
    with served.client() as client:
        for uid in {one.outcome.series_instance_uid for one in served.stored}:
            assert client.get(f"/api/v1/series/{uid}/frames").status_code == 200


def test_every_bulk_value_is_found_at_its_address(served: Served) -> None:
    found = 0
    with served.client() as client:
        for one in served.stored:
            (model,) = client.get(f"/dicom-web{one.address}/metadata").json()
            ds = one.read()
            for tag, element in model.items():
                if "BulkDataURI" in element and not tag.startswith("7FE0"):
                    answer = client.get(element["BulkDataURI"], headers={"Accept": "application/octet-stream"})
                    assert answer.status_code == 200, (one.path, tag, answer.text)
                    value = ds[tag].value
                    if isinstance(value, bytes):
                        if (
                            ds[tag].VR == "OW" and not ds.original_encoding[1]
                        ):  # bulk data is little endian (PS3.18 8.7.3.2)
                            value = np.frombuffer(value, ">u2").astype("<u2").tobytes()
                        assert answer.content.rstrip(b"\0") == value.rstrip(b"\0"), (one.path, tag)
                    found += 1
    assert found > 10
