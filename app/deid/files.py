"""A Part 10 file in, a clean one out. Pixel bytes go over unread and unchanged; everything around them is made anew."""

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from app.deid import method
from app.deid.errors import CannotClean
from app.deid.profile import Profile
from app.deid.pseudonym import Pseudonyms
from app.deid.walker import Cleaner, Tally
from app.dicom.header import inflate, most_inflated
from app.dicom.reading import read_dataset
from app.dicom.walk import is_crowded
from app.kit.phrases import phrase

IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
IMPLEMENTATION_CLASS_UID = "2.25.318274021554912846180472910386112940531"
IMPLEMENTATION_VERSION = "FILMROOM_DEID_1"
GE_PRIVATE = "1.2.840.113619.5.2"  # implicit little endian but for its pixels
_UNDEFINED = 0xFFFFFFFF
_PIXELS = {0x7FE00010, 0x7FE00008, 0x7FE00009}


@dataclass(frozen=True, slots=True)
class Opened:
    """An object as an edit gets it: what stands before its pixels, what stands behind them, and whether there are any.
    pixels: the first bytes of the pixel data element."""

    ds: Dataset
    tail: Dataset
    has_pixels: bool
    pixels: bytes


def anonymize(source: BinaryIO, out: BinaryIO, profile: Profile, pseudonyms: Pseudonyms) -> tuple[Dataset, Tally]:
    """Writes the clean object; gives its header (for names of files) and what was done.

    A deflated object comes out as Explicit VR Little Endian. Raises CannotClean when the file cannot be read well
    enough to be sure; what then stands in `out` must not leave."""
    tallies: list[Tally] = []

    def clean(opened: Opened) -> None:
        cleaner = Cleaner(opened.ds, profile, pseudonyms)
        tallies.append(cleaner.tally)
        _warn_of_pixels(opened.ds, cleaner.tally, has_pixels=opened.has_pixels)
        if _has_comment(opened.pixels):
            cleaner.tally.warnings["The compressed pixels carry a comment or camera data; it remains there."] += 1
        cleaner.clean(opened.ds)
        cleaner.clean(opened.tail)
        cleaner.declare(opened.ds)
        method.record(opened.ds, profile)

    return rewrite(source, out, clean), tallies[0]


