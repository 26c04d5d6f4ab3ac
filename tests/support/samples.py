"""The small set of DICOM files: what pydicom brings and what is made here, under the names of the large set.

A plain clone has no large set (FILMROOM_TEST_DATA, by default ../shared/data: some 450 public files). Tests then run on
these files. A test that asks for a file which only the large set has is skipped and says which; tests/conftest.py."""

import csv
import errno
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
from pydicom import Dataset, dcmread
from pydicom.uid import JPEG2000, JPEG2000Lossless, RLELossless

BROUGHT = Path(pydicom.data.__file__).parent
MARK = "SMALL"  # a file of this name in a folder says that it is the small set
SERIES = 32  # images in a made series
_COLUMNS = "file sha256 bytes modality sop_class transfer_syntax transfer_syntax_uid rows cols frames photometric"

# Name in the large set: file of pydicom, the same bytes.
_SAME = {
    "codecs/bigendian_mr": "MR_small_bigendian",
    "codecs/bigendian_us_rgb_planar1": "ExplVR_BigEnd",
    "codecs/deflated_sc": "image_dfl",
    "codecs/implicit_mr": "MR_small_implicit",
    "codecs/j2k_lossless_pixelrep_mismatch": "J2K_pixelrep_mismatch",
    "codecs/j2k_lossless_ybr_rct_text": "GDCMJ2K_TextGBR",
    "codecs/j2k_lossy_rgb": "SC_rgb_gdcm_KY",
    "codecs/jpeg-baseline_no_color_transform": "SC_jpeg_no_color_transform",
    "codecs/jpeg-baseline_rgb_app14": "SC_rgb_dcmtk_+eb+cr",
    "codecs/jpeg-baseline_ybr_411": "SC_rgb_dcmtk_+eb+cy+s4",
    "codecs/jpeg-baseline_ybr_full_422": "SC_rgb_dcmtk_+eb+cy+s2",
    "codecs/jpeg-baseline_ybr_full_444": "SC_rgb_dcmtk_+eb+cy+n1",
    "codecs/jpeg-extended_12bit_nm": "JPGExtended",
    "codecs/jpeg-lossless-sv1_rgb": "SC_rgb_jpeg_gdcm",
    "codecs/jpeg-ls_lossless_mr": "MR_small_jpeg_ls_lossless",
    "codecs/jpeg-ls_near_16bit": "JPEGLSNearLossless_16",
    "codecs/jpeg-ls_near_8bit": "JPEGLSNearLossless_08",
    "codecs/jpeg-ls_near_rgb_line": "SC_rgb_jls_lossy_line",
    "codecs/jpeg-ls_near_rgb_sample": "SC_rgb_jls_lossy_sample",
    "codecs/rle_mr_16bit": "MR_small_RLE",
    "codecs/rle_rgb_16bit_2frames": "SC_rgb_rle_16bit_2frame",
    "codecs/rle_rgb_32bit": "SC_rgb_rle_32bit",
    "codecs/wg04/nm1/nm1_jpeg-extended-12bit": "JPEG-lossy",
    "codecs/wg04/us1/us1_j2k-lossless": "examples_jpeg2k",
    "modality/ct_small": "CT_small",
    "modality/mr_small": "MR_small",
    "modality/us_cine_30frames_jpeg_ybr422": "examples_ybr_color",
    "modality/us_rgb": "examples_rgb_color",
    "odd/bad_vr": "badVR",
    "odd/empty_charset": "empty_charset_LEI",
    "odd/j2k_sequence_delimiter_in_stream": "JPEG2000-embedded-sequence-delimiter",
    "odd/meta_no_group_length": "no_meta_group_length",
    "odd/meta_no_transfer_syntax": "meta_missing_tsyntax",
    "odd/no_meta_explicit_be": "ExplVR_BigEndNoMeta",
    "odd/no_meta_explicit_le": "ExplVR_LitEndNoMeta",
    "odd/no_meta_rtstruct": "rtstruct",
    "odd/no_preamble_no_meta": "no_meta",
    "odd/padded_pixeldata_mr": "MR_small_padded",
    "odd/private_sequence": "priv_SQ",
    "odd/private_sequence_nested_implicit": "nested_priv_SQ",
    "odd/sr_empty_numbers": "reportsi_with_empty_number_tags",
    "odd/truncated_pixeldata_mr": "MR_truncated",
    "odd/truncated_rtplan": "rtplan_truncated",
    "odd/un_vr_sequence": "UN_sequence",
    "pixel/sc_ybr_full_422": "SC_ybr_full_422_uncompressed",
    "pixel/us_palette_8bit": "examples_palette",
    "rt/rtdose_15frames_32bit": "rtdose",
    "rt/rtdose_15frames_rle": "rtdose_rle",
    "rt/rtplan": "rtplan",
    "seg/seg_liver_1frame_bigendian": "liver_expb_1frame",
    "sr/sr_basic_text": "reportsi",
    "sr/sr_comprehensive": "test-SR",
    "waveform/ecg_12lead": "waveform_ecg",
}

