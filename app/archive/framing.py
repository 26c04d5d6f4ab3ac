"""Where the frames of an object that comes in lie, and what is odd about them."""

import os

from app.archive import rows
from app.dicom import frames, uids
from app.dicom.header import Header, add_tail


def believe_frames(size: int, header: Header, instance: rows.Row) -> None:
    """A Number of Frames far beyond what the file could hold: only what fits counts, since lists are made of it. The
    header keeps what it said; a file that is merely cut off keeps its count."""
    count = int(instance["number_of_frames"] or 0)
    bits = frames.native_bits(
        instance["rows"], instance["columns"], instance["samples"], instance["bits_allocated"], instance["photometric"]
    )
    if header.pixel_offset is None:
        room = 1
    elif (header.pixel_bytes or 0) >= 0:
        room = max(1, (header.pixel_bytes or 0) * 8 // max(bits, 1))
    else:
        room = max(1, (size - header.pixel_offset) // 8)  # an item's head for each
    if count > 10_000 and count > 2 * room:
        instance["number_of_frames"] = room
        header.warnings.append("The pixel data is shorter than rows, columns and frames ask for.")


def locate(fd: int, size: int, header: Header, instance: rows.Row) -> bytes | None:
    """The frame table of encapsulated pixel data, packed; None for native pixels and where there are none. What is odd
    becomes a warning: the object is stored all the same."""
    if header.pixel_offset is None or header.pixel_bytes is None or header.deflated:
        return None
    if header.pixel_bytes >= 0:
        _check_native(header, instance)
        return None
    try:
        table, warnings = frames.locate_encapsulated(
            lambda offset, length: os.pread(fd, length, offset),
            header.pixel_offset,
            size,
            max(1, int(instance["number_of_frames"])),
            extended=header.values.get(0x7FE00001, b""),
            video=uids.transfer_syntax(header.transfer_syntax_uid).video,
        )
    except frames.BadFrames as fault:
        header.warnings.append(str(fault))
        locate_tail(fd, size, header)
        return None
    header.warnings.extend(warnings)
    locate_tail(fd, size, header, table)
    return table.pack()


def locate_tail(fd: int, size: int, header: Header, table: frames.FrameTable | None = None) -> None:
    """Reads what stands behind encapsulated pixel data; native pixel data is passed over by `scan` itself."""
    if header.pixel_offset is None or header.pixel_bytes != -1:
        return
    try:
        after = frames.end_of(lambda offset, length: os.pread(fd, length, offset), header.pixel_offset, size, table)
    except frames.BadFrames:
        return
    if after is not None:
        add_tail(header, fd, size, after)


def _check_native(header: Header, instance: rows.Row) -> None:
    count = instance["number_of_frames"]
    bits = frames.native_bits(
        instance["rows"], instance["columns"], instance["samples"], instance["bits_allocated"], instance["photometric"]
    )
    needed = -(-bits * count // 8)
    if (
        count
        and header.pixel_bytes
        and needed > header.pixel_bytes
        and not any("ends early" in w or "shorter than" in w for w in header.warnings)
    ):
        header.warnings.append("The pixel data is shorter than rows, columns and frames ask for.")
