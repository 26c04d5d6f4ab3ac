"""Large objects that cost no disk, and what a process has of memory."""

from pathlib import Path

from pydicom import dcmread

from tests.support.dimse import parts_of


def sparse_multiframe(source: Path, folder: Path, frames: int, sop_instance: str) -> tuple[Path, int]:
    """The data set of an uncompressed CT of 512 x 512 with so many frames of zeros, as a sparse file without preamble and
    file meta information; and its length."""
    ds = dcmread(source)
    ds.pop("DataSetTrailingPadding", None)
    ds.NumberOfFrames = frames
    ds.PixelData = b""
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = sop_instance
    ds.save_as(folder / "large.dcm")
    parts = parts_of(folder / "large.dcm")
    assert parts is not None
    head = parts[1]
    assert head[-12:-8] == b"\xe0\x7f\x10\x00", "the pixel data is the last element"
    pixels = 512 * 512 * 2 * frames
    large = folder / "large.bin"
    with large.open("wb") as file:
        file.write(head[:-4] + pixels.to_bytes(4, "little"))
        file.truncate(len(head) + pixels)
    return large, len(head) + pixels


def kilobytes(pid: int | str, field: str) -> int:
    """Of the process: VmRSS now, VmHWM at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise AssertionError(field)


def forget_peak(pid: int | str) -> None:
    """VmHWM counts from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
