"""Content of stored objects: headers from the index, parts of files by positioned reads, whole files as streams.
Frames: `frames.py`."""

import json
import os
import threading
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy.orm import Session

from app.archive import integrity, queries
from app.archive.errors import Damaged, NoFrame
from app.archive.framing import locate_tail
from app.archive.ingest import SESSION_KEY, Archive
from app.archive.models import Instance, InstanceHeader
from app.dicom import dicomjson, kept, uids
from app.dicom.dicomjson import Model
from app.dicom.header import NotDicom, inflate, most_inflated, scan
from app.kit.errors import NotFound

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_lock = threading.Lock()
_rescanned: OrderedDict[str, bytes] = OrderedDict()


def header(session: Session, instance: Instance, *, complete: bool = False) -> "Dataset":
    """The data set without pixels, its file meta information beside it. Long sequences and the large values that pictures
    need (overlays, palettes, ICC profile) are read from the file; other large values are left out, see `bulk_values`.

    complete: raises Damaged or NotFound where something would have to be left out because the file changed or is gone, for
    what is drawn by it."""
    archive = _archive(session)
    raw = _upgrade_header(archive, queries.raw_header_of(session, instance), instance)
    found = _unpack(archive, raw, instance, complete=complete)
    if instance.bits_allocated == 8 and not uids.transfer_syntax(instance.transfer_syntax_uid).little:
        tag, vr = kept.pixels(raw)
        if vr == "OW":  # without its value: the VR alone decides whether 8-bit samples are swapped (PS3.5 A.3)
            found.add_new(tag, vr, b"")
    return found


def pixel_element(session: Session, instance: Instance) -> tuple[int, str]:
    """Tag and VR of the pixel data as the file has them; see `kept.pixels`."""
    return kept.pixels(_upgrade_header(_archive(session), queries.raw_header_of(session, instance), instance))


def in_words(session: Session, instance: Instance) -> bool:
    """Whether 8-bit samples are stored in pairs in big endian words (PS3.5 A.3), swapped: frames of an odd number of
    bytes then end, and some begin, in the middle of a word."""
    if instance.bits_allocated != 8 or uids.transfer_syntax(instance.transfer_syntax_uid).little:
        return False
    return instance.pixel_bytes != -1 and pixel_element(session, instance)[1] == "OW"


def bulk_values(session: Session, instance: Instance) -> list[kept.Bulk]:
    """Large values outside of the pixels that `header` does not hold: where they lie in the file, of a deflated object in
    its inflated data set (`read_bulk`)."""
    raw = queries.raw_header_of(session, instance)
    return kept.bulks(_upgrade_header(_archive(session), raw, instance))


def bulk_value(session: Session, instance: Instance, path: str) -> bytes | tuple[int, int]:
    """The value at `TAG[/item/TAG...]`, which metadata name by an address, as little endian bytes (PS3.18 8.7.3.2), or
    (offset, length) in the file where it lies there so. Raises KeyError when there is none, Damaged."""
    syntax = uids.transfer_syntax(instance.transfer_syntax_uid)
    for bulk in bulk_values(session, instance):
        if f"{bulk.tag:08X}" == path.upper():
            if syntax.little and not syntax.deflated:
                return bulk.offset, bulk.length
            value = b"".join(read_bulk(_archive(session), instance, bulk.offset, bulk.length))
            return value if syntax.little else dicomjson.turned(bulk.vr, value)
    vr, value = dicomjson.find_bulk(header(session, instance, complete=True), path)
    return value if syntax.little else dicomjson.turned(vr, value)


def _archive(session: Session) -> Archive:
    found: Archive = session.info[SESSION_KEY]
    return found


