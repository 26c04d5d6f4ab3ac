"""Frames as they are served agree with the attributes served beside them; colours and white survive on the way."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

from app.dicom import syntaxes
from app.imaging import PixelSpec, colour, decode, decode_frame
from tests.archive.make import ct, part10
from tests.imaging.support import stored_frame
from tests.pixels.conftest import CASES, Picture, Seen, address

NATIVE = "1.2.840.10008.1.2.1"
FILES = [
    "codecs/bigendian_us_rgb_planar1.dcm",
    "pixel/us_rgb_planar0_aspect4-3.dcm",
    "pixel/us_rgb_planar1_aspect4-3.dcm",
    "pixel/sc_ybr_full_422.dcm",
    "pixel/sc_ybr_full.dcm",
    "pixel/sc_rgb_16bit.dcm",
    "made/embedded_overlay_bit15.dcm",
]


@pytest.mark.parametrize("name", FILES)
def test_a_native_frame_reads_by_the_metadata_beside_it(seen: Seen, shared_data: Path, name: str) -> None:
    """decode(served frame, served metadata) is what the server itself shows."""
    stored = dcmread(shared_data / name)
    spec = PixelSpec.from_dataset(stored)
    one = seen.put(shared_data / name)
    (model,) = seen.get(f"/dicom-web{address(one)}/metadata", "application/dicom+json").json()
    served = PixelSpec.from_dataset(Dataset.from_json(model, lambda *_: b""), NATIVE)
    frame = seen.get(f"/dicom-web{address(one)}/frames/1", "application/octet-stream").content
    assert np.array_equal(decode_frame(frame, served), decode_frame(stored_frame(stored, spec), spec))
    manifest = seen.get(f"/api/v1/studies/{one.study_instance_uid}/manifest").json()
    every = [entry for series in manifest["series"] for entry in series["instances"]]
    entry = next(e for e in every if e["sop_instance_uid"] == one.sop_instance_uid)
    assert entry.get("planar_configuration", 0) == served.planar


def _compressed_colours(folder: Path) -> list[Path]:
    """Colour in codecs that turn it: what the set has of JPEG, RLE, JPEG-LS and JPEG 2000."""
    found = []
    for path in sorted(folder.glob("codecs/*.dcm")) + sorted(folder.glob("modality/*.dcm")):
        ds = dcmread(path, stop_before_pixels=True, force=True)
        if ds.get("SamplesPerPixel") == 3 and ds.file_meta.get("TransferSyntaxUID", NATIVE) not in PLAIN:
            found.append(path)
    return found


PLAIN = (NATIVE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def test_compressed_colour_as_a_native_frame_reads_by_the_metadata_beside_it(seen: Seen, shared_data: Path) -> None:
    """Whatever the codec made of the colours, a reader of the metadata sees the picture that the server draws."""
    paths, tried = _compressed_colours(shared_data), set()
    assert len(paths) >= 10
    for path in paths:
        stored = dcmread(path)
        spec = PixelSpec.from_dataset(stored)
        if spec.transfer_syntax_uid in syntaxes.VIDEO:
            continue
        one = seen.put(stored)
        (model,) = seen.get(f"/dicom-web{address(one)}/metadata", "application/dicom+json").json()
        served = PixelSpec.from_dataset(Dataset.from_json(model, lambda *_: b""), NATIVE)
        frame = seen.get(f"/dicom-web{address(one)}/frames/1", "application/octet-stream").content
        if served.photometric.endswith("422") and served.columns % 2 == 0:
            assert len(frame) == served.rows * served.columns * 2, path.name
        decoded = decode(frame, served)
        shown = colour.to_rgb(decoded.values, decoded.photometric, served.bits_stored).astype(int)
        original = decode(stored_frame(stored, spec), spec)
        drawn = colour.to_rgb(original.values, original.photometric, spec.bits_stored).astype(int)
        difference = np.abs(shown - drawn)
        # Chroma that was not halved by the encoder is by the label; its edges may differ, the picture may not.
        assert difference.mean() < 2.0 and np.percentile(difference, 95) <= 8, (path.name, difference.mean())
        tried.add((spec.transfer_syntax_uid, served.photometric))
    assert {photometric for _, photometric in tried} >= {"RGB", "YBR_FULL_422"}, tried


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"])
def test_h03_an_object_in_another_syntax_has_the_same_colours(seen: Seen, syntax: str) -> None:
    one = seen.put(CASES / "H03" / "1.dcm")
    answer = seen.get(f"/dicom-web{address(one)}", f"application/dicom; transfer-syntax={syntax}")
    again = dcmread(io.BytesIO(answer.content))
    spec = PixelSpec.from_dataset(again)
    picture = decode_frame(stored_frame(again, spec), spec).astype(int)
    assert np.abs(picture[:, :20] - (200, 30, 30)).max() <= 2
    assert np.abs(picture[:, -20:] - (30, 30, 200)).max() <= 2


def _lossy(words: np.ndarray, signed: bool, stored: int) -> Dataset:  # type: ignore[type-arg]
    stream = bytes(imagecodecs.jpeg2k_encode(words, level=45, codecformat="j2k", reversible=False))
    ds = ct(syntax="1.2.840.10008.1.2.4.91", pixels=encapsulate([stream]), Rows=64, Columns=64)
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = stored, stored - 1, int(signed)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", [10, 12, 15])
def test_white_that_overshoots_stays_white(seen: Seen, signed: bool, stored: int) -> None:
    """Lossy JPEG 2000 with 16 bits in its code stream and fewer in Bits Stored: what goes beyond is the most there is."""
    top = (1 << (stored - signed)) - 1
    bottom = -top - 1 if signed else 0
    rows, columns = np.mgrid[:64, :64]
    words = np.where((rows // 8 + columns // 8) % 2, top, bottom).astype(np.int16 if signed else np.uint16)
    ds = _lossy(words, signed, stored)
    spec = PixelSpec.from_dataset(ds)
    raw = imagecodecs.jpeg2k_decode(stored_frame(ds, spec))
    assert int(raw.max()) > top, "it does overshoot"
    values = decode(stored_frame(ds, spec), spec).values.astype(int)
    assert np.array_equal(values, np.clip(raw.astype(int), bottom, top))
    assert int(values.max()) == top


@pytest.mark.parametrize("large", [False, True])
def test_h39_a_profile_is_applied_whatever_its_size(seen: Seen, large: bool) -> None:
    """The profile of the case changes red and blue; the large one is the same with 300,000 bytes behind it."""
    ds = dcmread(CASES / "H39" / "1.dcm")
    if large:
        ds.ICCProfile = ds.ICCProfile + bytes(300_000)
    rgb = np.frombuffer(ds.PixelData, np.uint8).reshape(32, 32, 3)
    wanted = colour.to_srgb(rgb, bytes(ds.ICCProfile))
    assert not np.array_equal(wanted, rgb)
    one = seen.put(ds)
    for way, picture in seen.everywhere(one).items():
        assert np.abs(picture.astype(int) - wanted).max() <= (0 if way in ("rendered", "wado-uri", "api") else 30), way


def test_colours_both_spaces_have_stay_what_they_are(seen: Seen, shared_data: Path) -> None:
    one = seen.put(shared_data / "seg" / "seg_labelmap_palette.dcm")
    found = np.unique(seen.rendered(one).reshape(-1, 3), axis=0).tolist()
    assert [0, 235, 255] in found


def test_a_damaged_profile_is_left_out_and_said(seen: Seen) -> None:
    ds = dcmread(CASES / "H39" / "1.dcm")
    ds.ICCProfile = ds.ICCProfile[:200] + b"\0\0"
    one = seen.put(ds)
    answer = seen.get(f"/dicom-web{address(one)}/rendered", "image/png")
    assert "ICC profile is damaged" in answer.headers["warning"]
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.array_equal(picture, np.frombuffer(ds.PixelData, np.uint8).reshape(32, 32, 3))


def _jpeg_xl(frames: list[bytes], syntax: str, bits: int = 8, **attributes: object) -> bytes:
    """An object of 48 rows and 40 columns in a transfer syntax that pydicom does not write."""
    spelled = "1.2.840.10008.1.2.4.201"  # as long as theirs
    ds = ct(generate_uid(), syntax=spelled, pixels=encapsulate(frames), Rows=48, Columns=40, NumberOfFrames=len(frames))
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8 if bits == 8 else 16, bits, bits - 1, 0
    ds.update(attributes)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return part10(ds).replace(spelled.encode(), syntax.encode())


def _waves(bits: int, colours: bool, moved: int) -> Picture:
    y, x = np.mgrid[moved : 48 + moved, :40]
    grey = ((np.sin(x / 9) + np.cos(y / 7) + 2) / 4 * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return np.ascontiguousarray(np.stack([grey, grey[::-1], grey[:, ::-1]], -1) if colours else grey)


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_jpeg_xl_has_the_stored_values(seen: Seen, bits: int, colours: bool) -> None:
    """Two frames, the second in a file of boxes: values in the viewer and as native frames, the picture by every way."""
    pictures = [_waves(bits, colours, 0), _waves(bits, colours, 5)]
    streams = [
        bytes(imagecodecs.jpegxl_encode(one, lossless=True, bitspersample=bits, usecontainer=n > 0))
        for n, one in enumerate(pictures)
    ]
    kind = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0} if colours else {}
    one = seen.put(_jpeg_xl(streams, "1.2.840.10008.1.2.4.110", bits, **kind))
    assert not one.warnings
    for n, picture in enumerate(pictures, 1):
        plain = seen.get(f"/dicom-web{address(one)}/frames/{n}", "application/octet-stream").content
        assert plain == picture.tobytes()
        viewer = seen.get(f"/api/v1/instances/{one.sop_instance_uid}/frames/{n}", form="viewer")
        assert viewer.headers["x-frame-form"] == ("3" if colours else "1")
        shown = np.rint(picture / ((1 << bits) - 1) * 255).astype(np.uint8) if colours else picture
        assert viewer.content == shown.tobytes()
    if bits in (8, 12):
        native = seen.get(f"/dicom-web{address(one)}", f"application/dicom; transfer-syntax={NATIVE}").content
        stored = dcmread(io.BytesIO(native))
        again = seen.put(stored)
        for way, drawn in seen.everywhere(again, 2).items():
            assert np.array_equal(seen.everywhere(one, 2)[way], drawn), way


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL_422", "XYB"])
def test_lossy_jpeg_xl_has_the_right_colours(seen: Seen, label: str) -> None:
    """Rebuilt JPEG (.111) and XYB (.112): whatever the label, the picture is RGB, and native frames are by the label."""
    picture = np.empty((48, 40, 3), np.uint8)
    picture[:, :20], picture[:, 20:] = (200, 30, 30), (30, 30, 200)
    syntax = "1.2.840.10008.1.2.4.112" if label == "XYB" else "1.2.840.10008.1.2.4.111"
    jpeg = imagecodecs.jpeg8_encode(picture, level=95, subsampling="444")
    lossy = syntax.endswith("112")
    stream = imagecodecs.jpegxl_encode(picture, distance=0.5) if lossy else imagecodecs.jpegxl_encode_jpeg(jpeg)
    one = seen.put(
        _jpeg_xl([bytes(stream)], syntax, SamplesPerPixel=3, PhotometricInterpretation=label, PlanarConfiguration=0)
    )
    for way, drawn in seen.everywhere(one).items():
        assert np.abs(drawn[:, :12].astype(int) - (200, 30, 30)).max() <= 12, way
        assert np.abs(drawn[:, -12:].astype(int) - (30, 30, 200)).max() <= 12, way
    (model,) = seen.get(f"/dicom-web{address(one)}/metadata", "application/dicom+json").json()
    served = PixelSpec.from_dataset(Dataset.from_json(model, lambda *_: b""), NATIVE)
    frame = seen.get(f"/dicom-web{address(one)}/frames/1", "application/octet-stream").content
    assert np.abs(decode_frame(frame, served)[:, :12].astype(int) - (200, 30, 30)).max() <= 12


def test_damaged_jpeg_xl_is_refused_in_words(seen: Seen) -> None:
    whole = bytes(imagecodecs.jpegxl_encode(_waves(8, False, 0), lossless=True))
    larger = bytes(imagecodecs.jpegxl_encode(np.zeros((64, 40), np.uint8), lossless=True))
    transparent = bytes(imagecodecs.jpegxl_encode(np.zeros((48, 40, 4), np.uint8), lossless=True))
    for stream, words in (
        (whole[: len(whole) // 2], "cannot be decoded"),
        (whole[:3] + bytes(2), "JPEG XL frame ends inside its header"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "contains no codestream"),
        (larger, "compressed frame 40 x 64"),
        (transparent, "transparency"),
    ):
        one = seen.put(_jpeg_xl([stream], "1.2.840.10008.1.2.4.112"))
        answer = seen.web.admin.get(f"/dicom-web{address(one)}/rendered", headers={"Accept": "image/png"})
        assert answer.status_code == 422, words
        assert words in answer.json()["detail"]


@pytest.mark.parametrize("vr", ["OW", "OB"])
def test_odd_frames_of_bytes_in_big_endian_words_are_whole(seen: Seen, vr: str) -> None:
    """The last sample of one frame stands in the same word as the first of the next (PS3.5 A.3)."""
    samples = np.arange(3 * 27, dtype=np.uint8).reshape(3, 3, 3, 3)
    data = samples.tobytes() + b"\0"
    stored = np.frombuffer(data, "<u2").byteswap().tobytes() if vr == "OW" else data
    ds = ct(syntax="1.2.840.10008.1.2.2", pixels=stored, Rows=3, Columns=3, NumberOfFrames=3, SamplesPerPixel=3)
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PlanarConfiguration, ds.PhotometricInterpretation = 7, 0, "RGB"
    ds["PixelData"].VR = vr
    one = seen.put(ds)
    for frame in (1, 2, 3):
        wanted = samples[frame - 1]
        uid = one.sop_instance_uid
        viewer = seen.get(f"/api/v1/instances/{uid}/frames/{frame}", form="viewer")
        plain = seen.get(f"/dicom-web{address(one)}/frames/{frame}", "application/octet-stream")
        assert viewer.content == wanted.tobytes(), (viewer.headers["x-frame-form"], frame)
        assert plain.content[:27] == wanted.tobytes()
        assert np.array_equal(seen.rendered(one, frame), wanted)
    whole = seen.get(f"/dicom-web{address(one)}", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1").content
    assert dcmread(io.BytesIO(whole)).PixelData[:81] == samples.tobytes()
