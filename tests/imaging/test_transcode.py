"""Lossless there and back, for frames and for whole files; DCMTK reads what we write."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom import dcmread
from pydicom.encaps import generate_frames

from app.dicom import syntaxes
from app.imaging import CannotTranscode, ImagingError, PixelSpec, colour, decode, decode_frame
from app.imaging.transcode import can_transcode, photometric_after, planar_after, transcode_frame
from app.imaging.transcode_file import FILE_TARGETS, transcode_dataset
from tests.imaging.support import load, stored_frame

FILES = [
    "codecs/bigendian_mr.dcm",
    "codecs/bigendian_us_rgb_planar1.dcm",
    "codecs/deflated_sc.dcm",
    "codecs/implicit_mr.dcm",
    "codecs/jpeg-baseline_ybr_full_422.dcm",
    "codecs/jpeg-extended_12bit_nm.dcm",
    "codecs/rle_rgb_16bit_2frames.dcm",
    "codecs/j2k_lossless_pixelrep_mismatch.dcm",
    "codecs/htj2k_lossless_rgb.dcm",
    "codecs/jpeg-ls_lossless_mr.dcm",
    "codecs/wg04/ct1/ct1_jpegls-lossless.dcm",
    "enhanced/ect_2frames_jpeg-lossless57_fragmented.dcm",
    "enhanced/emr_10frames_bigendian.dcm",
    "enhanced/emr_10frames_rle.dcm",
    "made/embedded_overlay_bit15.dcm",
    "pixel/jls_15bit_signed.dcm",
    "pixel/mr_12bit_signed_highbits.dcm",
    "pixel/paramap_float32.dcm",
    "pixel/sc_rgb_odd_3x3_bigendian.dcm",
    "pixel/sc_ybr_full_422.dcm",
    "pixel/us_palette_16bit_segmented_bigendian.dcm",
    "seg/seg_liver_nonbyte_aligned.dcm",
    "seg/seg_liver_nonbyte_aligned_rle.dcm",
]


def rgb(frame: bytes, spec: PixelSpec) -> np.ndarray:
    decoded = decode(frame, spec)
    return colour.to_rgb(decoded.values, decoded.photometric, spec.bits_stored) if spec.colour else decoded.values


@pytest.mark.parametrize("name", FILES)
def test_a_frame_is_the_same_in_every_syntax_that_can_carry_it(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / name)
    frame = stored_frame(ds, spec)
    before = rgb(frame, spec)
    targets = [uid for uid in sorted(syntaxes.TARGETS) if can_transcode(spec, uid)]
    assert len(targets) >= 4
    for uid in targets:
        after = replace(
            spec,
            transfer_syntax_uid=uid,
            planar=planar_after(spec, uid),
            photometric=photometric_after(spec, uid),
            swapped=False,
        )
        if uid != spec.transfer_syntax_uid:
            assert np.array_equal(rgb(transcode_frame(frame, spec, uid), after), before), uid


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("uid", sorted(FILE_TARGETS))
def test_a_file_keeps_its_pixels_and_its_identity(shared_data: Path, tmp_path: Path, name: str, uid: str) -> None:
    ds, spec = load(shared_data / name)
    out = tmp_path / "out.dcm"
    if not can_transcode(spec, uid):
        with pytest.raises(CannotTranscode):
            transcode_dataset(shared_data / name, uid, out)
        assert not out.exists()
        return
    transcode_dataset(shared_data / name, uid, out)
    again = dcmread(out)
    new = PixelSpec.from_dataset(again)
    assert again.file_meta.TransferSyntaxUID == uid
    assert again.SOPInstanceUID == ds.SOPInstanceUID
    if uid == spec.transfer_syntax_uid:
        assert out.read_bytes() == (shared_data / name).read_bytes()
        return
    assert again.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    for number in range(1, spec.frames + 1):
        assert np.array_equal(rgb(stored_frame(again, new, number), new), rgb(stored_frame(ds, spec, number), spec)), (
            number
        )
    changed = {"PhotometricInterpretation", "PlanarConfiguration", "PixelData", "IconImageSequence", "FloatPixelData"}
    for element in ds:
        if uid == syntaxes.IMPLICIT_LE and element.tag.is_private:
            continue  # implicit files do not say the VR of private elements
        if element.tag.element and element.keyword not in changed and element.VR not in ("OW", "SQ", "OW or OB", "UN"):
            assert again[element.tag].value == element.value, element.keyword


def test_words_in_other_elements_change_their_byte_order_too(shared_data: Path, tmp_path: Path) -> None:
    """The two palettes are the same; the file in the other order must show the same colours."""
    from app.imaging import render_frame

    source = shared_data / "pixel/us_palette_16bit_segmented_bigendian.dcm"
    transcode_dataset(source, syntaxes.EXPLICIT_LE, tmp_path / "little.dcm")
    ds, spec = load(source)
    little, little_spec = load(tmp_path / "little.dcm")
    assert np.array_equal(
        render_frame(stored_frame(little, little_spec), little), render_frame(stored_frame(ds, spec), ds)
    )


def test_an_object_without_pixels_is_encoded_anew(shared_data: Path, tmp_path: Path) -> None:
    transcode_dataset(shared_data / "sr/sr_basic_text.dcm", syntaxes.J2K_LOSSLESS, tmp_path / "sr.dcm")
    again, before = dcmread(tmp_path / "sr.dcm"), dcmread(shared_data / "sr/sr_basic_text.dcm")
    assert again.file_meta.TransferSyntaxUID == syntaxes.EXPLICIT_LE
    assert again.ContentSequence == before.ContentSequence


@pytest.mark.parametrize("stated", ["3", "17", None])
def test_frames_are_those_that_are_there(shared_data: Path, tmp_path: Path, stated: str | None) -> None:
    """Ten, whatever Number of Frames says."""
    ds, spec = load(shared_data / "enhanced/emr_10frames_rle.dcm")
    before = [rgb(stored_frame(ds, spec, number), spec) for number in range(1, 11)]
    ds.NumberOfFrames = stated
    ds.save_as(tmp_path / "lies.dcm")
    transcode_dataset(tmp_path / "lies.dcm", syntaxes.EXPLICIT_LE, tmp_path / "native.dcm")
    transcode_dataset(tmp_path / "native.dcm", syntaxes.RLE, tmp_path / "again.dcm")
    plain, again = dcmread(tmp_path / "native.dcm"), dcmread(tmp_path / "again.dcm")
    native = np.frombuffer(plain.PixelData, f"<u{spec.bits_allocated // 8}").reshape(10, spec.rows, spec.columns)
    last = [*generate_frames(again.PixelData, number_of_frames=10)]
    assert all(np.array_equal(one, frame.view(one.dtype)) for one, frame in zip(native, before, strict=True))
    assert np.array_equal(rgb(last[9], replace(spec, transfer_syntax_uid=syntaxes.RLE)), before[9])


def test_a_file_with_missing_frames_is_not_written(shared_data: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.dcm"
    whole = (shared_data / "enhanced/emr_10frames_rle.dcm").read_bytes()
    cut.write_bytes(whole[: len(whole) - 20000])
    with pytest.raises(ImagingError):
        transcode_dataset(cut, syntaxes.EXPLICIT_LE, tmp_path / "out.dcm")
    assert not (tmp_path / "out.dcm").exists()


@pytest.mark.peer
@pytest.mark.parametrize("uid", [syntaxes.JPEG_LS, syntaxes.RLE, syntaxes.EXPLICIT_BE, syntaxes.IMPLICIT_LE])
@pytest.mark.parametrize(
    "name",
    ["codecs/wg04/ct1/ct1_uncompressed.dcm", "codecs/wg04/us1/us1_uncompressed.dcm", "pixel/jls_15bit_signed.dcm"],
)
def test_dcmtk_reads_the_files_we_write(shared_data: Path, tmp_path: Path, name: str, uid: str) -> None:
    tool = {syntaxes.JPEG_LS: "dcmdjpls", syntaxes.RLE: "dcmdrle"}.get(uid, "dcmconv")
    if shutil.which(tool) is None:
        pytest.skip("DCMTK is not installed")
    transcode_dataset(shared_data / name, uid, tmp_path / "ours.dcm")
    subprocess.run([tool, "+te", str(tmp_path / "ours.dcm"), str(tmp_path / "theirs.dcm")], check=True, timeout=60)
    ds, spec = load(shared_data / name)
    theirs, new = load(tmp_path / "theirs.dcm")
    assert np.array_equal(decode_frame(stored_frame(theirs, new), new), decode_frame(stored_frame(ds, spec), spec))


SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 24))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), bits=st.integers(1, 16), signed=st.booleans(), uid=st.sampled_from(sorted(syntaxes.TARGETS)))
def test_any_grey_values_survive_any_syntax(data: st.DataObject, bits: int, signed: bool, uid: str) -> None:
    allocated = 8 if bits <= 8 else 16
    if signed and bits == 1:
        return
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    dtype = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    values = data.draw(arrays.arrays(dtype, SHAPES, elements=st.integers(low, high)))
    spec = PixelSpec(
        *values.shape,
        bits_allocated=allocated,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=signed,
        transfer_syntax_uid=syntaxes.EXPLICIT_LE,
    )
    frame = transcode_frame(values.tobytes(), spec, uid)
    again = decode(frame, replace(spec, transfer_syntax_uid=uid)).values
    assert np.array_equal(again, values)
    back = transcode_frame(frame, replace(spec, transfer_syntax_uid=uid), syntaxes.EXPLICIT_LE)
    assert back[: values.nbytes] == values.tobytes()