def _unpack(archive: Archive, raw: bytes, instance: Instance, drawn: bool = True, complete: bool = False) -> "Dataset":
    """A header with what is read on from its file. A file that is gone, or more than can be read in a sensible time, costs
    only what was left out of the kept form; so does one that changed. Unless it must be complete: then Damaged or NotFound is
    raised."""

    def read(offset: int, length: int) -> bytes:
        return b"".join(read_bulk(archive, instance, offset, length))

    raw = _upgrade_header(archive, raw, instance)
    try:
        return kept.unpack(raw, read, drawn=drawn)
    except (Damaged, NotFound):
        if complete:
            raise
        return kept.unpack(raw)
    except (kept.HeaderTooLarge, NoFrame):
        return kept.unpack(raw)


def _upgrade_header(archive: Archive, raw: bytes, instance: Instance) -> bytes:
    """The kept header as this version makes it: what an earlier one kept is made anew from the file. The last ones stay."""
    if kept.is_current(raw):
        return raw
    with _lock:
        if (known := _rescanned.get(instance.sha256)) is not None:
            return known
    try:
        with open_object(archive, instance) as file:
            found = scan(file.fileno(), instance.bytes)
            locate_tail(file.fileno(), instance.bytes, found)
    except (NotDicom, NotFound, OSError):
        return raw
    with _lock:
        _rescanned[instance.sha256] = found.kept
        while len(_rescanned) > 64:
            _rescanned.popitem(last=False)
    return found.kept


def read_bulk(archive: Archive, instance: Instance, offset: int, length: int) -> Iterator[bytes]:
    """A large value in pieces, as the file has it. Raises NotFound, NoFrame."""
    if not uids.transfer_syntax(instance.transfer_syntax_uid).deflated:
        yield from iter_region(archive, instance, offset, length)
        return
    with open_object(archive, instance) as file:
        data = inflate_data_set(file, instance, offset + length)
    yield bytes(memoryview(data)[offset : offset + length])


def inflate_data_set(file: BinaryIO, instance: Instance, end: int) -> bytearray:
    """The data set of a deflated object, no further than `end`. Raises NoFrame where it would inflate to far more than was
    sent: not even looked at."""
    plain = (instance.pixel_offset or 0) + max(instance.pixel_bytes or 0, 0)
    if plain > most_inflated(instance.bytes):
        raise NoFrame("The deflated object expands to an implausible size and is not displayed.")
    file.seek(instance.data_set_offset)
    return inflate(file.read(), 0, min(end, 1 << 30))[0]


def read_parts(archive: Archive, instance: Instance, places: list[tuple[int, int]]) -> bytes:
    """The parts of the file at (offset, length), joined; the file stays open for the next ones. Raises NotFound when it is
    gone, Damaged, NoFrame where it ends before."""
    try:
        data = archive.files.read(
            archive.store.full_path_text(instance.path),
            instance.sha256,
            places,
            lambda fd: integrity.check(fd, instance, archive.database),
        )
    except FileNotFoundError:
        raise missing_file() from None
    if len(data) < sum(length for _, length in places):
        raise NoFrame("The file ends before this frame.", hint="Run the integrity check.")
    return data


def missing_file() -> NotFound:
    """The fault of an object whose file is gone."""
    return NotFound("The file of this object is missing.", hint="Run the integrity check.")


def require_complete(archive: Archive, instance: Instance) -> None:
    """Raises Damaged where the stored file is not the one that was stored, NotFound where it is gone."""
    open_object(archive, instance).close()


def open_object(archive: Archive, instance: Instance) -> BinaryIO:
    """The whole file, to read, looked at once. Raises NotFound when it is gone, Damaged where it is not the one that was
    stored."""
    try:
        file = open(archive.store.full_path_text(instance.path), "rb", buffering=0)  # noqa: PTH123, SIM115 twice as fast; the caller closes it
    except FileNotFoundError:
        raise missing_file() from None
    try:
        integrity.check(file.fileno(), instance, archive.database)
    except BaseException:
        file.close()
        raise
    return file


