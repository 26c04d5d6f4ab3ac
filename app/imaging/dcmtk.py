"""DCMTK's command line decoders as a last resort, in a process of their own with a time limit.

They read what other libraries refuse (some 12-bit and arithmetic JPEG), and a crash there does not affect this
process."""

import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from app.dicom import syntaxes
from app.dicom.reading import dcmread
from app.imaging.codestream import Codestream
from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase

TIMEOUT = 4.0  # a 14-megapixel frame takes half a second; some damaged ones never end
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@cache
def tool(family: str) -> str | None:
    """Path of the program for this family, None where DCMTK is not installed."""
    return shutil.which("dcmdjpls" if family == "jpeg-ls" else "dcmdjpeg")


def _wrap(frame: bytes, head: Codestream, spec: PixelSpec) -> Dataset:
    """The smallest file DCMTK decodes: no attribute of the patient leaves the process."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(_syntax(head, spec))
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UID(_SECONDARY_CAPTURE)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID("2.25.1")
    ds.Rows, ds.Columns, ds.SamplesPerPixel = head.rows, head.columns, head.components
    ds.BitsAllocated = 16 if head.precision > 8 else 8
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = head.precision, head.precision - 1, 0
    if head.components == 1:
        ds.PhotometricInterpretation = "MONOCHROME2"
    else:
        rgb = head.rgb if head.rgb is not None else spec.photometric == "RGB"
        ds.PhotometricInterpretation = "RGB" if rgb or head.family != "jpeg" else "YBR_FULL_422"
        ds.PlanarConfiguration = 0
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    return ds


def _syntax(head: Codestream, spec: PixelSpec) -> str:
    if head.family == "jpeg-ls":
        return syntaxes.JPEG_LS_NEAR
    if head.family == "jpeg-lossless":
        return syntaxes.JPEG_LOSSLESS
    return syntaxes.JPEG_BASELINE if head.precision == 8 else syntaxes.JPEG_EXTENDED


def decode(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    """(rows, columns[, 3]); colour of DCT JPEG as RGB. Raises CannotDecode when DCMTK is missing, fails or is too slow."""
    program = tool(head.family)
    if program is None:
        raise CannotDecode("DCMTK is not installed.")
    with tempfile.TemporaryDirectory(prefix="filmroom-dcmtk-") as folder:
        source, target = Path(folder, "in.dcm"), Path(folder, "out.dcm")
        _wrap(frame, head, spec).save_as(source, enforce_file_format=True)
        options = ["--conv-always" if head.family == "jpeg" and head.components == 3 else "--conv-never"]
        command = [
            program,
            "-q",
            *([] if head.family == "jpeg-ls" else [*options, "--color-by-pixel"]),
            str(source),
            str(target),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)  # noqa: S603 - fixed program, own files
        except subprocess.TimeoutExpired:
            raise CannotDecode(phrase("DCMTK did not finish within {seconds:.0f} s.", seconds=TIMEOUT)) from None
        if done.returncode != 0 or not target.is_file():
            raise CannotDecode(phrase("DCMTK failed (code {returncode}).", returncode=done.returncode))
        out = dcmread(target)
    return _samples(out, head)


def _samples(out: Dataset, head: Codestream) -> Samples:
    dtype = np.dtype("<u2") if int(out.BitsAllocated) == 16 else np.dtype("u1")
    count = head.rows * head.columns * head.components
    try:
        flat = np.frombuffer(out.PixelData, dtype, count)
    except (ValueError, struct.error) as error:
        raise CannotDecode("DCMTK returned fewer pixels than the frame has.") from error
    if head.components == 1:
        return flat.reshape(head.rows, head.columns)
    if int(out.get("PlanarConfiguration", 0)) == 1:
        return np.ascontiguousarray(flat.reshape(head.components, head.rows, head.columns).transpose(1, 2, 0))
    return flat.reshape(head.rows, head.columns, head.components)
