"""Decoders against the uncompressed originals of NEMA WG-04, and against pydicom."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from app.dicom import syntaxes
from app.imaging import CannotDecode, FrameTooLarge, NotAnImage, PixelSpec, dcmtk, decode, decode_frame
from app.imaging.codestream import read
from tests.imaging.support import load, stored_frame

WG04 = [
    f"{group}/{group}_{name}"
    for group, names in {
        "ct1": "j2k-lossless j2k-lossy jpeg-lossless-sv1 jpegls-lossless jpegls-near rle",
        "mr1": "j2k-lossless j2k-lossy jpeg-extended-12bit jpeg-lossless-sv1 jpegls-lossless jpegls-near rle",
        "mr4": "j2k-lossless j2k-lossy jpeg-extended-12bit jpeg-lossless-sv1 jpegls-lossless jpegls-near rle",
        "nm1": "j2k-lossless j2k-lossy jpeg-extended-12bit jpeg-lossless-sv1 jpegls-lossless jpegls-near rle",
        "us1": "j2k-lossless j2k-lossy rle",
        "vl1": "j2k-lossless j2k-lossy rle",
        "xa1": "j2k-lossless j2k-lossy jpeg-extended-12bit jpeg-lossless-sv1 jpegls-lossless jpegls-near rle",
    }.items()
    for name in names.split()
]


def original_of(folder: Path, name: str) -> np.ndarray:
    group = name.split("/")[0]
    ds, spec = load(folder / "codecs/wg04" / group / f"{group}_uncompressed.dcm")
    return decode_frame(stored_frame(ds, spec), spec).astype(np.int64)


@pytest.mark.parametrize("name", WG04)
def test_a_compressed_sample_gives_the_pixels_of_its_original(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / "codecs/wg04" / f"{name}.dcm")
    original = original_of(shared_data, name)
    pixels = decode_frame(stored_frame(ds, spec), spec).astype(np.int64)
    assert pixels.shape == original.shape
    error = np.abs(pixels - original)
    if name.endswith(("lossy", "extended-12bit")):
        assert error.mean() <= 0.02 * (original.max() - original.min())
        assert error.max() > 0, "a lossy sample that is exact is not the lossy one"
    elif name.endswith("near"):
        assert 0 < error.max() <= 4
    else:
        assert error.max() == 0


@pytest.mark.parametrize("name", [n for n in WG04 if "jpeg" in n])
@pytest.mark.peer
def test_the_last_resort_decoder_agrees_with_the_first(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / "codecs/wg04" / f"{name}.dcm")
    frame = stored_frame(ds, spec)
    head = read(frame)
    if dcmtk.tool(head.family) is None:
        pytest.skip("DCMTK is not installed")
    words = dcmtk.decode(frame, head, spec)
    # Two right inverse DCTs may differ by one unit; lossless ones may not.
    limit = 1 if "extended" in name else 0
    assert np.abs(words.astype(np.int64) - decode(frame, spec).words.astype(np.int64)).max() <= limit


@pytest.mark.parametrize(
    "name",
    [
        "rle_mr_16bit",
        "rle_rgb_16bit_2frames",
        "rle_rgb_32bit",
        "bigendian_mr",
        "bigendian_us_rgb_planar1",
        "deflated_sc",
        "implicit_mr",
        "j2k_lossless_pixelrep_mismatch",
        "j2k_lossless_ybr_rct_text",
        "j2k_jp2_boxes_inside",
        "j2k_lossy_rgb",
        "htj2k_lossless_rgb",
        "jpeg-baseline_gray8",
        "jpeg-baseline_ybr_full_444",
        "jpeg-baseline_rgb_app14",
        "jpeg-baseline_ybr_411",
        "jpeg-baseline_no_color_transform",
    ],
)
def test_it_reads_what_pydicom_reads(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / "codecs" / f"{name}.dcm")
    theirs = ds.pixel_array if spec.frames == 1 else ds.pixel_array[0]
    assert np.array_equal(decode_frame(stored_frame(ds, spec), spec), theirs)


def test_irreversible_htj2k_does_not_wrap_around_at_white(shared_data: Path) -> None:
    lossless, lossless_spec = load(shared_data / "codecs/htj2k_lossless_rgb.dcm")
    lossy, spec = load(shared_data / "codecs/htj2k_rgb.dcm")
    exact = decode_frame(stored_frame(lossless, lossless_spec), lossless_spec).astype(int)
    assert np.abs(decode_frame(stored_frame(lossy, spec), spec) - exact).max() <= 8


def test_the_codestream_decides_which_jpeg_it_is(shared_data: Path) -> None:
    """This file says lossless SV1 and holds baseline JPEG."""
    ds, spec = load(shared_data / "modality/op_ophthalmic_8bit_jpeg-lossless.dcm")
    assert spec.transfer_syntax_uid == syntaxes.JPEG_LOSSLESS_SV1
    pixels = decode_frame(stored_frame(ds, spec), spec)
    assert pixels.shape == (1536, 1536)
    assert pixels.std() > 10


def test_bytes_swapped_in_pairs_come_back_in_order(shared_data: Path) -> None:
    """8-bit samples in big endian words of VR OW (PS3.5 A.3): both files hold the same 3 x 3 picture."""
    little, little_spec = load(shared_data / "pixel/sc_rgb_odd_3x3.dcm")
    big, big_spec = load(shared_data / "pixel/sc_rgb_odd_3x3_bigendian.dcm")
    assert big_spec.swapped
    assert np.array_equal(
        decode_frame(stored_frame(big, big_spec), big_spec),
        decode_frame(stored_frame(little, little_spec), little_spec),
    )


def test_every_frame_of_packed_bits_is_found(shared_data: Path) -> None:
    """Frames of 1-bit pixels that do not begin on a byte."""
    path = shared_data / "seg/seg_liver_nonbyte_aligned.dcm"
    if not path.exists():
        path = next((p for p in sorted((shared_data / "seg").rglob("*.dcm")) if load_bits(p)), path)
    ds, spec = load(path)
    theirs = ds.pixel_array.reshape(spec.frames, spec.rows, spec.columns)
    for number in range(1, spec.frames + 1):
        assert np.array_equal(decode_frame(stored_frame(ds, spec, number), spec), theirs[number - 1])


def load_bits(path: Path) -> bool:
    ds = dcmread(path, stop_before_pixels=True)
    return (
        ds.get("BitsAllocated") == 1
        and (ds.Rows * ds.Columns) % 8 != 0
        and not ds.file_meta.TransferSyntaxUID.is_compressed
    )


def test_a_short_frame_is_filled_and_said_so(shared_data: Path) -> None:
    ds, spec = load(shared_data / "odd/truncated_pixeldata_mr.dcm")
    decoded = decode(stored_frame(ds, spec), spec)
    assert decoded.values.shape == (64, 64)
    assert "8130 bytes instead of 8192" in decoded.warnings[0]
    assert not decoded.values[-1, -31:].any()


def test_a_video_is_no_picture() -> None:
    with pytest.raises(NotAnImage, match="video"):
        PixelSpec(512, 512, transfer_syntax_uid="1.2.840.10008.1.2.4.102").check()


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(CannotDecode, match="empty"):
        decode(b"", PixelSpec(4, 4))


def test_an_unknown_transfer_syntax_is_named() -> None:
    with pytest.raises(CannotDecode, match=r"1\.2\.3\.4"):
        decode(b"1234", PixelSpec(2, 1, transfer_syntax_uid="1.2.3.4"))


def test_a_frame_that_claims_too_much_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FrameTooLarge):
        decode(b"\xff\xd8" * 50, PixelSpec(65535, 65535, transfer_syntax_uid=syntaxes.JPEG_BASELINE))
    with pytest.raises(FrameTooLarge):
        decode(b"12", PixelSpec(16000, 16000, bits_allocated=8, bits_stored=8, high_bit=7))