def iter_object(archive: Archive, instance: Instance, chunk: int = 1 << 20) -> Iterator[bytes]:
    """The whole file in pieces."""
    with open_object(archive, instance) as file:
        while piece := file.read(chunk):
            yield piece


def dicom_json(session: Session, instance: Instance) -> Model:
    """The header as DICOM JSON (PS3.18 annex F), from the cache the settled study got, else made now. Large values
    and the pixels are BulkDataURIs that begin with `dicomjson.BULK_MARK`."""
    found: Model = json.loads(encoded_json(session, instance))
    return found


def encoded_json(session: Session, instance: Instance) -> bytes:
    """The same as UTF-8 bytes; `dicomjson.with_bulk_address` gives the marks their address."""
    return _encoded(_archive(session), queries.header_row(session, instance), instance)


def _encoded(archive: Archive, row: InstanceHeader, instance: Instance) -> bytes:
    if row.json is not None and kept.is_current(row.raw) and uids.transfer_syntax(instance.transfer_syntax_uid).little:
        return zlib.decompress(row.json)
    return json_of(archive, row.raw, instance)


def encoded_json_of(session: Session, instances: Sequence[Instance], step: int = 200) -> Iterator[bytes]:
    """The same for many, in their order."""
    for at in range(0, len(instances), step):
        some = instances[at : at + step]
        kept_rows = queries.header_rows(session, [one.id for one in some])
        for one in some:
            row = kept_rows.get(one.id)
            if row is not None:  # else it was deleted meanwhile
                yield _encoded(_archive(session), row, one)


def json_of(archive: Archive, raw: bytes, instance: Instance, *, complete: bool = False) -> bytes:
    """A kept header as DICOM JSON, with what was left out of it: long sequences from the file, large values as addresses.
    complete: see `header`."""
    raw = _upgrade_header(archive, raw, instance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dicomjson.to_json(_unpack(archive, raw, instance, drawn=False, complete=complete))
    for bulk in kept.bulks(raw):
        name = f"{bulk.tag:08X}"
        vr = dicomjson.vr_of(bulk.tag) if bulk.vr in ("", "UN") else bulk.vr
        model[name] = {"vr": vr, "BulkDataURI": dicomjson.BULK_MARK + name}
    if instance.pixel_offset is not None:
        name, vr = _pixel_element(raw, model, instance)
        model[name] = {"vr": vr} | ({"BulkDataURI": dicomjson.BULK_MARK + name} if instance.pixel_bytes else {})
    return dicomjson.dumps(dict(sorted(model.items())))


def _pixel_element(raw: bytes, model: Model, instance: Instance) -> tuple[str, str]:
    """Tag and VR of the pixel data as in the file (PS3.5 8.2, A.1 to A.4)."""
    tag, vr = kept.pixels(raw)
    name = f"{tag:08X}" if tag else pixel_tag(model)
    if vr in ("OB", "OW", "OF", "OD"):
        return name, vr
    wide = instance.pixel_bytes != -1 and (not vr or instance.bits_allocated > 8)
    return name, {"7FE00008": "OF", "7FE00009": "OD"}.get(name, "OW" if wide else "OB")


def pixel_tag(model: Model) -> str:
    """Pixel Data, or its float kin, which have no Pixel Representation (PS3.3 C.7.6.24, C.7.6.25)."""
    bits = (model.get("00280100", {}).get("Value") or [0])[0]
    if "00280103" in model or bits not in (32, 64):
        return "7FE00010"
    return "7FE00008" if bits == 32 else "7FE00009"


def iter_region(
    archive: Archive, instance: Instance, offset: int, length: int, chunk: int = 1 << 20
) -> Iterator[bytes]:
    """A part of the file in pieces; ends early only where the file does."""
    with open_object(archive, instance) as file:
        fd = file.fileno()
        while length > 0:
            piece = os.pread(fd, min(length, chunk), offset)
            if not piece:
                return
            yield piece
            offset, length = offset + len(piece), length - len(piece)
