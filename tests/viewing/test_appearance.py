"""How frames are shown and measured: manifest, description and pictures say the same, over the API."""

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage, generate_uid

from app.dicom.dicomjson import to_json
from app.imaging import Appearance, PixelSpec, RenderParams, render_frame
from app.viewing.appearance import as_data, frame_appearances
from app.viewing.json_header import JsonHeader
from app.viewing.manifest import instance_entry
from tests.support.client import Web
from tests.viewer.headers import encoded, headers

CASES = Path(__file__).parent.parent / "cases"


def put(web: Web, *objects: bytes) -> None:
    for data in objects:
        answer = web.admin.post("/api/v1/imports", content=data, headers={"Content-Type": "application/dicom"})
        assert answer.json()["results"][0]["status"] == "stored", answer.text


def case(name: str) -> Dataset:
    return pydicom.dcmread(CASES / name)


def shown(ds: Dataset) -> dict:
    """What the manifest says of the look of an object with one frame, from its header as DICOM JSON."""
    shared, own = frame_appearances(JsonHeader(to_json(ds)), str(ds.file_meta.TransferSyntaxUID), 1)
    assert own == []
    return shared


@pytest.mark.parametrize("name", ["H10/1.dcm", "H10/2.dcm"])
def test_a_window_narrower_than_one_is_linear_exact(name: str) -> None:
    ds = case(name)
    window = {"center": float(ds.WindowCenter), "width": float(ds.WindowWidth), "function": "LINEAR_EXACT"}
    assert shown(ds)["windows"] == [window]
    picture = render_frame(ds.PixelData, ds)
    units = ds.pixel_array * float(ds.RescaleSlope)
    wanted = np.clip((units - window["center"]) / window["width"] + 0.5, 0, 1) * 255
    assert np.abs(picture.astype(float) - wanted).max() <= 1
    assert np.ptp(picture) > 100


@pytest.mark.parametrize(
    ("n", "size", "plane"),
    [
        (1, 0.05, "patient"),
        (2, 0.05, "patient"),
        (3, 0.1, "detector"),
        (4, 0.05, "patient"),
        (5, 0.05, "patient"),
        (6, 0.2, "film"),
    ],
)
def test_spacing_says_what_it_is_a_size_of(n: int, size: float, plane: str) -> None:
    spacing = shown(case(f"H12/{n}.dcm"))["spacing"]
    assert (spacing["row"], spacing["column"]) == pytest.approx((size, size))
    assert spacing["plane"] == plane


def test_letters_come_from_patient_orientation_and_laterality_from_the_image() -> None:
    found = shown(case("H14/x.dcm"))
    assert found["letters"] == ["P", "A", "HL", "FR"]
    assert (found["laterality"], found["view"]) == ("R", "MLO")


def test_each_ultrasound_region_keeps_its_scale_and_units() -> None:
    assert shown(case("H13/1.dcm"))["spacing"]["row"] == 0.5
    two = shown(case("H13/2.dcm"))
    assert [one["delta"] for one in two["regions"]] == [[0.05, 0.05], [0.02, 0.02]]
    assert "spacing" not in two  # no size holds for the whole image
    spectrum = shown(case("H13/3.dcm"))["regions"][1]
    assert (spectrum["unit"], spectrum["delta"]) == (["s", "cm/s"], [0.01, 0.5])


def test_the_manifest_says_what_pictures_are_drawn_by() -> None:
    """One reading of DICOM JSON and of data sets. Tables are in neither of the two."""
    for ds in headers():
        found = Appearance.of(ds, PixelSpec.from_dataset(ds))
        assert {**as_data(found), "partial": True} == {**shown(ds), "partial": True}, ds.ImageComments
        assert ("partial" in shown(ds)) == (not found.display.windows or "ModalityLUTSequence" in ds)


