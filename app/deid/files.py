"""A file in, a clean Part 10 file out. Pixels stay what they are; everything around them is made anew."""

import itertools
import mmap
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from app.deid import method, people
from app.deid.errors import CannotClean
from app.deid.pixels import PIXELS, Pixels, Writer, find
from app.deid.profile import Profile
from app.deid.pseudonym import Pseudonyms
from app.deid.walker import Cleaner, EditCounts
from app.dicom.elements import ITEM, ITEM_END, SEQUENCE_END, read_head
from app.dicom.header import NotDicom, Start, inflate, most_inflated, read_start
from app.dicom.reading import read_dataset, read_items
from app.dicom.uids import is_safe
from app.dicom.walk import has_more_elements, is_crowded
from app.dicom.writing import settle_character_set
from app.kit import compat
from app.kit.phrases import of_fault, phrase

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
IMPLEMENTATION_CLASS_UID = "2.25.318274021554912846180472910386112940531"
IMPLEMENTATION_VERSION = "FILMROOM_DEID_1"
_INFLATED = {
    f"1.2.840.10008.1.2.4.{one}": f"1.2.840.10008.1.2.4.{other}" for one, other in (("95", "94"), ("205", "204"))
}
_META_WINDOW = 1 << 20  # bytes; the file meta information ends within
_MOST_ELEMENTS = 50_000  # of a data set, repeated ones too; the standard has some 5,000 attributes
_MOST_NESTED = 1_000_000  # with those in items; an object of 10,000 frames has half of that


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An object as an edit gets it: the elements before the pixels, the pixels, and the elements behind them."""

    ds: Dataset
    tail: Dataset
    pixels: Pixels


Edit = Callable[[OpenedFile], Writer | None]


def anonymize(
    source: BinaryIO, out: BinaryIO, profile: Profile, pseudonyms: Pseudonyms, known: people.Facts = frozenset()
) -> tuple[Dataset, EditCounts]:
    """Writes the clean object; gives its header (for names of files) and what was done. known: names and numbers of the
    patient from other objects (`facts`).

    A deflated object comes out as Explicit VR Little Endian, one without file meta information as a Part 10 file.
    Raises CannotClean when the file cannot be read well enough to be sure; the content of `out` must not be used
    then."""
    tallies: list[EditCounts] = []
    writers: list[Writer] = []

    def clean(opened: OpenedFile) -> Writer:
        cleaner = Cleaner(opened.ds, profile, pseudonyms, known)
        tallies.append(cleaner.tally)
        _warn_of_pixels(opened.ds, cleaner.tally, has_pixels=opened.pixels.is_there)
        writers.append(Writer(opened.pixels, opened.ds, cleaner.people.occur_in))
        cleaner.clean(opened.ds)
        cleaner.clean(opened.tail)
        cleaner.declare(opened.ds)
        method.record(opened.ds, profile)
        return writers[0]

    ds = rewrite(source, out, clean)
    for warning in dict.fromkeys(writers[0].warnings):
        tallies[0].warnings[warning] += 1
    return ds, tallies[0]


def facts(source: BinaryIO) -> people.Facts:
    """The identifying values of an object. Nothing for one that cannot be read, which `anonymize` refuses with the
    reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            begin, source, _ = _begin(source)
            return people.facts(_read(source, begin.implicit, begin.little))
        except MemoryError:
            raise
        except Exception as fault:
            if isinstance(fault, OSError) and fault.errno is not None:
                raise
            return frozenset()


