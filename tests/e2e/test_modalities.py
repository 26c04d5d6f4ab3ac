"""NET-2: for each kind of device the whole way on a real object: received by C-STORE, shown, printed, made anonymous."""

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image

from app.imaging import PixelSpec, decode_frame
from tests.imaging.support import stored_frame
from tests.support.dimse import data_set_of
from tests.support.live import Live
from tests.support.sender import Prepared, Sender
from tests.support.waiting import job_ended

pytestmark = [pytest.mark.slow, pytest.mark.peer]

# As devices send them: native in both byte representations of lengths, JPEG, JPEG 2000; still, cine, colour, inverted.
KINDS = {
    "CT": "ct_small.dcm",
    "MR": "mr_heart_16frames.dcm",
    "CR": "cr_rg3_mono1_10bit_j2k-lossless.dcm",
    "DX": "dx_dog_mono1_8bit.dcm",
    "US": "us_cine_30frames_jpeg_ybr422.dcm",
    "MG": "mg_gh133_12bit_voilut_jpeg-lossless.dcm",
    "PT": "../series/pt_headneck/030.dcm",
    "NM": "nm_bars_16bit.dcm",
}


@pytest.mark.parametrize("modality", KINDS)
def test_each_kind_of_device_goes_the_whole_way(live: Live, shared_data: Path, modality: str) -> None:
    path = shared_data / "modality" / KINDS[modality]
    ds = pydicom.dcmread(path)
    assert ds.Modality == modality
    with live.client() as client:
        _received(client, live, path, ds)
        _shown(client, ds)
        _printed(client, ds)
        _anonymized(client, ds)


def _received(client: httpx.Client, live: Live, path: Path, ds: pydicom.Dataset) -> None:
    """By a sender that changes nothing of the bytes; DCMTK's writes each object anew."""
    syntax, data = str(ds.file_meta.TransferSyntaxUID), data_set_of(path)
    sender = Sender(live.dicom_port, syntax=syntax, sop_class=str(ds.SOPClassUID))
    status, words = sender.send(Prepared(str(ds.SOPClassUID), str(ds.SOPInstanceUID), syntax, data))
    sender.abort()
    assert status == 0, words
    kept = client.get(f"/api/v1/instances/{ds.SOPInstanceUID}/file")
    assert kept.status_code == 200 and kept.content.endswith(data), "byte for byte, in its own syntax"
    (study,) = client.get("/api/v1/studies", params={"study_instance_uid": ds.StudyInstanceUID}).json()["items"]
    assert ds.Modality in study["modalities"]


def _varied(image: Image.Image) -> bool:
    """A picture of something, not a plain area."""
    low, high = image.convert("L").getextrema()
    return int(high) - int(low) > 60 and len(image.convert("L").getcolors(256) or []) > 8


def _shown(client: httpx.Client, ds: pydicom.Dataset) -> None:
    place = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    last = int(ds.get("NumberOfFrames") or 1)
    answer = client.get(f"{place}/frames/{last}/rendered", headers={"Accept": "image/png"})
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (ds.Columns, ds.Rows) and _varied(picture)
    assert (picture.mode == "RGB") == (ds.SamplesPerPixel == 3)
    page = client.get("/viewer", params={"study": ds.StudyInstanceUID})
    assert page.status_code == 200 and str(ds.SeriesInstanceUID) in page.text


def _done(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    shown = job_ended(client, answer.headers["location"], 90)
    assert shown["state"] == "done", shown
    return shown


def _printed(client: httpx.Client, ds: pydicom.Dataset) -> None:
    body = {"items": [{"sop_instance_uid": ds.SOPInstanceUID, "frame": 1}], "layout": "1x1", "paper": "A4"}
    made = _done(client, client.post("/api/v1/prints", json=body))
    data = client.get(f"/api/v1/prints/{made['id']}/pdf").content
    raster = subprocess.run(["pdftoppm", "-r", "40", "-"], input=data, capture_output=True, check=True).stdout
    sheet = Image.open(io.BytesIO(raster))
    width, height = sheet.size
    middle = sheet.crop((width // 4, height // 3, width * 3 // 4, height * 2 // 3))
    assert _varied(middle), "the image stands in the middle of the page"


def _anonymized(client: httpx.Client, ds: pydicom.Dataset) -> None:
    body = {"study_instance_uid": ds.StudyInstanceUID, "profile": "basic"}
    made = _done(client, client.post("/api/v1/anonymizations", json=body))
    packed = client.get(f"/api/v1/anonymizations/{made['id']}/archive").content
    with zipfile.ZipFile(io.BytesIO(packed)) as copies:
        (raw,) = [copies.read(name) for name in copies.namelist() if name.endswith(".dcm")]
    clean = pydicom.dcmread(io.BytesIO(raw))
    assert clean.PatientIdentityRemoved == "YES" and clean.SOPInstanceUID != ds.SOPInstanceUID
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "PatientID", "PatientName"):
        value = str(ds.get(keyword, ""))
        assert len(value) < 4 or value.encode() not in raw, keyword
    assert clean.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert np.array_equal(_pixels(clean), _pixels(ds)), "comments in the code stream went, the pixels did not"


def _pixels(ds: pydicom.Dataset) -> "np.ndarray[Any, Any]":
    spec = PixelSpec.from_dataset(ds)
    return decode_frame(stored_frame(ds, spec), spec)