def test_frames_of_an_enhanced_object_have_windows_slopes_and_sizes_of_their_own() -> None:
    ds = next(headers(1))
    for keyword in ("WindowCenter", "WindowWidth", "VOILUTSequence", "RescaleSlope", "RescaleIntercept"):
        ds.pop(keyword, None)
    ds.NumberOfFrames = 3
    shared, groups = Dataset(), []
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = ["0.5", "0.25"]
    for n in range(1, 3):  # fewer than there are frames
        group, voi, rescale = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = [str(100 * n), "7"], [str(10 * n), "70"], "SIGMOID"
        rescale.RescaleSlope, rescale.RescaleIntercept = str(n), "-5"
        group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [voi], [rescale]
        groups.append(group)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], groups
    common, own = frame_appearances(JsonHeader(to_json(ds)), str(ds.file_meta.TransferSyntaxUID), 3)
    assert (common["spacing"]["row"], common["spacing"]["column"], common["aspect"]) == (0.5, 0.25, 2.0)
    frames = [*own, common]  # the third is as the common part says
    assert [one.get("slope", common["slope"]) for one in frames] == [1.0, 2.0, 1.0]
    assert [[w["center"] for w in one["windows"]] for one in frames] == [[100.0, 7.0], [200.0, 7.0], []]
    assert [one["partial"] for one in frames] == [None, None, True]


def test_millions_of_stated_frames_are_not_listed() -> None:
    ds = Dataset()
    ds.Rows = ds.Columns = 1
    ds.BitsAllocated = 8
    group = Dataset()
    group.PixelMeasuresSequence = [Dataset()]
    group.PixelMeasuresSequence[0].PixelSpacing = ["0.5", "0.25"]
    ds.PerFrameFunctionalGroupsSequence = [group]
    one = SimpleNamespace(
        sop_instance_uid="1.2", sop_class_uid="1.2.840.10008.5.1.4.1.1.2.1", transfer_syntax_uid="1.2.840.10008.1.2.1",
        instance_number=1, number_of_frames=8_000_000, rows=1, columns=1, bytes=1, warnings=[],
    )  # fmt: skip
    entry = instance_entry(one, to_json(ds))
    assert (entry["number_of_frames"], len(entry["per_frame"])) == (8_000_000, 1)
    assert entry["per_frame"][0]["appearance"]["spacing"]["row"] == 0.5 and "spacing" not in entry["appearance"]


def test_a_modality_lut_stands_in_place_of_a_rescale() -> None:
    """Both are contradictory (PS3.3 C.11.1); the viewer counts as `/rendered` draws."""
    ds = next(one for one in map(case, ("H11/1.dcm", "H11/2.dcm", "H11/3.dcm")) if "ModalityLUTSequence" in one)
    ds.RescaleSlope, ds.RescaleIntercept = "5", "-7"
    said = as_data(Appearance.of(ds, PixelSpec.from_dataset(ds), 1))
    assert (said["slope"], said["intercept"]) == (1.0, 0.0)


def test_a_description_has_the_tables_and_the_window_of_the_rendered_picture(web: Web) -> None:
    for name in ("H11/1.dcm", "H11/2.dcm", "H11/3.dcm"):
        ds = case(name)
        put(web, (CASES / name).read_bytes())
        described = web.admin.get(f"/api/v1/instances/{ds.SOPInstanceUID}/frames/1/appearance").json()
        tables = {key for key in ("modality_lut", "voi_lut") if key in described}
        assert tables == ({"modality_lut"} if "ModalityLUTSequence" in ds else {"voi_lut"})
        assert (described["window"] is None) == ("voi_lut" in described)
        assert described["inverted"] == (ds.PhotometricInterpretation == "MONOCHROME1")
    for ds in headers(4, seed=3):
        for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence"):
            ds.pop(keyword, None)
        put(web, encoded(ds))
        path = f"/api/v1/instances/{ds.SOPInstanceUID}/frames/1"
        window = web.admin.get(f"{path}/appearance").json()["window"]
        rendered = imagecodecs.imread(web.admin.get(f"{path}/rendered").content)
        params = RenderParams(window=(window["center"], window["width"]), voi_function=window["function"])
        assert np.array_equal(rendered, render_frame(ds.PixelData, ds, params)), ds.ImageComments