def rewrite(source: BinaryIO, out: BinaryIO, edit: Edit) -> Dataset:
    """Writes the object with its header as `edit` leaves it, and a new file meta group. The pixel data is written by
    the Writer that `edit` gives, byte for byte where it gives none. Raises CannotClean as `anonymize` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks quote values
        try:
            return _rewrite(source, out, edit)
        except RecursionError:
            raise CannotClean("The object's sequences are nested too deeply to be read.") from None
        except (CannotClean, MemoryError):
            raise
        except NotDicom as fault:
            raise CannotClean(of_fault(fault)) from None
        except Exception as fault:
            if isinstance(fault, OSError) and fault.errno is not None:
                raise  # the disk's; pydicom raises OSError without a number for a sequence that is cut off
            # Damaged files raise anything in pydicom, and its words may quote them.
            raise CannotClean(phrase("The object cannot be read ({kind}).", kind=type(fault).__name__)) from None


def _begin(source: BinaryIO) -> tuple[Start, BinaryIO, str]:
    """Encoding of the data set, a file positioned at its beginning, and the transfer syntax of the copy."""
    size = source.seek(0, 2)
    source.seek(0)
    begin = read_start(source.read(_META_WINDOW), size)
    source.seek(begin.offset)
    uid = begin.syntax.uid
    if begin.syntax.deflated:
        sent = source.read()
        plain, more = inflate(sent, 0, most_inflated(len(sent)))
        if more:
            raise CannotClean("The deflated object expands to an implausible size.")
        source, uid = BytesIO(plain), _INFLATED.get(uid, EXPLICIT)
    elif (begin.implicit, begin.little) != (begin.syntax.implicit, begin.syntax.little):
        uid = _as_encoded(begin)
    if is_crowded(source):
        raise CannotClean("The object has too many sequence items to be read.")
    if _has_more_elements(source, begin):
        raise CannotClean("The object has too many attributes to be read.")
    return begin, source, uid


def _has_more_elements(source: BinaryIO, begin: Start) -> bool:
    """Whether an object has more than a million elements, which take pydicom a minute. Small files cannot."""
    at = source.tell()
    size = source.seek(0, 2)
    source.seek(at)
    if (size - at) // 8 <= _MOST_NESTED:
        return False
    try:
        with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return has_more_elements(buffer, at, begin.implicit, begin.little, _MOST_NESTED)
    except OSError:  # it is in memory
        data = source.read()
        source.seek(at)
        return has_more_elements(data, 0, begin.implicit, begin.little, _MOST_NESTED)


def _rewrite(source: BinaryIO, out: BinaryIO, edit: Edit) -> Dataset:
    begin, source, uid = _begin(source)
    implicit, little = begin.implicit, begin.little
    ds = _read(source, implicit, little)
    pixels = find(source, source.tell(), implicit, little, uid)
    source.seek(pixels.end)
    tail = _read(source, implicit, little)
    _name_object(ds, begin.meta)
    writer = edit(OpenedFile(ds, tail, pixels))
    settle_character_set(ds, tail)
    _write_meta(out, ds, writer.syntax_uid if writer else uid)
    _write(out, ds, implicit, little)
    if writer:
        writer.write(out, implicit, little)
    else:
        source.seek(pixels.start)
        _copy(source, out, pixels.end - pixels.start)
    _write(out, tail, implicit, little)
    return ds


def _name_object(ds: Dataset, meta: dict[int, bytes]) -> None:
    """SOP Class and Instance UID, which some objects have only in their file meta information."""
    for keyword, tag in (("SOPClassUID", 0x00020002), ("SOPInstanceUID", 0x00020003)):
        if not ds.get(keyword):
            uid = meta.get(tag, b"").decode("ascii", "replace").strip("\0 ")
            if not is_safe(uid):
                raise CannotClean("The object has no SOP Class UID or SOP Instance UID.")
            setattr(ds, keyword, uid)


def _as_encoded(begin: Start) -> str:
    """The actual transfer syntax of an object whose meta group is wrong."""
    if begin.syntax.encapsulated:
        raise CannotClean("The object is not encoded as its transfer syntax says.")
    return IMPLICIT if begin.implicit else EXPLICIT if begin.little else BIG


def _read(source: BinaryIO, implicit: bool, little: bool) -> Dataset:
    """The elements up to the pixel data or the end. Delimiters and items outside of a sequence are left out: some senders
    leave them behind."""
    seen = itertools.count(1)

    def stops(tag: int, _vr: str | None, _length: int) -> bool:
        if next(seen) > _MOST_ELEMENTS:
            raise CannotClean("The object has too many attributes to be read.")
        return tag in PIXELS or tag >> 16 == ITEM >> 16

    ds = read_dataset(source, implicit, little, stop_when=stops)
    while True:
        at = source.tell()
        is_ended = _delimiter(source, at - 8, little) == ITEM_END  # it is read over, and ends the reading
        is_ahead = _delimiter(source, at, little) != 0
        source.seek(at + 8 if is_ahead else at)
        if not is_ended and not is_ahead:
            return ds
        ds.update(read_dataset(source, implicit, little, stop_when=stops))
        if source.tell() == at:
            return ds


def _delimiter(source: BinaryIO, at: int, little: bool) -> int:
    """The tag of a delimiter or item at an offset; 0 where there is none."""
    if at < 0:
        return 0
    source.seek(at)
    head = source.read(8)
    tag = read_head(head, 0, True, little)[0] if len(head) == 8 else 0
    return tag if tag in (ITEM, ITEM_END, SEQUENCE_END) else 0


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
    _keep_raw(ds, implicit, little)
    write_dataset(target, ds)


def _keep_raw(ds: Dataset, implicit: bool, little: bool) -> None:
    """Makes pydicom write unchanged elements as they were read, though the character set has changed: that is ASCII,
    and may not be a number or date that pydicom can read. The content of an element of unknown VR (UN) is implicit VR
    little endian in any file (PS3.5 6.2.2), and is re-encoded for another."""
    if ds.original_encoding in ((implicit, little), (None, None)):
        ds.set_original_encoding(implicit, little, compat.read_codecs(ds))
    for item in read_items(ds):
        _keep_raw(item, implicit, little)


def _copy(source: BinaryIO, out: BinaryIO, length: int) -> None:
    while length > 0:
        piece = source.read(min(length, 1 << 20))
        if not piece:
            raise CannotClean("The pixel data of the object is truncated.")
        out.write(piece)
        length -= len(piece)


_PHOTOGRAPHED = {"US", "IVUS", "SC", "OT", "XC", "ES", "GM", "SM", "OP", "DOC", "RG", "RF"}


def _warn_of_pixels(ds: Any, tally: EditCounts, has_pixels: bool) -> None:
    """Warnings about identity in pixels, which cleaning a header does not remove (PS3.15 E.1.1, Burned In Annotation
    and Recognizable Visual Features)."""
    if not has_pixels:
        return
    burned = str(ds.get("BurnedInAnnotation") or "").strip().upper()
    secondary = str(ds.get("SOPClassUID") or "").startswith("1.2.840.10008.5.1.4.1.1.7")
    if burned == "YES":
        tally.warnings[phrase("According to the header, text is burned into the pixels; it is not removed.")] += 1
    elif burned != "NO" and (secondary or str(ds.get("Modality") or "") in _PHOTOGRAPHED):
        tally.warnings[phrase("Images of this type often contain burned-in text; it is not removed.")] += 1
    if str(ds.get("RecognizableVisualFeatures") or "").strip().upper() == "YES":
        tally.warnings[phrase("According to the header, the patient is recognizable in the image.")] += 1
    if any(
        (group, 0x0102) in ds and (group, 0x3000) not in ds and ds[group, 0x0102].value
        for group in range(0x6000, 0x6020, 2)
    ):
        tally.warnings[phrase("The pixel data contains an embedded overlay; it is not removed.")] += 1
