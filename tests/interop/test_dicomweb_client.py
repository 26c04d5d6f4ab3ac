"""dicomweb-client against a running server with every real file in it."""

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import UID
from requests import HTTPError, Session

from tests.support.client import PASSWORD
from tests.support.served import Served


@pytest.fixture
def client(served: Served) -> DICOMwebClient:
    session = Session()
    session.trust_env = False
    session.auth = ("admin", PASSWORD)
    return DICOMwebClient(url=served.dicomweb, session=session)


def test_it_finds_every_study_page_by_page(served: Served, client: DICOMwebClient) -> None:
    expected = {one.outcome.study_instance_uid for one in served.stored}
    found = [s["0020000D"]["Value"][0] for s in client.search_for_studies(limit=7, get_remaining=True)]
    assert len(found) == len(set(found)) == len(expected)
    assert set(found) == expected


def test_it_finds_a_patient_and_walks_down(served: Served, client: DICOMwebClient) -> None:
    ct = served.named("ct_chest_lidc0314")
    ds = ct.read()
    (study,) = client.search_for_studies(
        search_filters={"PatientID": ds.PatientID}, fields=["SeriesDescription", "BodyPartExamined"]
    )
    assert study["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert study["00080061"]["Value"] == ["CT"]
    (series,) = client.search_for_series(ds.StudyInstanceUID)
    assert series["00201209"]["Value"] == [32]
    instances = client.search_for_instances(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert len(instances) == 32
    assert {i["00280010"]["Value"][0] for i in instances} == {512}


def test_it_retrieves_every_object_as_it_was_stored(served: Served, client: DICOMwebClient) -> None:
    for one in [one for one in served.stored if UID(one.outcome.series_instance_uid).is_valid][::5]:
        o = one.outcome
        ds = client.retrieve_instance(
            o.study_instance_uid, o.series_instance_uid, o.sop_instance_uid, media_types=(("application/dicom", "*"),)
        )
        assert ds.SOPInstanceUID == o.sop_instance_uid, one.path


def test_it_retrieves_a_series_whole(served: Served, client: DICOMwebClient) -> None:
    o = served.named("mr_head_t1").outcome
    datasets = client.retrieve_series(o.study_instance_uid, o.series_instance_uid)
    series = [one for one in served.stored if "mr_head_t1" in str(one.path)]
    assert len(series) >= 32
    assert len(datasets) == len({ds.SOPInstanceUID for ds in datasets}) == len(series)


def test_metadata_is_what_pydicom_reads(served: Served, client: DICOMwebClient) -> None:
    for one in served.stored[::9]:
        o, ds = one.outcome, one.read()
        model = client.retrieve_instance_metadata(o.study_instance_uid, o.series_instance_uid, o.sop_instance_uid)
        back = pydicom.Dataset.from_json(model, lambda *_: b"")
        for keyword in ("PatientID", "Rows", "SOPClassUID", "BitsStored", "Modality"):
            if ds.get(keyword) not in (None, ""):
                assert back.get(keyword) == ds.get(keyword), (one.path, keyword)


def test_native_frames_decode_to_the_same_pixels(served: Served, client: DICOMwebClient) -> None:
    ct = served.named("ct_chest_lidc0314")
    o, ds = ct.outcome, ct.read()
    (frame,) = client.retrieve_instance_frames(o.study_instance_uid, o.series_instance_uid, o.sop_instance_uid, [1])
    assert frame == ds.PixelData[: ds.Rows * ds.Columns * 2]


@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("emr_10frames_bigendian", "emr_10frames.dcm"),
        ("emr_10frames_rle", "emr_10frames.dcm"),
        ("emr_10frames_j2k", "emr_10frames.dcm"),
        ("jpeg-ls_lossless_mr", "mr_small.dcm"),
        ("rle_mr_16bit", "mr_small.dcm"),
        ("codecs/bigendian_mr", "mr_small.dcm"),
        ("deflated_sc", "deflated_sc"),
    ],
)
def test_compressed_frames_are_given_as_native_pixels(
    served: Served, client: DICOMwebClient, name: str, native: str
) -> None:
    o = served.named(name.partition("/")[2] or name).outcome
    expected = served.named(native).read()
    count = int(expected.get("NumberOfFrames", 1))
    frames = client.retrieve_instance_frames(
        o.study_instance_uid,
        o.series_instance_uid,
        o.sop_instance_uid,
        list(range(1, count + 1)),
        media_types=(("application/octet-stream", "1.2.840.10008.1.2.1"),),
    )
    assert b"".join(frames) == expected.PixelData[: sum(map(len, frames))]
    assert len(frames[0]) == expected.Rows * expected.Columns * expected.BitsAllocated // 8


def test_bulk_data_is_found_by_its_address(served: Served, client: DICOMwebClient) -> None:
    one = served.named("ct_chest_lidc0314")
    o, ds = one.outcome, one.read()
    model = client.retrieve_instance_metadata(o.study_instance_uid, o.series_instance_uid, o.sop_instance_uid)
    (value,) = client.retrieve_bulkdata(model["7FE00010"]["BulkDataURI"])
    assert value == ds.PixelData


def test_rendered_pictures_are_pictures(served: Served, client: DICOMwebClient) -> None:
    from io import BytesIO

    from PIL import Image

    o = served.named("ct_chest_lidc0314").outcome
    made = client.retrieve_instance_rendered(
        o.study_instance_uid,
        o.series_instance_uid,
        o.sop_instance_uid,
        media_types=("image/png",),
        params={"viewport": "128,128"},
    )
    picture = Image.open(BytesIO(made))
    assert picture.size == (128, 128)
    low, high = picture.convert("L").getextrema()
    assert high - low > 150


def test_it_stores_and_finds_again(served: Served, client: DICOMwebClient) -> None:
    ds = served.named("sr_basic_text").read()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = (pydicom.uid.generate_uid() for _ in range(3))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientID = "STOW-1"
    answer = client.store_instances([ds])
    assert answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert "FailedSOPSequence" not in answer
    (found,) = client.search_for_studies(search_filters={"PatientID": "STOW-1"})
    assert found["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert client.retrieve_instance(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID).PatientID == "STOW-1"


def test_what_is_not_there_is_404(served: Served, client: DICOMwebClient) -> None:
    o = served.stored[0].outcome
    with pytest.raises(HTTPError) as raised:
        client.retrieve_instance("1.2.3", o.series_instance_uid, o.sop_instance_uid)
    assert raised.value.response.status_code == 404