def rewrite(source: BinaryIO, out: BinaryIO, edit: Callable[[Opened], None]) -> Dataset:
    """Writes the object with its header as `edit` leaves it, and a file meta group of ours. Raises CannotClean as
    `anonymize` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks quote values
        try:
            return _rewrite(source, out, edit)
        except RecursionError:
            raise CannotClean("The object's sequences are nested too deeply to be read.") from None
        except (CannotClean, MemoryError):
            raise
        except Exception as fault:
            if isinstance(fault, OSError) and fault.errno is not None:
                raise  # the disk's; pydicom raises OSError without a number for a sequence that is cut off
            # Damaged files raise anything in pydicom, and its words may quote them.
            raise CannotClean(phrase("The object cannot be read ({kind}).", kind=type(fault).__name__)) from None


def _rewrite(source: BinaryIO, out: BinaryIO, edit: Callable[[Opened], None]) -> Dataset:
    uid = _syntax(source)
    if uid == DEFLATED:
        sent = source.read()
        plain, more = inflate(sent, 0, most_inflated(len(sent)))
        if more:
            raise CannotClean("The deflated object is larger than any sense.")
        source, uid = BytesIO(plain), EXPLICIT
        del sent, plain
    if is_crowded(source):
        raise CannotClean("The object has more sequence items than can be read in a sensible time.")
    implicit, little = uid in (IMPLICIT, GE_PRIVATE), uid != BIG
    ds = read_dataset(source, implicit, little, stop_when=lambda tag, _vr, _length: tag in _PIXELS)
    start = source.tell()
    end = _pixels_end(source, start, implicit, little)
    source.seek(end)
    tail = read_dataset(source, implicit, little)
    source.seek(start)
    edit(Opened(ds, tail, end > start, source.read(min(end - start, 1 << 16))))
    _write_meta(out, ds, uid)
    _write(out, ds, implicit, little)
    source.seek(start)
    _copy(source, out, end - start)
    _write(out, tail, implicit, little)
    return ds


def _syntax(source: BinaryIO) -> str:
    """The transfer syntax, from the meta group alone; leaves the file at the first byte of the data set."""
    source.seek(0)
    if source.read(132)[128:] != b"DICM":
        raise CannotClean("The object is not a DICOM file.")
    meta = read_dataset(source, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    uid = str(meta.get("TransferSyntaxUID") or "").strip(" \0")
    if not uid:
        raise CannotClean("The object does not say its transfer syntax.")
    return uid


def _pixels_end(file: BinaryIO, start: int, implicit: bool, little: bool) -> int:
    """First byte after the pixel data element that begins at start; start where there is none."""
    order = "<" if little else ">"
    head = file.read(8)
    if len(head) < 8:
        return start
    group, element = struct.unpack(f"{order}HH", head[:4])
    if group << 16 | element not in _PIXELS:
        raise CannotClean("The object ends in bytes that cannot be read.")
    length: int = struct.unpack(f"{order}L", head[4:] if implicit else file.read(4))[0]
    value = file.tell()
    size = file.seek(0, 2)
    if length != _UNDEFINED:
        if value + length > size:
            raise CannotClean("The object is cut off in its pixel data.")
        return value + length
    file.seek(value)
    while len(item := file.read(8)) == 8:
        tag, length = item[:4], struct.unpack("<L", item[4:])[0]
        if tag == b"\xfe\xff\xdd\xe0":
            return file.tell()
        if tag != b"\xfe\xff\x00\xe0" or length == _UNDEFINED or file.tell() + length > size:
            break
        file.seek(length, 1)
    raise CannotClean("The object is cut off in its pixel data.")


def _write_meta(out: BinaryIO, ds: Any, uid: str) -> None:
    """A new preamble and meta group: the old ones name stations and programs (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID")
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID")
    meta.TransferSyntaxUID = UID(uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    out.write(bytes(128) + b"DICM")
    write_file_meta_info(DicomIO(out), meta, enforce_standard=True)


def _write(out: BinaryIO, ds: Dataset, implicit: bool, little: bool) -> None:
    target = DicomIO(out)
    target.is_implicit_VR, target.is_little_endian = implicit, little
    write_dataset(target, ds)


def _copy(source: BinaryIO, out: BinaryIO, length: int) -> None:
    while length > 0:
        piece = source.read(min(length, 1 << 20))
        if not piece:
            raise CannotClean("The object is cut off in its pixel data.")
        out.write(piece)
        length -= len(piece)


def _has_comment(head: bytes) -> bool:
    """Whether the first JPEG frame has a COM, Exif or IPTC segment before its pixels (T.81 B.1.1.3)."""
    at = head.find(b"\xff\xd8\xff") + 2
    while at >= 2 and at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != 0xDA:
        if head[at + 1] in (0xFE, 0xE1, 0xED):
            return True
        at += 2 + int(struct.unpack_from(">H", head, at + 2)[0])
    return False


_PHOTOGRAPHED = {"US", "IVUS", "SC", "OT", "XC", "ES", "GM", "SM", "OP", "DOC", "RG", "RF"}


def _warn_of_pixels(ds: Any, tally: Tally, has_pixels: bool) -> None:
    """What cleaning a header cannot see (PS3.15 E.1.1, Burned In Annotation and Recognizable Visual Features)."""
    if not has_pixels:
        return
    burned = str(ds.get("BurnedInAnnotation") or "").strip().upper()
    secondary = str(ds.get("SOPClassUID") or "").startswith("1.2.840.10008.5.1.4.1.1.7")
    if burned == "YES":
        tally.warnings["The header says that text is burned into the pixels; it remains there."] += 1
    elif burned != "NO" and (secondary or str(ds.get("Modality") or "") in _PHOTOGRAPHED):
        tally.warnings["Text may be burned into the pixels, as is usual for this kind of image; it remains there."] += 1
    if str(ds.get("RecognizableVisualFeatures") or "").strip().upper() == "YES":
        tally.warnings["The header says that the person can be recognised in the image."] += 1
    if any(
        (group, 0x0102) in ds and (group, 0x3000) not in ds and ds[group, 0x0102].value
        for group in range(0x6000, 0x6020, 2)
    ):
        tally.warnings["An overlay lies inside the pixel words; it remains there."] += 1
