"""Where the frames of an object that comes in lie, and what is odd about them."""

import os

from app.archive import rows
from app.dicom import frames, uids
from app.dicom.header import Header, add_tail
from app.kit.phrases import of_fault, phrase


def locate(fd: int, size: int, header: Header, instance: rows.Row) -> bytes | None:
    """The frame table of encapsulated pixel data, packed; None for native pixels and where there are none. What is odd
    becomes a warning: the object is stored all the same."""
    if header.pixel_offset is None or header.pixel_bytes is None:
        instance["number_of_frames"] = min(instance["number_of_frames"], 1)  # none that could be reached
        return None
    stated = _stated_frames(header)
    if header.pixel_bytes >= 0:
        _count_native(header, instance, stated)
        return None
    if header.deflated:
        return None
    video = uids.transfer_syntax(header.transfer_syntax_uid).video
    try:
        table, warnings = frames.locate_encapsulated(
            lambda offset, length: os.pread(fd, length, offset),
            header.pixel_offset,
            size,
            stated,
            extended=header.values.get(0x7FE00001, b""),
            video=video,
        )
    except frames.BadFrames as fault:
        header.warnings.append(of_fault(fault))
        instance["number_of_frames"] = min(instance["number_of_frames"], 1)
        locate_tail(fd, size, header)
        return None
    header.warnings.extend(warnings)
    if instance["number_of_frames"] and not video:
        instance["number_of_frames"] = table.count
    locate_tail(fd, size, header, table)
    return table.pack()


def locate_tail(fd: int, size: int, header: Header, table: frames.FrameTable | None = None) -> None:
    """Reads the elements behind encapsulated pixel data; native pixel data is passed over by `scan` itself."""
    if header.pixel_offset is None or header.pixel_bytes != -1:
        return
    try:
        after = frames.end_of(lambda offset, length: os.pread(fd, length, offset), header.pixel_offset, size, table)
    except frames.BadFrames:
        return
    if after is not None:
        add_tail(header, fd, size, after)


def native_of(of: rows.Row, stated: int | None, length: int) -> frames.Native:
    """How native frames lie in `length` bytes of pixel data. stated: as in `frames.native`."""
    return frames.native(
        of["rows"], of["columns"], of["samples"], of["bits_allocated"], of["photometric"], stated, max(length, 0)
    )


def _stated_frames(header: Header) -> int | None:
    """Number of Frames as stated in the header; None where the header has no valid value."""
    stated = header.integer(0x00280008)
    return stated if stated is not None and stated > 0 else None


def _count_native(header: Header, instance: rows.Row, stated: int | None) -> None:
    """Counts the frames that are there. The header keeps what it says; what contradicts that becomes a warning."""
    if not instance["number_of_frames"]:
        return
    label, length = instance["photometric"], header.pixel_bytes or 0
    lies = native_of(instance, stated, length)
    instance["number_of_frames"] = max(1, lies.count)
    if length and lies.count != (stated or 1):
        header.warnings.append(frames.contradicts(stated, lies.count))
    elif length and lies.span(lies.count)[3] and not any("ends early" in w for w in header.warnings):
        header.warnings.append(phrase("The pixel data is shorter than required by rows, columns and frames."))
    samples = instance["rows"] * instance["columns"] * instance["samples"] * instance["bits_allocated"]
    if length and instance["samples"] == 3 and frames.is_mislabelled(lies, samples, label):
        header.warnings.append(
            phrase(
                "The sampling of the pixel data contradicts Photometric Interpretation; the length of the pixel data is used."
            )
        )
