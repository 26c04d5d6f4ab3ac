"""What is inside stored objects: headers from the index, frames by one positioned read, whole files as streams."""

import json
import os
import threading
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy.orm import Session

from app.archive import integrity, queries
from app.archive.errors import Damaged, NoFrame
from app.archive.framing import locate_tail
from app.archive.ingest import SESSION_KEY, Archive
from app.archive.models import Instance, InstanceHeader
from app.dicom import dicomjson, frames, kept, uids
from app.dicom.dicomjson import Model
from app.dicom.header import NotDicom, inflate, most_inflated, scan
from app.dicom.walk import is_crowded
from app.kit import memory
from app.kit.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from app.imaging import Window

_lock = threading.Lock()
_tables: OrderedDict[str, frames.FrameTable] = OrderedDict()


_rescanned: OrderedDict[str, bytes] = OrderedDict()


def header(session: Session, instance: Instance, *, complete: bool = False) -> "Dataset":
    """The data set without pixels, its file meta information beside it. Long sequences and the large values that pictures
    need (overlays, palettes, ICC profile) are read from the file; other large values are left out, see `bulk_values`.

    complete: raises Damaged where something would have to be left out because the file changed, for what is drawn by it."""
    archive = _archive(session)
    raw = _current(archive, queries.raw_header_of(session, instance), instance)
    found = _unpack(archive, raw, instance, complete=complete)
    if instance.bits_allocated == 8 and not uids.transfer_syntax(instance.transfer_syntax_uid).little:
        tag, vr = kept.pixels(raw)
        if vr == "OW":  # without its value: the VR alone says whether 8-bit samples are swapped (PS3.5 A.3)
            found.add_new(tag, vr, b"")
    return found


def pixel_element(session: Session, instance: Instance) -> tuple[int, str]:
    """Tag and VR of the pixel data as the file has them; see `kept.pixels`."""
    return kept.pixels(_current(_archive(session), queries.raw_header_of(session, instance), instance))


def in_words(session: Session, instance: Instance) -> bool:
    """Whether 8-bit samples stand in pairs in big endian words (PS3.5 A.3), swapped: frames of an odd number of bytes then end,
    and some begin, in the middle of a word."""
    if instance.bits_allocated != 8 or uids.transfer_syntax(instance.transfer_syntax_uid).little:
        return False
    return instance.pixel_bytes != -1 and pixel_element(session, instance)[1] == "OW"


def whole_words(offset: int, length: int, size: int) -> tuple[int, int]:
    """(offset, length) of the whole words around a part of a value of `size` bytes."""
    begin, end = offset - offset % 2, offset + length
    return begin, min(end + end % 2, size) - begin


def begun_on_word(raw: bytes, odd: bool) -> bytes:
    """Whole words of a frame, moved so that it begins with the first. odd: it begins inside it."""
    return raw if not odd else dicomjson.turned("OW", dicomjson.turned("OW", raw)[1:] + b"\0")


def drawn_header(session: Session, instance: Instance) -> "Dataset":
    """`header` for drawing: a PET image whose header names no window gets that of its series. Raises Damaged."""
    from app.archive import pet_series  # numpy and the decoders: only where something is drawn

    dataset = header(session, instance, complete=True)
    if pet_series.needs_window(dataset):
        window = pet_window(session, queries.images_beside(session, instance))
        if window is not None:
            pet_series.set_window(dataset, window)
    return dataset


def pet_window(session: Session, images: Sequence[Instance]) -> "Window | None":
    """The one window of these PET images, whose headers name none. Decodes some of them the first time."""
    from app.archive import pet_series

    archive = _archive(session)

    def frame(one: Instance, n: int) -> bytes:
        return frame_bytes(archive, session, one, n)

    return pet_series.series_window(images, lambda one: header(session, one), frame)