_BY_PYDICOM: list[tuple[str, str, dict[str, Any]]] = [
    ("rle", RLELossless, {}),
    ("j2k-lossless", JPEG2000Lossless, {}),
    ("j2k-lossy", JPEG2000, {"j2k_cr": [8]}),
]
_BY_DCMTK = [
    ("jpeg-lossless-sv1", "dcmcjpeg"),
    ("jpeg-extended-12bit", "dcmcjpeg", "+ee", "+q", "95"),
    ("jpegls-lossless", "dcmcjpls"),
    ("jpegls-near", "dcmcjpls", "+en", "+md", "2"),
]
_ONLY_12_BITS = ("jpeg-extended-12bit", "jpegls-near")  # DCMTK makes neither of signed pixels


def is_whole(folder: Path) -> bool:
    """Whether this is the large set."""
    return (folder / "MANIFEST.csv").is_file() and not (folder / MARK).exists()


def some(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder in order; like a missing file when there are none, so that `lacking` sees it."""
    if found := sorted(folder.glob(pattern)):
        return found
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder / pattern))


def lacking(fault: BaseException) -> str | None:
    """The name of the file that a test asked for, when only the large set has it."""
    if not isinstance(fault, FileNotFoundError) or fault.filename is None:
        return None
    path = Path(str(fault.filename))
    root = next((one for one in path.parents if (one / MARK).exists()), None)
    return str(path.relative_to(root)) if root else None


def make_small(folder: Path) -> Path:
    """Writes the small set into a new folder."""
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    for name, source in _SAME.items():
        _copy(BROUGHT / "test_files" / f"{source}.dcm", folder / f"{name}.dcm")
    for source in sorted((BROUGHT / "charset_files").glob("chr*.dcm")):
        _copy(source, folder / "charset" / f"chr_{source.name[3:]}")
    shutil.copytree(
        BROUGHT / "test_files" / "dicomdirtests", folder / "media" / "dicomdir", ignore=shutil.ignore_patterns("*.py")
    )
    _codings(folder / "codecs/wg04/ct1", "ct1", _large_ct(1))
    _codings(folder / "codecs/wg04/mr1", "mr1", _named(dcmread(BROUGHT / "test_files/MR_small.dcm"), "mr1"))
    _codings(folder / "codecs/wg04/mr4", "mr4", _twelve_bits("mr4", "MR", 0))
    _codings(folder / "codecs/wg04/xa1", "xa1", _twelve_bits("xa1", "XA", 40))
    _codings(folder / "codecs/wg04/vl1", "vl1", _named(dcmread(BROUGHT / "test_files/examples_rgb_color.dcm"), "vl1"))
    for number in range(1, SERIES + 1):
        _write(_large_ct(number, "series"), folder / f"series/ct_chest_lidc0314/{number:03}.dcm")
        _write(_mr(number), folder / f"series/mr_head_t1/{number:03}.dcm")
    _write(_document(), folder / "pdf/encapsulated_pdf.dcm")
    _list(folder)
    return folder


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(ds: Dataset, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(target, enforce_file_format=True)


def _named(ds: Dataset, name: str, number: int = 1) -> Dataset:
    """The same object as one of a study of its own."""
    root = f"2.25.{int(sha256(name.encode()).hexdigest()[:16], 16)}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{root}.1", f"{root}.1.1"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{root}.1.1.{number}"
    ds.InstanceNumber, ds.PatientName, ds.PatientID = number, f"Sample^{name}", f"SAMPLE-{name}"
    return ds


def _large_ct(number: int, name: str = "ct1") -> Dataset:
    """512 x 512: pydicom's small CT enlarged, each slice turned a little, in a series along z."""
    ds = _named(dcmread(BROUGHT / "test_files/CT_small.dcm"), name, number)
    pixels = np.roll(np.kron(ds.pixel_array, np.ones((4, 4), dtype=np.int16)), number - 1, axis=1)
    ds.Rows, ds.Columns, ds.PixelData = 512, 512, pixels.tobytes()
    ds.PixelSpacing = [value / 4 for value in ds.PixelSpacing]
    ds.ImagePositionPatient, ds.SliceLocation = [-158.0, -179.0, -75.0 + 2.5 * number], -75.0 + 2.5 * number
    ds.AccessionNumber, ds.WindowCenter, ds.WindowWidth = f"S{name}", 40, 400
    del ds[0xFFFC, 0xFFFC]  # trailing padding of the original
    return ds


def _mr(number: int) -> Dataset:
    ds = _named(dcmread(BROUGHT / "test_files/MR_small.dcm"), "mr_head", number)
    ds.pop(0xFFFCFFFC, None)  # trailing padding of the original
    ds.PixelData = np.roll(ds.pixel_array, number - 1, axis=0).tobytes()
    ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], float(number)]
    return ds