def pet_series(count: int = 6) -> list[Dataset]:
    """Slices of one activity distribution, each stored with another slope; no window."""
    blank = next(headers(1, seed=1))
    for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PresentationLUTShape"):
        blank.pop(keyword, None)
    made = []
    for n in range(1, count + 1):
        ds = pydicom.dcmread(BytesIO(encoded(blank)))
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.Modality, ds.Units, ds.InstanceNumber = "PT", "BQML", n
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.RescaleSlope, ds.RescaleIntercept = str(0.5 * n), "0"
        activity = np.zeros((64, 64))
        activity[16:48, 16:48] = 3000 * n  # hottest in the last slice
        activity[2:6, 2:6] = 1500  # the same everywhere
        ds.PixelData = (activity / (0.5 * n)).round().astype("<u2").tobytes()
        made.append(ds)
    return made


def test_a_pet_series_without_windows_has_one_for_all_its_slices(web: Web) -> None:
    slices = pet_series()
    put(web, *(encoded(ds) for ds in slices))
    manifest = web.admin.get(f"/api/v1/studies/{slices[0].StudyInstanceUID}/manifest").json()
    found = [one["appearance"] for one in manifest["series"][0]["instances"]]
    assert len({str(one["windows"]) for one in found}) == 1 and len(found[0]["windows"]) == 1
    assert not any("partial" in one for one in found)
    window = found[0]["windows"][0]
    assert window["width"] > 10_000, "in units of activity"
    greys = []
    for ds in slices:
        path = f"/api/v1/instances/{ds.SOPInstanceUID}/frames/1"
        picture = imagecodecs.imread(web.admin.get(f"{path}/rendered").content)
        small = imagecodecs.imread(web.admin.get(f"{path}/preview").content)
        assert abs(int(small[4, 4]) - int(picture[4, 4])) <= 6  # as JPEG
        assert web.admin.get(f"{path}/appearance").json()["window"] == window
        greys.append((int(picture[4, 4]), int(picture[32, 32])))
    assert len({same for same, _ in greys}) == 1, "one activity, one grey"
    assert [hot for _, hot in greys] == sorted(hot for _, hot in greys) and greys[0][1] < 60 < 200 < greys[-1][1]


@pytest.mark.parametrize(
    ("modality", "uid", "plane"),
    [
        ("CR", "1.2.840.10008.5.1.4.1.1.1", "unknown"),
        ("DX", "1.2.840.10008.5.1.4.1.1.1.1", "unknown"),
        ("XA", "1.2.840.10008.5.1.4.1.1.12.1", "unknown"),
        ("CT", "1.2.840.10008.5.1.4.1.1.2", "patient"),
        ("MG", "1.2.840.10008.5.1.4.1.1.13.1.3", "patient"),  # slices of a tomosynthesis
        ("MG", "1.2.840.10008.5.1.4.1.1.7", "unknown"),
        ("MR", "1.2.840.10008.5.1.4.1.1.7", "patient"),
    ],
)
def test_pixel_spacing_alone_is_of_an_unknown_plane_on_projections_only(modality: str, uid: str, plane: str) -> None:
    ds = next(headers(1))
    ds.Modality, ds.SOPClassUID, ds.PixelSpacing = modality, uid, ["0.2", "0.2"]
    assert shown(ds)["spacing"]["plane"] == plane
    ds.PixelSpacingCalibrationType = "FIDUCIAL"
    assert shown(ds)["spacing"]["plane"] == "patient"
    del ds.PixelSpacingCalibrationType
    ds.ImagerPixelSpacing = ["0.2", "0.2"]
    assert shown(ds)["spacing"]["plane"] == "detector"
    ds.ImagerPixelSpacing = ["0.25", "0.25"]  # corrected, whoever did it (PS3.3 10.7.1.3)
    assert shown(ds)["spacing"]["plane"] == "patient"
    del ds.ImagerPixelSpacing
    ds.NominalScannedPixelSpacing = ["0.2", "0.2"]
    assert shown(ds)["spacing"]["plane"] == "film"