def bulk_values(session: Session, instance: Instance) -> list[kept.Bulk]:
    """Large values outside of the pixels that `header` does not hold: where they lie in the file, of a deflated object in
    its inflated data set (`read_bulk`)."""
    raw = queries.raw_header_of(session, instance)
    return kept.bulks(_current(_archive(session), raw, instance))


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
    only what was left out of the kept form; so does one that changed, unless it must be complete: then Damaged is raised."""

    def read(offset: int, length: int) -> bytes:
        return b"".join(read_bulk(archive, instance, offset, length))

    raw = _current(archive, raw, instance)
    try:
        return kept.unpack(raw, read, drawn=drawn)
    except Damaged:
        if complete:
            raise
        return kept.unpack(raw)
    except (kept.TooLarge, NotFound, NoFrame):
        return kept.unpack(raw)


def _current(archive: Archive, raw: bytes, instance: Instance) -> bytes:
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
    check_swelling(instance)
    with open_object(archive, instance) as file:
        file.seek(instance.data_set_offset)
        data, _ = inflate(file.read(), 0, offset + length)
    yield bytes(memoryview(data)[offset : offset + length])


def frame_location(archive: Archive, session: Session, instance: Instance, n: int) -> list[tuple[int, int]]:
    """(offset, length) of the parts of frame n (from 1) in the file. Raises NoFrame."""
    _check(instance, n)
    if uids.transfer_syntax(instance.transfer_syntax_uid).deflated:
        raise NoFrame("The frames of a deflated object have no place in its file.")
    if instance.pixel_bytes is not None and instance.pixel_bytes >= 0:
        offset, length, bit = _native(instance, n)
        if bit:
            raise NoFrame("This frame does not begin on a byte.")
        return [(offset, length)]
    table = _table(session, instance)
    if n > table.count:
        raise NoFrame("The pixel data ends before this frame.")
    return table.locate(n)


def _check(instance: Instance, n: int) -> None:
    if n < 1 or n > max(instance.number_of_frames, 1) or instance.pixel_offset is None or instance.pixel_bytes is None:
        raise NoFrame("The object has no such frame.")


def _table(session: Session, instance: Instance) -> frames.FrameTable:
    """The frame table; the last used ones stay unpacked (the checksum names the content)."""
    with _lock:
        table = _tables.get(instance.sha256)
        if table is not None:
            _tables.move_to_end(instance.sha256)
            return table
    packed = queries.frames_of(session, instance)
    if packed is None:
        raise NoFrame("The frames of this object cannot be located.")
    table = frames.unpack(packed)
    with _lock:
        _tables[instance.sha256] = table
        while len(_tables) > 64:
            _tables.popitem(last=False)
    return table


def native_layout(instance: Instance) -> frames.Native:
    """How the native frames of an object lie in its pixel data."""
    return frames.native(
        instance.rows, instance.columns, instance.samples, instance.bits_allocated, instance.photometric,
        instance.number_of_frames, max(instance.pixel_bytes or 0, 0),
    )  # fmt: skip


def _native(instance: Instance, n: int) -> tuple[int, int, int]:
    """(offset, length, first bit) of what is there of native frame n. Raises NoFrame."""
    offset, length, bit, _ = _span(instance, n)
    return (instance.pixel_offset or 0) + offset, length, bit


def _span(instance: Instance, n: int) -> tuple[int, int, int, int]:
    """`frames.Native.span`. Raises NoFrame."""
    try:
        return native_layout(instance).span(n)
    except frames.BadFrames as fault:
        raise NoFrame(str(fault)) from None


def frame_bytes(archive: Archive, session: Session, instance: Instance, n: int) -> bytes:
    """Frame n (from 1) as stored: native bytes, or the code stream (fragments joined). Raises NoFrame, NotFound."""
    _check(instance, n)
    if uids.transfer_syntax(instance.transfer_syntax_uid).deflated:
        return _deflated_frame(archive, instance, n)
    if instance.pixel_bytes is not None and instance.pixel_bytes >= 0 and instance.bits_allocated == 1:
        offset, length, bit = _native(instance, n)
        return shift_bits(read_parts(archive, instance, [(offset, length)]), bit, instance.rows * instance.columns)
    if in_words(session, instance):
        offset, length, _, _ = _span(instance, n)
        at, size = whole_words(offset, length, instance.pixel_bytes or 0)
        raw = read_parts(archive, instance, [((instance.pixel_offset or 0) + at, size)])
        return begun_on_word(raw, at != offset)
    return read_parts(archive, instance, frame_location(archive, session, instance, n))


def shift_bits(raw: bytes, first: int, bits: int) -> bytes:
    """Single-bit pixels from bit `first` on, moved to begin on a byte (PS3.5 8.1.1: least significant bit first)."""
    if first == 0 and bits % 8 == 0:
        return raw
    number = (int.from_bytes(raw, "little") >> first) & ((1 << bits) - 1)
    return number.to_bytes(-(-bits // 8), "little")


def check_swelling(instance: Instance) -> None:
    """Raises NoFrame where a deflated object would inflate to far more than was sent: not even looked at."""
    plain = (instance.pixel_offset or 0) + max(instance.pixel_bytes or 0, 0)
    if plain > most_inflated(instance.bytes):
        raise NoFrame("The deflated object claims to hold far more than was sent; that is no picture.")


def _deflated_frame(archive: Archive, instance: Instance, n: int) -> bytes:
    if instance.pixel_bytes is None or instance.pixel_offset is None or instance.pixel_bytes < 0:
        raise NoFrame("The frames of this object cannot be located.")
    offset, length, bit = _native(instance, n)
    check_swelling(instance)
    with open_object(archive, instance) as file:
        file.seek(instance.data_set_offset)
        data, _ = inflate(file.read(), 0, offset + length)
    if len(data) < offset + length:
        raise NoFrame("The pixel data ends before this frame.")
    frame = bytes(memoryview(data)[offset : offset + length])
    del data
    memory.give_back()
    return frame if instance.bits_allocated != 1 else shift_bits(frame, bit, instance.rows * instance.columns)


def read_parts(archive: Archive, instance: Instance, places: list[tuple[int, int]]) -> bytes:
    """The parts of the file at (offset, length), joined; the file stays open for the next ones. Raises NotFound when it is
    gone, Damaged, NoFrame where it ends before."""
    try:
        data = archive.files.read(
            archive.store.full(instance.path),
            instance.sha256,
            places,
            lambda fd: integrity.check(fd, instance, archive.database),
        )
    except FileNotFoundError:
        raise missing() from None
    if len(data) < sum(length for _, length in places):
        raise NoFrame("The file ends before this frame.", hint="Run the integrity check.")
    return data


def missing() -> NotFound:
    """The fault of an object whose file is gone."""
    return NotFound("The file of this object is missing.", hint="Run the integrity check.")


def check_whole(archive: Archive, instance: Instance) -> None:
    """Raises Damaged where the stored file is not the one that was stored, NotFound where it is gone."""
    open_object(archive, instance).close()


def open_object(archive: Archive, instance: Instance) -> BinaryIO:
    """The whole file, to read, looked at once. Raises NotFound when it is gone, Damaged where it is not the one that was
    stored."""
    try:
        file = archive.store.full(instance.path).open("rb", buffering=0)
    except FileNotFoundError:
        raise missing() from None
    try:
        integrity.check(file.fileno(), instance, archive.database)
    except BaseException:
        file.close()
        raise
    return file


def read_range(archive: Archive, instance: Instance, offset: int, length: int) -> bytes:
    """Bytes of the file, for bulk values and range requests."""
    return read_parts(archive, instance, [(offset, length)])


def iter_object(archive: Archive, instance: Instance, chunk: int = 1 << 20) -> Iterator[bytes]:
    """The whole file in pieces."""
    with open_object(archive, instance) as file:
        while piece := file.read(chunk):
            yield piece


def dataset(archive: Archive, instance: Instance) -> "Dataset":
    """The whole object by pydicom, pixels and all: for what needs everything (anonymizing, transcoding)."""
    from app.dicom.reading import dcmread

    with open_object(archive, instance) as file:
        if is_crowded(file):
            raise Unsupported("The object has more sequence items than can be read in a sensible time.")
        return dcmread(BytesIO(file.read()), force=True)


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


def json_of(archive: Archive, raw: bytes, instance: Instance) -> bytes:
    """A kept header as DICOM JSON, with what was left out of it: long sequences from the file, large values as addresses."""
    raw = _current(archive, raw, instance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dicomjson.to_json(_unpack(archive, raw, instance, drawn=False))
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