def _twelve_bits(name: str, modality: str, turned: int) -> Dataset:
    """128 x 128, unsigned, 12 of 16 bits."""
    ds = _named(dcmread(BROUGHT / "test_files/CT_small.dcm"), name)
    pixels = np.roll(ds.pixel_array.astype(int), turned, axis=0)
    pixels = ((pixels - pixels.min()) * 4095 // np.ptp(pixels)).astype("<u2")  # DCMTK stretches others when it is lossy
    ds.Modality, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = modality, 12, 11, 0
    ds.PixelData = pixels.tobytes()
    for keyword in ("RescaleSlope", "RescaleIntercept", "SmallestImagePixelValue", "LargestImagePixelValue"):
        ds.pop(keyword, None)
    ds.pop(0x00280120, None)  # its padding value is negative
    del ds[0xFFFC, 0xFFFC]
    return ds


def _codings(folder: Path, name: str, ds: Dataset) -> None:
    """The same image uncompressed and in each coding that can be made here."""
    plain = folder / f"{name}_uncompressed.dcm"
    _write(ds, plain)
    for suffix, uid, more in _BY_PYDICOM:
        coded = dcmread(plain)
        coded.compress(uid, generate_instance_uid=False, **more)
        _write(coded, folder / f"{name}_{suffix}.dcm")
    for suffix, tool, *options in _BY_DCMTK:
        if shutil.which(tool) and (ds.BitsStored == 12 or suffix not in _ONLY_12_BITS):
            target = folder / f"{name}_{suffix}.dcm"
            subprocess.run([tool, *options, "+un", plain, target], check=True, timeout=60, capture_output=True)


def _document() -> Dataset:
    """An encapsulated PDF (PS3.3 A.45.1)."""
    ds = _named(dcmread(BROUGHT / "test_files/test-SR.dcm"), "pdf")
    del ds[0x0040, 0xA730]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    ds.Modality, ds.ConversionType, ds.BurnedInAnnotation, ds.DocumentTitle = "DOC", "WSD", "NO", "Report"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n "
    return ds


def _list(folder: Path) -> None:
    """MANIFEST.csv with the columns that tests read."""
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, _COLUMNS.split())
        rows.writeheader()
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if path.name in ("MANIFEST.csv", MARK):
                continue
            ds = dcmread(path, force=True, stop_before_pixels=True)
            syntax = ds.file_meta.get("TransferSyntaxUID", "")
            rows.writerow(
                {
                    "file": str(path.relative_to(folder)),
                    "sha256": sha256(path.read_bytes()).hexdigest(),
                    "bytes": path.stat().st_size,
                    "modality": ds.get("Modality", ""),
                    "sop_class": ds.SOPClassUID.name if "SOPClassUID" in ds else "",
                    "transfer_syntax": getattr(syntax, "name", ""),
                    "transfer_syntax_uid": str(syntax),
                    "rows": ds.get("Rows") or "",
                    "cols": ds.get("Columns") or "",
                    "frames": ds.get("NumberOfFrames") or "",
                    "photometric": ds.get("PhotometricInterpretation", ""),
                }
            )
